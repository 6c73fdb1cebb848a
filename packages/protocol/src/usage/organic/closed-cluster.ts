/**
 * Payers whose trade is nearly all with sellers whose own money goes round (docs/spec/usage.md, "Organic", `closed_cluster`). A
 * seller is the owner of nodes, and its money goes round by what it does itself: what others do makes nobody suspect.
 */
import type { FoldState, Key } from "../state.ts";
import type { WashRules } from "../wash-rules.ts";
import type { Clusters } from "./clusters.ts";
import { giftsOf } from "./flows.ts";
import type { Trade, Window } from "./trades.ts";

/** The score of a party all of whose trade is suspected. */
const SUSPECTED = 1_000_000n;

/** What one cluster's payers paid to one owner's nodes, and the part of it that payers of that owner did. */
type Bought = { payer: Key; seller: Key; paidAtomic: bigint; ownAtomic: bigint };

/** Labels what payers in closed clusters bought of sellers whose own income goes round. */
export function markClosedClusters(
  fold: FoldState,
  trades: readonly Trade[],
  diversified: ReadonlySet<Key>,
  window: Window,
  clusters: Clusters,
  rules: WashRules,
): void {
  const { ownerOf } = clusters;
  const bought = boughtOf(trades, clusters);
  const incomes = incomesOf(bought, givenBetween(fold, window, clusters, rules), rules);
  const goesRound = suspectedFrom(rules.recirculation.perMille);
  if (![...incomes.values()].some((score) => score >= goesRound)) return;
  const scores = scoresOf(bought, incomes);
  for (const trade of trades) {
    if (trade.paidAtomic === 0n || diversified.has(trade.payer)) continue;
    if ((incomes.get(ownerOf(trade.lane.node)) ?? 0n) < goesRound) continue;
    if ((scores.get(trade.payer) ?? 0n) >= suspectedFrom(rules.closedCluster.perMille))
      trade.label ??= "closed_cluster";
  }
}

const suspectedFrom = (perMille: number) => (SUSPECTED * BigInt(perMille)) / 1_000n;
const pairOf = (from: Key, to: Key) => `${from} ${to}`;

function boughtOf(trades: readonly Trade[], { ownerOf }: Clusters): Bought[] {
  const pairs = new Map<string, Bought>();
  for (const { lane, payer, paidAtomic } of trades) {
    if (paidAtomic === 0n) continue;
    const seller = ownerOf(lane.node);
    const pair = pairs.get(pairOf(payer, seller)) ?? { payer, seller, paidAtomic: 0n, ownAtomic: 0n };
    pairs.set(pairOf(payer, seller), pair);
    pair.paidAtomic += paidAtomic;
    if (ownerOf(lane.payer) === seller) pair.ownAtomic += paidAtomic;
  }
  return [...pairs.values()];
}

/** What the keys of one owner gave straight to the payers of one cluster. */
function givenBetween(fold: FoldState, window: Window, { ownerOf, clusterOf }: Clusters, rules: WashRules) {
  const given = new Map<string, bigint>();
  for (const { from, to, amountAtomic } of giftsOf(fold, window, ownerOf, clusterOf, rules))
    given.set(pairOf(from, to), (given.get(pairOf(from, to)) ?? 0n) + amountAtomic);
  return given;
}

/** How much of each seller's income goes round: what its own payers paid, and those to whom it gave back the rules' share or more. */
function incomesOf(bought: readonly Bought[], given: ReadonlyMap<string, bigint>, rules: WashRules): Map<Key, bigint> {
  const enough = BigInt(rules.recirculation.perMille);
  return meansOf(bought, "seller", ({ payer, seller, paidAtomic, ownAtomic }) => {
    const isGivenBack = (given.get(pairOf(seller, payer)) ?? 0n) * 1_000n >= paidAtomic * enough;
    return isGivenBack ? SUSPECTED : (SUSPECTED * ownAtomic) / paidAtomic;
  });
}

/** Of each payer the mean of its sellers' incomes. */
function scoresOf(bought: readonly Bought[], incomes: ReadonlyMap<Key, bigint>): Map<Key, bigint> {
  return meansOf(bought, "payer", ({ seller }) => incomes.get(seller) ?? 0n);
}

/** By payer or seller, the mean of what its pairs have, weighted by what was paid. */
function meansOf(bought: readonly Bought[], side: "payer" | "seller", worth: (pair: Bought) => bigint) {
  const sums = new Map<Key, { weighted: bigint; paidAtomic: bigint }>();
  for (const pair of bought) {
    const sum = sums.get(pair[side]) ?? { weighted: 0n, paidAtomic: 0n };
    sums.set(pair[side], sum);
    sum.weighted += worth(pair) * pair.paidAtomic;
    sum.paidAtomic += pair.paidAtomic;
  }
  return new Map([...sums].map(([party, { weighted, paidAtomic }]) => [party, weighted / paidAtomic]));
}
