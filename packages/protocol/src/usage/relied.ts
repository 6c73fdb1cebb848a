/** Which decisions are relied on: each by the first statement that stands, of a relier outside the seller (docs/spec/usage.md). */
import { addOne } from "./counts.ts";
import { dayOf, OPEN_DAY } from "./day.ts";
import type { Relied } from "./lanes.ts";
import type { Clusters } from "./organic/clusters.ts";
import { isEligibleRelier } from "./organic/reliers.ts";
import { type FoldState, type Key, timeOf } from "./state.ts";

/** Takes in a relier's statement, which nothing that the relier says later of the same receipt adds to. */
export function addRelied(fold: FoldState, statement: Key, says: Omit<Relied, "reversedAt">): void {
  const { relied, reliers, takenBack } = fold.demand;
  const lane = fold.receipts.get(says.receipt)?.lane;
  const relier = says.relier + says.receipt;
  if (lane === undefined || takenBack.has(statement) || reliers.has(relier)) return;
  reliers.add(relier);
  const known = relied.get(statement) ?? [];
  known.push({ ...says, reversedAt: undefined });
  relied.set(statement, known);
  fold.untimed.push({ kind: "reliance", index: says.index, lane });
}

/** Takes back what a relier says of a decision, for good: neither word can be sent again to undo the other. */
export function takeBack({ demand }: FoldState, statement: Key, index: number): void {
  if (demand.takenBack.has(statement)) return;
  demand.takenBack.add(statement);
  for (const stated of demand.relied.get(statement) ?? []) stated.reversedAt = index;
}

/** The statements by which each decision is counted, and each decision of a model; both in the order of the log. */
export type ReliedOn = { decisions: Map<Key, Relied>; ofModels: Map<Key, Relied> };

/** What counts as relied on by all that `fold` has, with its parties in those clusters. */
export function reliedOn(fold: FoldState, clusters: Pick<Clusters, "clusterOf">): ReliedOn {
  const all: ReliedOn = { decisions: new Map(), ofModels: new Map() };
  const standing = [...fold.demand.relied.values()].flat().filter(({ reversedAt }) => reversedAt === undefined);
  for (const stated of standing.sort((a, b) => a.index - b.index)) {
    const { decision, receipt } = stated;
    const ofModel = decision + (fold.receipts.get(receipt)?.model ?? "");
    // A decision of a model that is counted is counted itself.
    if (all.ofModels.has(ofModel) || !isEligibleRelier(fold, clusters, stated)) continue;
    all.ofModels.set(ofModel, stated);
    if (!all.decisions.has(decision)) all.decisions.set(decision, stated);
  }
  return all;
}

/** How many decisions are counted on each day: that of the statement they are counted by. */
export function reliedByDay(fold: FoldState, { decisions }: ReliedOn): Map<string, number> {
  const counts = new Map<string, number>();
  for (const stated of decisions.values()) addOne(counts, dayOfStatement(fold, stated));
  return counts;
}

export function dayOfStatement(fold: FoldState, { index }: Relied): string {
  const seconds = timeOf(fold, index);
  return seconds === undefined ? OPEN_DAY : dayOf(seconds);
}
