/** The vendors' roots of trust, pinned by the SHA-256 of their certificates. Nothing else is a root, whatever evidence brings. */
import { sha256 } from "#platform";
import { hex, parseHex } from "../bytes.ts";
import type { Technology } from "../entry/verification.ts";
import { type AttestationCheck, judge } from "./appraisal.ts";

export type VendorRoot = { technology: Technology; name: string; digest: Uint8Array; notAfterSeconds: number };

const row = (technology: Technology, name: string, digest: string, notAfter: string): VendorRoot => ({
  technology,
  name,
  digest: parseHex(digest) ?? new Uint8Array(0),
  notAfterSeconds: Date.parse(notAfter) / 1000,
});

export const VENDOR_ROOTS: readonly VendorRoot[] = [
  row(
    "nitro",
    "AWS Nitro Enclaves Root G1",
    "641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b",
    "2049-10-28T14:28:05Z",
  ),
  row(
    "snp",
    "AMD ARK-Milan",
    "69d063b45344d26a2e94e1f4210de49ef555308287d4c174445c95639a540bcd",
    "2045-10-22T17:23:05Z",
  ),
  row(
    "snp",
    "AMD ARK-Genoa",
    "4c6598d19c18719c5dfd4a7d335f674e5bfe1d8f800cea2cf270c10d103db2f1",
    "2047-01-26T15:34:37Z",
  ),
  row(
    "snp",
    "AMD ARK-Turin",
    "1f084161a44bb6d93778a904877d4819cafa5d05ef4193b2ded9dd9c73dd3f6a",
    "2048-05-15T20:03:12Z",
  ),
  row(
    "tdx",
    "Intel SGX Root CA",
    "44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3",
    "2049-12-31T23:59:59Z",
  ),
  row(
    "hopper",
    "NVIDIA Device Identity CA",
    "102bf659d5419614c9d8e6aecebc80454eb26b1df6a769ac720b9a690b167b48",
    "9999-12-31T23:59:59Z",
  ),
];

/** The pinned root of this technology with this digest. */
export function findRoot(technology: Technology, digest: Uint8Array): VendorRoot | undefined {
  const wanted = hex(digest);
  return VENDOR_ROOTS.find((root) => root.technology === technology && hex(root.digest) === wanted);
}

/** Whether a root's certificate is a pinned one of `technology`, or `own`: the digest of a root that the caller trusts instead. */
export function checkRoot(technology: Technology, certificate: Uint8Array, own?: Uint8Array): AttestationCheck {
  const digest = sha256(certificate);
  const found =
    own === undefined ? findRoot(technology, digest)?.name : hex(own) === hex(digest) ? "the given root" : undefined;
  const fault = found === undefined && `sha256:${hex(digest)} is no root that is trusted for ${technology}`;
  return judge("root", "unknown_root", fault, `the chain ends at ${found}`);
}
