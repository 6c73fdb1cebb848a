/** The fold of verifications, disputes and what came of them (docs/spec/usage.md, "Checks"). */
import type { EntryOf } from "../entry/entry.ts";
import { signedId } from "../sign/cose.ts";
import { verifierOf } from "./lot-state.ts";
import { examinationOf, regrade } from "./regrade.ts";
import { type FoldState, keyOf } from "./state.ts";

/** A verifier's word on a receipt counts once, and once more where the lot drew it for that receipt. */
export function applyVerification(fold: FoldState, { says, signed }: EntryOf<"verification">): void {
  const id = keyOf(says.receipt);
  const receipt = fold.receipts.get(id);
  const verifier = keyOf(signed.keyId);
  if (receipt === undefined || verifier === receipt.node) return;
  const examination = examinationOf(fold.proofs, id);
  const { draw, checks } = examination;
  const drawn = draw !== undefined && !draw.omitted && draw.verifier === verifier && draw.epoch === says.epoch;
  if (checks.some((check) => check.verifier === verifier && check.drawn === drawn)) return;
  const judge = says.profile && keyOf(says.profile.binary);
  if (judge !== undefined) fold.proofs.engines.add(judge);
  checks.push({
    verifier,
    method: says.method,
    outcome: says.outcome,
    drawn,
    judge,
    ceremony: says.ceremony && keyOf(says.ceremony),
  });
  const record = verifierOf(fold.lots, verifier);
  record[says.outcome]++;
  record.costMicroseconds += says.cost;
  if (drawn) record.waiting.delete(id);
  regrade(fold, id);
}

/** A dispute of a receipt counts once for each who disputes it. */
export function applyDispute(fold: FoldState, { says, signed }: EntryOf<"dispute">): void {
  const receipt = keyOf(says.receipt);
  const [id, disputer] = [keyOf(signedId(signed)), keyOf(signed.keyId)];
  if (!fold.receipts.has(receipt) || fold.proofs.disputed.has(id)) return;
  const { disputes } = examinationOf(fold.proofs, receipt);
  if (disputes.some((known) => known.disputer === disputer)) return;
  fold.proofs.disputed.set(id, receipt);
  disputes.push({ id, disputer, outcome: undefined, referee: undefined });
}

/** The first resolution that decides a dispute stands. */
export function applyResolution(fold: FoldState, { says, signed }: EntryOf<"resolution">): void {
  const id = keyOf(says.dispute);
  const receipt = fold.proofs.disputed.get(id);
  if (receipt === undefined) return;
  const dispute = examinationOf(fold.proofs, receipt).disputes.find((known) => known.id === id);
  if (dispute === undefined || dispute.outcome === "upheld" || dispute.outcome === "rejected") return;
  dispute.outcome = says.outcome;
  dispute.referee = keyOf(signed.keyId);
  regrade(fold, receipt);
}
