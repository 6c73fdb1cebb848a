/** How much of what is valid is demand, and why the rest is not: of a day and model, and summed (docs/spec/usage.md, "Organic"). */
import { order, sumOf } from "./counts.ts";
import { OPEN_DAY } from "./day.ts";
import { type Judgement, LABELS, type Label } from "./judgement.ts";
import type { Lane } from "./lanes.ts";
import { type Clusters, clustersOf } from "./organic/clusters.ts";
import { judgeDay } from "./organic/judge.ts";
import { isShare, refundsOf } from "./organic/refunds.ts";
import { type Window, windowOf } from "./organic/trades.ts";
import type { FoldState, Key } from "./state.ts";
import { WASH_RULES, type WashRules } from "./wash-rules.ts";

/** Of the valid receipts of one model and day: how many are organic, and how many have each label. */
export type JudgedCount = { model: Key; organic: number; floor: number; labels: Map<Label, number> };

export type DemandFigures = {
  /** Valid receipts that are judged to be demand. */
  organic: number;
  /** Those of them whose demand cost something for good. */
  floor: number;
  /** The other valid ones, by why they are not organic; those reasons that none has are left out. */
  labels: Partial<Record<Label, number>>;
};

/** What a day's judgement comes to, by model in order. */
export function judgedCounts({ demand }: FoldState, day: string, { labels, floor }: Judgement): JudgedCount[] {
  const counts = new Map<Key, JudgedCount>();
  for (const [lane, facts] of demand.facts.get(day) ?? []) {
    const valid = facts.reduce((sum, fact) => sum + fact.valid, 0);
    if (valid === 0) continue;
    const { model } = lane;
    const count = counts.get(model) ?? { model, organic: 0, floor: 0, labels: new Map<Label, number>() };
    counts.set(model, count);
    const label = labels.get(lane);
    if (label !== undefined) count.labels.set(label, (count.labels.get(label) ?? 0) + valid);
    else count.organic += valid;
    if (floor.has(lane)) count.floor += valid;
  }
  return [...counts.values()].sort((a, b) => order(a.model, b.model));
}

/** What a fold's demand comes to by the first of its rules; who is one party where it has none, by those of this release. */
export type JudgedDemand = {
  /** The judged counts of every day: closed days as they were judged, the others as of the log. */
  days: ReadonlyMap<string, readonly JudgedCount[]>;
  /**
   * By model: how many parties paid for valid receipts with money whose funder the log names, in the rules' days up to now;
   * anonymous payers left out.
   */
  payingParties: ReadonlyMap<Key, number>;
  clusters: Clusters;
};

export function judgedDemand(fold: FoldState): JudgedDemand {
  const [series] = fold.series;
  const clusters = clustersOf(fold, series?.rules ?? WASH_RULES);
  if (series === undefined) return { days: new Map(), payingParties: new Map(), clusters };
  const days = new Map(series.judged);
  const labels = new Map(series.labels);
  for (const day of [...fold.unclosed, OPEN_DAY].sort()) {
    if (!fold.demand.facts.has(day)) continue;
    const judgement = judgeDay(fold, day, series.rules);
    days.set(day, judgedCounts(fold, day, judgement));
    labels.set(day, judgement.labels);
  }
  return { days, payingParties: payingParties(fold, series.rules, clusters, labels), clusters };
}

/** Money of one party with the seller, that was given back, or that goes round, is nobody's that pays. */
const OWN_MONEY: ReadonlySet<Label | undefined> = new Set([
  "same_key",
  "declared_owner",
  "common_funder",
  "refunded",
  "recirculated",
  "closed_cluster",
]);

function payingParties(
  fold: FoldState,
  rules: WashRules,
  { clusterOf }: Clusters,
  labels: ReadonlyMap<string, ReadonlyMap<Lane, Label>>,
): Map<Key, number> {
  const parties = new Map<Key, Set<Key>>();
  const window = windowOf(fold, OPEN_DAY, rules);
  const givenBack = lanesGivenBack(fold, window, rules);
  for (const [day, lanes] of fold.demand.facts) {
    if (day < window.first) continue;
    for (const [lane, facts] of lanes) {
      const { model, payer, funding, tagMode } = lane;
      // Nobody can tell anonymous payers apart, nor whose money theirs is.
      if (
        funding !== "funded" ||
        tagMode === "anonymous" ||
        givenBack.has(lane) ||
        facts.every(({ valid }) => valid === 0)
      )
        continue;
      if (OWN_MONEY.has(labels.get(day)?.get(lane))) continue;
      const paying = parties.get(model);
      if (paying === undefined) parties.set(model, new Set([clusterOf(payer)]));
      else paying.add(clusterOf(payer));
    }
  }
  return new Map([...parties].map(([model, { size }]) => [model, size]));
}

/** The lanes of whose price most was refunded by now, late or not: closed days do not say so. */
function lanesGivenBack(fold: FoldState, window: Window, rules: WashRules): ReadonlySet<Lane> {
  const days = [...fold.demand.facts].filter(([day]) => day >= window.first).map(([, lanes]) => lanes);
  const refunded = [...refundsOf(fold, window)].filter(([lane, { inTimeAtomic, lateAtomic }]) => {
    const facts = days.flatMap((lanes) => lanes.get(lane) ?? []);
    const paidAtomic = sumOf(facts, (fact) => fact.priceAtomic - fact.subsidisedAtomic);
    return isShare(inTimeAtomic + lateAtomic, paidAtomic, rules);
  });
  return new Set(refunded.map(([lane]) => lane));
}

export function sumDemand(counts: readonly JudgedCount[]): DemandFigures {
  const labels = LABELS.map((label) => [label, counts.reduce((sum, one) => sum + (one.labels.get(label) ?? 0), 0)]);
  return {
    organic: counts.reduce((sum, { organic }) => sum + organic, 0),
    floor: counts.reduce((sum, { floor }) => sum + floor, 0),
    labels: Object.fromEntries(labels.filter(([, count]) => count !== 0)) as DemandFigures["labels"],
  };
}
