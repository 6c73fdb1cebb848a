/**
 * The fold of what parties state of use: what a relier takes back, who is of one owner, whose label is disputed, what days came to
 * and who counted again (docs/spec/usage.md).
 */
import type { EntryOf } from "../entry/entry.ts";
import { AFFILIATED_KEYS_IN_ALL, RECOMPUTATIONS_KEPT } from "../limits.ts";
import { signedId } from "../sign/cose.ts";
import { reliedBy } from "./grade.ts";
import type { LabelDispute } from "./lanes.ts";
import { takeBack } from "./relied.ts";
import { snapshotName } from "./snapshots.ts";
import { type FoldState, keyOf, timeOf } from "./state.ts";

/** A relier takes back all that it said of the decision until here. */
export function applyReversal(fold: FoldState, index: number, { says, signed }: EntryOf<"reversal">): void {
  const receipt = fold.receipts.get(keyOf(says.receipt));
  if (receipt !== undefined) takeBack(fold, keyOf(signed.keyId) + receipt.decision, index);
}

/** What a key declares adds to what it declared before: who was of one owner once may have dealt with itself then. */
export function applyAffiliation({ demand }: FoldState, { says, signed }: EntryOf<"affiliation">): void {
  const signer = keyOf(signed.keyId);
  const named = demand.affiliations.get(signer) ?? new Set();
  demand.affiliations.set(signer, named);
  for (const key of says.keys.map(keyOf)) if (key !== signer && named.size < AFFILIATED_KEYS_IN_ALL) named.add(key);
}

/** The first word of the log on a day by given rules stands. */
export function applySnapshot({ snapshots }: FoldState, index: number, { says, signed }: EntryOf<"snapshot">): void {
  const { day, size } = says;
  const [rules, result] = [keyOf(says.rules), keyOf(says.result)];
  const name = snapshotName(day, rules);
  if (!snapshots.has(name)) snapshots.set(name, { index, id: keyOf(signedId(signed)), day, size, rules, result });
}

/**
 * An auditor's words by given rules are of ever more entries: one of as many as before says nothing, so that nobody can send an
 * old word again as the newest. The last are kept.
 */
export function applyRecomputation(fold: FoldState, index: number, { says, signed }: EntryOf<"recomputation">): void {
  const auditor = keyOf(signed.keyId);
  const { size } = says;
  const [rules, result] = [keyOf(says.rules), keyOf(says.result)];
  const others = fold.recomputations.get(auditor) ?? [];
  if (others.some((known) => known.rules === rules && known.size >= size)) return;
  const agrees = says.agrees === "yes";
  const stated = { index, auditor, size, rules, result, agrees, snapshot: says.snapshot && keyOf(says.snapshot) };
  fold.recomputations.set(auditor, [...others, stated].slice(-RECOMPUTATIONS_KEPT));
}

/** A dispute of why a receipt is not counted as organic counts once for each who disputes it. It says nothing of its answer. */
export function applyLabelDispute({ receipts, demand }: FoldState, { says, signed }: EntryOf<"dispute">): void {
  const [receipt, disputer] = [keyOf(says.receipt), keyOf(signed.keyId)];
  if (!receipts.has(receipt) || demand.labelDisputers.has(receipt + disputer)) return;
  demand.labelDisputers.add(receipt + disputer);
  demand.labelDisputes.set(keyOf(signedId(signed)), { receipt, disputer, outcome: undefined, referee: undefined });
}

/** The first resolution that decides such a dispute stands. */
export function applyLabelResolution(fold: FoldState, { says, signed }: EntryOf<"resolution">): void {
  const dispute = fold.demand.labelDisputes.get(keyOf(says.dispute));
  if (dispute === undefined || dispute.outcome === "upheld" || dispute.outcome === "rejected") return;
  dispute.outcome = says.outcome;
  dispute.referee = keyOf(signed.keyId);
  overrule(fold, dispute);
}

/** Takes back what referees upheld whose keys are not relied on any more. */
export function overruleAnew(fold: FoldState): void {
  fold.demand.overruled.clear();
  for (const dispute of fold.demand.labelDisputes.values()) overrule(fold, dispute);
}

function overrule(fold: FoldState, { receipt, outcome, referee }: LabelDispute): void {
  if (outcome !== "upheld" || referee === undefined) return;
  const timeSeconds = timeOf(fold, fold.receipts.get(receipt)?.index ?? fold.size);
  if (reliedBy(fold)("key", referee, timeSeconds)) fold.demand.overruled.add(receipt);
}
