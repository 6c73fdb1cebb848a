/** A chain of certificates that has to end at a vendor's pinned root: every check of it, by the name of whose chain it is. */
import { parseUtf8 } from "../bytes.ts";
import type { Technology } from "../entry/verification.ts";
import { type AttestationCheck, judge } from "./appraisal.ts";
import { type Chain, checkChain } from "./chain.ts";
import { DerReader, parseOid } from "./der.ts";
import { checkRoot } from "./roots.ts";
import type { Crl } from "./x509.ts";

export type Anchor = {
  technology: Technology;
  /** SHA-256 of a root that is trusted instead of the vendor's. */
  root?: Uint8Array;
  nowSeconds: number;
  /** Where lists are given, each certificate but the root has to be covered by one. */
  crls?: readonly Crl[];
};

/** Root, names, and all that `checkChain` looks at. `names`: what each certificate below the root may be called, from the leaf up. */
export async function checkPinnedChain(
  whose: string,
  chain: Chain,
  { technology, root, nowSeconds, crls }: Anchor,
  names?: readonly (readonly string[])[],
): Promise<AttestationCheck[]> {
  const checks = [checkRoot(technology, chain.root.bytes, root)];
  if (names !== undefined) checks.push(checkNames(chain, names));
  checks.push(...(await checkChain({ ...chain, nowSeconds, ...(crls && { crls }) })));
  return checks.map((check) => {
    const isOpen = crls !== undefined && check.state === "not_checked";
    const judged = isOpen ? judge(check.name, "bad_chain", check.detail, "") : check;
    return { ...judged, name: `${whose}: ${judged.name}` };
  });
}

function checkNames({ leaf, intermediates }: Chain, names: readonly (readonly string[])[]): AttestationCheck {
  const found = [leaf, ...intermediates].map(({ subject }) => findCommonName(subject) ?? "nobody");
  const isRight = found.length === names.length && found.every((name, i) => names[i]?.includes(name));
  return judge(
    "names",
    "bad_chain",
    !isRight && `the certificates are of ${found.join(", ")}`,
    "are those that are due",
  );
}

const COMMON_NAME = "2.5.4.3";
const SET = 0x31;

/** The common name in a distinguished name. */
function findCommonName(name: Uint8Array): string | undefined {
  const parts = new DerReader(name).enter();
  while (parts.peek() !== undefined) {
    const attribute = parts.enter(SET).enter();
    if (parseOid(attribute.next().value) === COMMON_NAME) return parseUtf8(attribute.next().value);
  }
  return undefined;
}
