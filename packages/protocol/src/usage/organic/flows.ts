/** Money between clusters in the window: what payers paid to sellers and were given back late, and what funders gave to payers. */
import { order } from "../counts.ts";
import { splitPrice } from "../credits.ts";
import { type FoldState, type Key, timeOf } from "../state.ts";
import type { WashRules } from "../wash-rules.ts";
import { type Clusters, sharedFundersOf } from "./clusters.ts";
import type { Trade, Window } from "./trades.ts";

/** What one cluster gave to others, or took from them. */
export type Side = { totalAtomic: bigint; by: Map<Key, bigint> };
export type Flows = { given: Map<Key, Side>; taken: Map<Key, Side> };

/** A day is closed a day after its end: what came back by then counts, since nothing comes back before it was paid. */
const OPEN_SECONDS = 86_400;

/**
 * The flows of the window that can be part of a way from a seller. What stays in one cluster is none, nor is what operators
 * gave: it is not in what was paid, either.
 */
export function flowsOf(
  fold: FoldState,
  trades: readonly Trade[],
  window: Window,
  clusters: Clusters,
  rules: WashRules,
): Flows {
  const flows: Flows = { given: new Map(), taken: new Map() };
  const gifts = [...giftsOf(fold, window, clusters.clusterOf, clusters.clusterOf, rules), ...refundsBack(trades)];
  const reached = reachedFrom(sellersOf(trades), gifts, rules.recirculation.hops);
  for (const { from, to, amountAtomic } of gifts) if (reached.has(from)) addFlow(flows, from, to, amountAtomic);
  for (const { payer, node, publisher, gateway, paidAtomic } of trades) {
    if (paidAtomic === 0n || !reached.has(payer)) continue;
    const share = splitPrice(paidAtomic);
    addFlow(flows, payer, node, share.node);
    addFlow(flows, payer, publisher, share.publisher);
    addFlow(flows, payer, gateway, share.gateway);
  }
  return flows;
}

type Gift = { from: Key; to: Key; amountAtomic: bigint };

/** What named funders outside the operators gave to payers, each by the name of its party. */
export function giftsOf(
  fold: FoldState,
  window: Window,
  giverOf: (member: Key) => Key,
  takerOf: (member: Key) => Key,
  rules: WashRules,
): Gift[] {
  const shared = sharedFundersOf(rules);
  const gifts: Gift[] = [];
  for (const { index, payer, funder, amountAtomic, isOperators } of fold.demand.funded) {
    if (funder === undefined || isOperators || shared.has(funder)) continue;
    const seconds = timeOf(fold, index) ?? fold.timeSeconds ?? 0;
    const isInWindow = seconds >= window.sinceSeconds && seconds < window.untilSeconds + OPEN_SECONDS;
    if (isInWindow) gifts.push({ from: giverOf(funder), to: takerOf(payer), amountAtomic });
  }
  return gifts;
}

/** What sellers gave back of days that were closed: what a day sees of refunds is not in what was paid, either. */
function refundsBack(trades: readonly Trade[]): Gift[] {
  return trades.flatMap(({ payer, node, publisher, gateway, lateAtomic }) => {
    if (lateAtomic === 0n) return [];
    const share = splitPrice(lateAtomic);
    return [
      { from: node, to: payer, amountAtomic: share.node },
      { from: publisher, to: payer, amountAtomic: share.publisher },
      { from: gateway, to: payer, amountAtomic: share.gateway },
    ];
  });
}

function sellersOf(trades: readonly Trade[]): Set<Key> {
  const sellers = new Set<Key>();
  for (const { node, publisher, gateway } of trades) sellers.add(node).add(publisher).add(gateway);
  return sellers;
}

/** Who may have a seller's money: the sellers, whom every payment goes to, and whom gifts reach from them. */
function reachedFrom(sellers: ReadonlySet<Key>, gifts: readonly Gift[], hops: number): ReadonlySet<Key> {
  const reached = new Set(sellers);
  for (let hop = 0; hop < hops; hop++) {
    const before = new Set(reached);
    for (const { from, to } of gifts) if (before.has(from)) reached.add(to);
  }
  return reached;
}

function addFlow({ given, taken }: Flows, from: Key, to: Key, amountAtomic: bigint): void {
  if (from === to || amountAtomic === 0n) return;
  addTo(given, from, to, amountAtomic);
  addTo(taken, to, from, amountAtomic);
}

function addTo(sides: Map<Key, Side>, one: Key, other: Key, amountAtomic: bigint): void {
  let side = sides.get(one);
  if (side === undefined) {
    side = { totalAtomic: 0n, by: new Map() };
    sides.set(one, side);
  }
  side.totalAtomic += amountAtomic;
  addAmount(side.by, other, amountAtomic);
}

export function addAmount(amounts: Map<Key, bigint>, name: Key, amountAtomic: bigint): void {
  amounts.set(name, (amounts.get(name) ?? 0n) + amountAtomic);
}

/** The `most` largest of amounts, those of equal size by name. */
export function widest(amounts: ReadonlyMap<Key, bigint>, most: number): [Key, bigint][] {
  if (amounts.size <= most) return [...amounts];
  return [...amounts].sort(([a, x], [b, y]) => (x === y ? order(a, b) : x > y ? -1 : 1)).slice(0, most);
}
