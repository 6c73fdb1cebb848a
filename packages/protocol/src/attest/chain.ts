/** Validating a chain of certificates from a trusted root down to a leaf (RFC 5280 §6), and what was revoked (§6.3). */
import { verifySignature } from "#platform";
import { equal, hex } from "../bytes.ts";
import { Malformed } from "../cbor/bytes.ts";
import { type AttestationCheck, type AttestationFailure, judge } from "./appraisal.ts";
import { type Certificate, type Crl, parseEcdsaSignature, UNDERSTOOD } from "./x509.ts";

/** Key usage bits of RFC 5280 §4.2.1.3. */
const DIGITAL_SIGNATURE = 0;
const CERTIFICATE_SIGN = 5;
const CRL_SIGN = 6;
const INTERMEDIATES_MOST = 6;

export type Chain = {
  leaf: Certificate;
  /** From the leaf's issuer up to the one that the root signed. */
  intermediates: readonly Certificate[];
  /** Trusted already: the caller has found its digest among the pinned ones. */
  root: Certificate;
};

/** The four things that hold of a good chain: its order, its signatures, its times, and that nothing in it was revoked. */
export async function checkChain(
  chain: Chain & { nowSeconds: number; crls?: readonly Crl[] },
): Promise<AttestationCheck[]> {
  const { leaf, intermediates, root, nowSeconds, crls = [] } = chain;
  const path = [leaf, ...intermediates, root];
  return [
    judge("certificate chain", "bad_chain", faultOfPath(path), `${path.length} certificates lead to the root`),
    judge("certificate signatures", "bad_signature", await faultOfSignatures(path), "each is signed by the next"),
    judge(
      "certificate validity",
      "not_valid_now",
      faultOfTimes(path, nowSeconds),
      "all are valid at the time of appraisal",
    ),
    await checkRevocation(path, crls, nowSeconds),
  ];
}

/**
 * The chain that certificates in any order make: from the one that is no authority's, by the names of issuers, up to the
 * first that issued itself. Throws Malformed where they make none.
 */
export function assembleChain(certificates: readonly Certificate[]): Chain {
  const [leaf, ...others] = certificates.filter(({ isCa }) => !isCa);
  if (leaf === undefined || others.length > 0)
    throw new Malformed(`has ${leaf === undefined ? 0 : 1 + others.length} certificates of devices where one is due`);
  const intermediates: Certificate[] = [];
  for (let below = leaf; intermediates.length <= INTERMEDIATES_MOST; ) {
    const above = certificates.find(({ isCa, subject }) => isCa && equal(subject, below.issuer));
    if (above === undefined) throw new Malformed("has a certificate whose issuer is not among them");
    if (equal(above.issuer, above.subject)) return { leaf, intermediates, root: above };
    intermediates.push(above);
    below = above;
  }
  throw new Malformed(`has more than ${INTERMEDIATES_MOST} intermediates`);
}

/** The last second at which each certificate still is valid and each list in use is current. */
export function notAfterOf({ leaf, intermediates, root }: Chain, crls: readonly Crl[] = []): number {
  const path = [leaf, ...intermediates, root];
  const used = crls.filter(({ issuer }) => path.some((certificate) => equal(certificate.issuer, issuer)));
  return Math.min(
    ...path.map(({ notAfterSeconds }) => notAfterSeconds),
    ...used.map(({ nextUpdateSeconds }) => nextUpdateSeconds),
  );
}

const nameOf = (path: readonly Certificate[], i: number) =>
  i === 0 ? "the leaf" : i === path.length - 1 ? "the root" : `intermediate ${i}`;

function faultOfPath(path: readonly Certificate[]): string | undefined {
  if (path.length > INTERMEDIATES_MOST + 2) return `has more than ${INTERMEDIATES_MOST} intermediates`;
  let authoritiesBelow = 0;
  for (const [i, certificate] of path.entries()) {
    const fault = faultOfLink(certificate, path[i + 1], i === 0, authoritiesBelow);
    if (fault !== undefined) return `${nameOf(path, i)} ${fault}`;
    // What issued itself does not count (RFC 5280 §4.2.1.9).
    if (i > 0 && !equal(certificate.subject, certificate.issuer)) authoritiesBelow++;
  }
  return undefined;
}

function faultOfLink(
  { issuer, isCa, pathLength, keyUsage, extensions }: Certificate,
  above: Certificate | undefined,
  isLeaf: boolean,
  authoritiesBelow: number,
): string | undefined {
  if (above !== undefined && !equal(issuer, above.subject)) return "was issued by another than the next in the chain";
  for (const [oid, { critical }] of extensions)
    if (critical && !UNDERSTOOD.has(oid)) return `has the critical extension ${oid}, which is not understood`;
  if (isLeaf) {
    if (isCa) return "is an authority's, not a device's";
    return keyUsage?.has(DIGITAL_SIGNATURE) === false ? "has a key that is not for signing" : undefined;
  }
  if (!isCa) return "is not an authority's";
  if (keyUsage?.has(CERTIFICATE_SIGN) === false) return "has a key that is not for signing certificates";
  if (pathLength !== undefined && authoritiesBelow > pathLength) return `allows ${pathLength} authorities below it`;
  return undefined;
}

async function faultOfSignatures(path: readonly Certificate[]): Promise<string | undefined> {
  const held = await Promise.all(
    path.slice(0, -1).map(async (certificate, i) => {
      const above = path[i + 1];
      return above !== undefined && (await isSignedBy(certificate, above));
    }),
  );
  const first = held.indexOf(false);
  return first === -1 ? undefined : `the signature of ${nameOf(path, first)} does not hold`;
}

/** Whether what is signed in DER is by the key of `authority`. */
export async function isSignedBy(
  { algorithm, tbs, signature }: Pick<Certificate, "algorithm" | "tbs" | "signature">,
  authority: Certificate,
): Promise<boolean> {
  if (algorithm === "ps384") return verifySignature(algorithm, authority.spki, tbs, signature);
  try {
    const raw = parseEcdsaSignature(signature, algorithm === "es256" ? 32 : 48);
    return await verifySignature(algorithm, authority.spki, tbs, raw);
  } catch (fault) {
    if (fault instanceof Malformed) return false;
    throw fault;
  }
}

function faultOfTimes(path: readonly Certificate[], nowSeconds: number): string | undefined {
  for (const [i, { notBeforeSeconds, notAfterSeconds }] of path.entries()) {
    if (nowSeconds < notBeforeSeconds) return `${nameOf(path, i)} is not valid yet`;
    if (nowSeconds > notAfterSeconds) return `${nameOf(path, i)} is not valid any more`;
  }
  return undefined;
}

const REVOCATION = "certificate revocation";

async function checkRevocation(
  path: readonly Certificate[],
  crls: readonly Crl[],
  nowSeconds: number,
): Promise<AttestationCheck> {
  const failed = (failure: AttestationFailure, detail: string): AttestationCheck => ({
    name: REVOCATION,
    state: "failed",
    failure,
    detail,
  });
  let uncovered = 0;
  for (const [i, { issuer, serial }] of path.slice(0, -1).entries()) {
    const authority = path[i + 1];
    const lists = crls.filter((crl) => equal(crl.issuer, issuer));
    if (lists.length === 0) uncovered++;
    for (const crl of lists) {
      const maySign = authority?.keyUsage?.has(CRL_SIGN) !== false;
      if (authority === undefined || !maySign || !(await isSignedBy(crl, authority)))
        return failed("bad_signature", `the list over ${nameOf(path, i)} is not signed by its issuer`);
      if (nowSeconds < crl.thisUpdateSeconds || nowSeconds > crl.nextUpdateSeconds)
        return failed("not_valid_now", `the list over ${nameOf(path, i)} is not current`);
      if (crl.revoked.has(hex(serial))) return failed("revoked", `${nameOf(path, i)} is revoked`);
    }
  }
  if (uncovered === 0) return { name: REVOCATION, state: "passed", detail: "no certificate of the chain is revoked" };
  const detail = `${uncovered} of ${path.length - 1} certificates have no revocation list among the collateral`;
  return { name: REVOCATION, state: "not_checked", detail };
}
