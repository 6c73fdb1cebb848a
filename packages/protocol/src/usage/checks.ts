/** The fold of verifications, disputes and what came of them (docs/spec/usage.md, "Checks"). */
import type { EntryOf } from "../entry/entry.ts";
import { signedId } from "../sign/cose.ts";
import { verifierOf } from "./lot-state.ts";
import { examinationOf, regrade } from "./regrade.ts";
import { type FoldState, keyOf } from "./state.ts";
import { applyLabelDispute, applyLabelResolution } from "./statements.ts";

/** A verifier's word on a receipt counts once, and once more where the lot drew it for that receipt. */
export function applyVerification(fold: FoldState, index: number, { says, signed }: EntryOf<"verification">): void {
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
  if (says.outcome === "passed" && !checks.some(({ outcome }) => outcome === "passed"))
    fold.untimed.push({ kind: "verification", index, lane: receipt.lane, receipt: id });
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
export function applyDispute(fold: FoldState, entry: EntryOf<"dispute">): void {
  if (entry.says.ground === "label") {
    applyLabelDispute(fold, entry);
    return;
  }
  const { says, signed } = entry;
  const receipt = keyOf(says.receipt);
  const [id, disputer] = [keyOf(signedId(signed)), keyOf(signed.keyId)];
  const { disputes, disputers } = fold.proofs;
  if (!fold.receipts.has(receipt) || disputers.has(receipt + disputer)) return;
  disputers.add(receipt + disputer);
  const dispute = { id, receipt, disputer, outcome: undefined, referee: undefined };
  disputes.set(id, dispute);
  examinationOf(fold.proofs, receipt).disputes.push(dispute);
}

/** The first resolution that decides a dispute stands. */
export function applyResolution(fold: FoldState, entry: EntryOf<"resolution">): void {
  const { says, signed } = entry;
  const id = keyOf(says.dispute);
  const dispute = fold.proofs.disputes.get(id);
  if (dispute === undefined) {
    applyLabelResolution(fold, entry);
    return;
  }
  if (dispute.outcome === "upheld" || dispute.outcome === "rejected") return;
  const [outcome, referee] = [says.outcome, keyOf(signed.keyId)];
  dispute.outcome = outcome;
  dispute.referee = referee;
  const { rulings } = examinationOf(fold.proofs, dispute.receipt);
  const isNew = !rulings.some((known) => known.outcome === outcome && known.referee === referee);
  if (outcome === "undecided" || !isNew) return; // Nothing else rests on it.
  rulings.push({ outcome, referee });
  regrade(fold, dispute.receipt);
}
