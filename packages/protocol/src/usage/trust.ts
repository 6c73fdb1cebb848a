/** The fold of what trust rests on: appraisals, approved measurements, revocations (docs/spec/usage.md, "Roots of trust"). */
import type { EntryOf } from "../entry/entry.ts";
import type { Technology } from "../entry/verification.ts";
import { rootName } from "./proof-state.ts";
import { regradeAll } from "./regrade.ts";
import { type FoldState, type Key, keyOf } from "./state.ts";
import { overruleAnew } from "./statements.ts";

/** What is never a ground: simulated evidence, and a GPU's, which says nothing of the code that holds a node's key. */
const UNCOUNTED: ReadonlySet<Technology> = new Set(["simulated", "hopper"]);

/** The last appraisal of a node's evidence of each technology holds. */
export function applyAppraisal(fold: FoldState, { says, signed }: EntryOf<"appraisal">): void {
  const { technology, outcome } = says;
  const node = keyOf(says.key);
  const verifier = keyOf(signed.keyId);
  if (UNCOUNTED.has(technology) || verifier === node || fold.keys.get(node)?.role !== "node") return;
  const own = fold.trust.appraisals.get(node) ?? new Map();
  fold.trust.appraisals.set(node, own);
  if (outcome === "failed") own.delete(technology);
  else {
    const [root, measurement] = [keyOf(says.root), keyOf(says.measurement)];
    own.set(technology, { technology, root, measurement, verifier, expiry: says.expiry });
  }
  attest(fold, node);
}

/** A publisher approves a measurement, or withdraws that: for the receipts after it. */
export function applyReference(fold: FoldState, { says, signed }: EntryOf<"reference">): void {
  const { approvals, appraisals } = fold.trust;
  const measurement = keyOf(says.measurement);
  const name = `${says.technology} ${measurement}`;
  const publishers = approvals.get(name) ?? new Set();
  approvals.set(name, publishers);
  if (says.action === "approve") publishers.add(keyOf(signed.keyId));
  else publishers.delete(keyOf(signed.keyId));
  for (const [node, own] of appraisals) if (own.get(says.technology)?.measurement === measurement) attest(fold, node);
}

function attest({ trust: { appraisals, approvals, attested } }: FoldState, node: Key): void {
  const attestations = [...(appraisals.get(node)?.values() ?? [])].flatMap((appraisal) => {
    const publishers = [...(approvals.get(`${appraisal.technology} ${appraisal.measurement}`) ?? [])].sort();
    return publishers.length === 0 ? [] : [{ ...appraisal, publishers }];
  });
  if (attestations.length === 0) attested.delete(node);
  else attested.set(node, attestations);
}

/** From a time on, or from the beginning, nothing rests on a root: all receipts are graded again. */
export function applyRevocation(fold: FoldState, { says }: EntryOf<"revocation">): void {
  const name = rootName(says.kind, keyOf(says.root));
  const since = says.since ?? 0;
  if ((fold.trust.revoked.get(name) ?? Number.POSITIVE_INFINITY) <= since) return;
  fold.trust.revoked.set(name, since);
  regradeAll(fold);
  overruleAnew(fold);
}
