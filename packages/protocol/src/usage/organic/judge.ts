/**
 * One day's demand, judged: for each lane, why it is not organic. The rules, what each lets through and how it can be gamed:
 * docs/spec/usage.md, "Organic".
 */
import { addOne, sumOf } from "../counts.ts";
import { splitPrice } from "../credits.ts";
import { dayOf, OPEN_DAY } from "../day.ts";
import { type Judgement, LABELS, type Label } from "../judgement.ts";
import type { Fact, Lane } from "../lanes.ts";
import { type FoldState, type Key, timeOf } from "../state.ts";
import type { WashRules } from "../wash-rules.ts";
import { markClosedClusters } from "./closed-cluster.ts";
import { clustersOf } from "./clusters.ts";
import { markCohorts } from "./cohort.ts";
import { flowsOf } from "./flows.ts";
import { markRecirculated } from "./recirculation.ts";
import { isRefundedOn, markRefunded, refundsOf } from "./refunds.ts";
import { type Trade, tradesOf, windowOf } from "./trades.ts";

/**
 * What the lanes of `day` are, by these rules and by all that `fold` has: who is one party as of its end, and what was paid in
 * the rules' days up to and with `day`. Of the open day, `fold` is one with its facts (`withOpenDay`).
 */
export function judgeDay(fold: FoldState, day: string, rules: WashRules): Judgement {
  const clusters = clustersOf(fold, rules);
  const window = windowOf(fold, day, rules);
  const refunds = refundsOf(fold, window);
  const byLane = tradesOf(fold, window, clusters, refunds);
  const trades = [...byLane.values()];
  for (const trade of trades) trade.label = labelOfMoney(trade.lane) ?? trade.link;
  markRefunded(trades, rules);
  markRecirculated(trades, flowsOf(fold, trades, window, clusters, rules), rules);
  const diversified = diversifiedPayers(trades, rules);
  markClosedClusters(fold, trades, diversified, window, clusters, rules);
  const cohorts = markCohorts(fold, trades, diversified, window, rules);
  const overruled = overruledTrades(fold, day, byLane);
  for (const trade of overruled) trade.label = factOf(trade);
  markTooFew(trades, cohorts, rules);
  for (const trade of overruled) trade.label = factOf(trade);
  const labels = new Map<Lane, Label>();
  const floor = new Set<Lane>();
  for (const [lane, facts] of fold.demand.facts.get(day) ?? []) {
    const trade = byLane.get(lane);
    if (trade === undefined) continue;
    const own = refunds.get(lane);
    const label = firstOf(trade.label, isRefundedOn(facts, own, rules) ? "refunded" : undefined);
    if (label !== undefined) labels.set(lane, label);
    else if (leavesForGood(trade, facts, own?.ofDayAtomic ?? 0n)) floor.add(lane);
  }
  return { labels, floor, clusterOf: clusters.clusterOf };
}

/** What the log says of whose money it was, which is no opinion. */
function labelOfMoney({ funding, tagMode }: Lane): Label | undefined {
  if (funding !== "funded") return funding;
  return tagMode === "anonymous" ? "anonymous" : undefined;
}

/** What is said of the money itself, which a referee's word on who asked does not change. */
function factOf({ lane, isRefunded }: Trade): Label | undefined {
  return labelOfMoney(lane) ?? (isRefunded ? "refunded" : undefined);
}

/** Of the labels that hold, the one that is asked first. */
function firstOf(...holding: (Label | undefined)[]): Label | undefined {
  return LABELS.find((label) => holding.includes(label));
}

/** Payers who buy of many models that nothing is said against: what others do is no evidence on them. */
function diversifiedPayers(trades: readonly Trade[], { diversifiedModels }: WashRules): Set<Key> {
  const bought = trades.filter(({ label, valid }) => label === undefined && valid > 0);
  const counts = new Map<Key, number>();
  for (const { payer } of bought) addOne(counts, payer);
  const models = new Map<Key, Set<Key>>();
  for (const { payer, lane } of bought) {
    // Several lanes may be of one model, which few payers are worth telling apart for.
    if ((counts.get(payer) ?? 0) < diversifiedModels) continue;
    models.set(payer, (models.get(payer) ?? new Set()).add(lane.model));
  }
  return new Set([...models].filter(([, { size }]) => size >= diversifiedModels).map(([payer]) => payer));
}

/** The payer clusters of one model; of those who have a tag a day, by day. */
type Payers = { stable: Set<Key>; scoped: Map<string, Set<Key>> };

/**
 * Labels what is left of models that too few payers buy of to tell what it is. Who is labelled for what its seller does counts all
 * the same, and a cohort as one: else who has others labelled would take more from a model than those.
 */
function markTooFew(trades: readonly Trade[], cohorts: ReadonlyMap<Key, number>, { fewestClusters }: WashRules): void {
  const payers = new Map<Key, Payers>();
  const left = trades.filter(({ label, valid }) => label === undefined && valid > 0);
  for (const { lane, payer, days, label, valid } of trades) {
    if (valid === 0 || (label !== undefined && label !== "closed_cluster")) continue;
    let ofModel = payers.get(lane.model);
    if (ofModel === undefined) {
      ofModel = { stable: new Set(), scoped: new Map() };
      payers.set(lane.model, ofModel);
    }
    if (ofModel.stable.size >= fewestClusters) continue;
    if (lane.tagMode !== "scoped") ofModel.stable.add(payer);
    for (const day of days) ofModel.scoped.set(day, (ofModel.scoped.get(day) ?? new Set()).add(payer));
  }
  const isFew = (model: Key, own: Payers) => sizeOf(own) + (cohorts.get(model) ?? 0) < fewestClusters;
  const few = new Set([...payers].filter(([model, own]) => isFew(model, own)).map(([model]) => model));
  for (const trade of left) if (few.has(trade.lane.model)) trade.label = "too_few";
}

/** How many these are: thirty tags of thirty days may be one payer, so the day with the most says how many have a tag a day. */
function sizeOf({ stable, scoped }: Payers): number {
  const others = [...scoped.values()].map((ofDay) => [...ofDay].filter((payer) => !stable.has(payer)).length);
  return stable.size + Math.max(0, ...others);
}

/** What has a receipt of `day` whose label a referee found wrong. */
function overruledTrades(fold: FoldState, day: string, trades: ReadonlyMap<Lane, Trade>): Trade[] {
  return [...fold.demand.overruled].flatMap((id) => {
    const receipt = fold.receipts.get(id);
    const timeSeconds = receipt && timeOf(fold, receipt.index);
    const trade = receipt && trades.get(receipt.lane);
    const itsDay = timeSeconds === undefined ? OPEN_DAY : dayOf(timeSeconds);
    return trade !== undefined && itsDay === day ? [trade] : [];
  });
}

/** Whether the gateway is a third party, and its share of the mean price of the day, refunds off, comes to an atomic unit at least. */
function leavesForGood(
  { payer, node, publisher, gateway }: Trade,
  facts: readonly Fact[],
  refundedAtomic: bigint,
): boolean {
  if ([payer, node, publisher].includes(gateway)) return false;
  const valid = facts.reduce((sum, fact) => sum + fact.valid, 0);
  const paidAtomic = sumOf(facts, (fact) => fact.priceAtomic) - refundedAtomic;
  return valid > 0 && splitPrice(paidAtomic / BigInt(valid)).gateway > 0n;
}
