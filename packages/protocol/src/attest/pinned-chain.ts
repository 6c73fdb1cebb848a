/** A chain of certificates in PEM that ends at a pinned root: found, named as it should be, and valid. */
import { sha256 } from "#platform";
import { equal, hex, parseUtf8 } from "../bytes.ts";
import { type Chain, checkChain } from "./chain.ts";
import { DerReader, parseOid } from "./der.ts";
import { type Inspection, Refused } from "./inspection.ts";
import { type Crl, parseCertificate, parsePemChain } from "./x509.ts";

export type PinnedChain = {
  /** Whose chain it is: begins the names of its checks. */
  name: string;
  /** From the leaf to the root. */
  pem: Uint8Array;
  /** SHA-256 of the root's certificate. */
  root: Uint8Array;
  nowSeconds: number;
  /** Where there are lists, each certificate but the root has to be covered by one. */
  crls?: readonly Crl[];
  /** The common names that the certificates below the root may have, from the leaf up, where the vendor fixes them. */
  subjects?: readonly (readonly string[])[];
};

/** The chain, after all that is to be checked of it was. */
export async function inspectChain(inspection: Inspection, pinned: PinnedChain): Promise<Chain> {
  const { name, nowSeconds, crls } = pinned;
  const chain = await inspection.step(`${name}: root`, "is the pinned one", () => parsePinned(pinned));
  const checks = await checkChain({ ...chain, nowSeconds, ...(crls === undefined ? {} : { crls }) });
  inspection.add(checks.map((check) => ({ ...check, name: `${name}: ${check.name}` })));
  if (crls !== undefined)
    await inspection.step(`${name}: revocation lists`, "cover each certificate", () => {
      const open = checks.find(({ state }) => state === "not_checked");
      if (open !== undefined) throw new Refused("bad_chain", open.detail);
    });
  return chain;
}

function parsePinned({ pem, root: digest, subjects }: PinnedChain): Chain {
  const certificates = parsePemChain(parseUtf8(pem) ?? "").map(parseCertificate);
  const [leaf, ...above] = certificates;
  const root = above.pop();
  if (leaf === undefined || root === undefined) throw new Refused("bad_chain", "the chain has no certificate but one");
  const found = sha256(root.bytes);
  if (!equal(found, digest)) throw new Refused("unknown_root", `the chain ends at ${hex(found)}, which is not pinned`);
  const names = certificates.slice(0, -1).map(({ subject }) => parseCommonName(subject));
  const isRight = names.length === subjects?.length && names.every((name, i) => subjects[i]?.includes(name ?? ""));
  if (subjects !== undefined && !isRight) throw new Refused("bad_chain", `the chain is of ${names.join(", ")}`);
  return { leaf, intermediates: above, root };
}

const COMMON_NAME = "2.5.4.3";
const SET = 0x31;

/** The common name in a distinguished name, where it has one. */
function parseCommonName(name: Uint8Array): string | undefined {
  const parts = new DerReader(name).enter();
  while (parts.peek() !== undefined) {
    const attribute = parts.enter(SET).enter();
    if (parseOid(attribute.next().value) === COMMON_NAME) return parseUtf8(attribute.next().value);
  }
  return undefined;
}
