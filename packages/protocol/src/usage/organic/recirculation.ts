/** How much of what a payer paid came back to it (docs/spec/usage.md, "Organic", `recirculated`). */
import { order } from "../counts.ts";
import type { Key } from "../state.ts";
import type { WashRules } from "../wash-rules.ts";
import { addAmount, type Flows, widest } from "./flows.ts";
import { maxFlow, type Way } from "./max-flow.ts";
import { isShare, markGivenBack } from "./refunds.ts";
import type { Trade } from "./trades.ts";

/** Of the ways out of the sellers and of those into the payer so many are looked at, the widest. */
export const WIDEST = 256;
/** Ways between them that one judgement looks at, for the largest trades first. What is left over stands. */
const LOOKED_AT = 1_000_000;

/** How many ways are still to be looked at, and the widest of those parties that were. */
export type Work = { left: number; flows: Flows; widest: Map<string, [Key, bigint][]> };

export function createWork(flows: Flows, left = LOOKED_AT): Work {
  return { left, flows, widest: new Map() };
}

/** A payer, those whom most of the price of some trades goes to, and all that it paid them, and was given back late, in any trade. */
type Pair = { payer: Key; sellers: readonly Key[]; paidAtomic: bigint; lateAtomic: bigint; trades: Trade[] };

/**
 * Marks the trades of pairs of which the rules' share or more came back: by refunds alone as `refunded`, else as `recirculated`.
 */
export function markRecirculated(trades: Iterable<Trade>, flows: Flows, rules: WashRules): void {
  const { hops, perMille } = rules.recirculation;
  const work = createWork(flows);
  for (const pair of pairsOf(trades, flows)) {
    if (isShare(pair.lateAtomic, pair.paidAtomic, rules)) {
      for (const trade of pair.trades) markGivenBack(trade);
      continue;
    }
    const enough = (pair.paidAtomic * BigInt(perMille) + 999n) / 1_000n;
    if (!mayReturn(flows, pair, enough) || returned(flows, pair, hops, enough, work) < enough) continue;
    for (const trade of pair.trades) trade.label ??= "recirculated";
  }
}

/** The pairs of different parties with anything paid, where the payer took anything from anybody; most first. */
function pairsOf(trades: Iterable<Trade>, { taken }: Flows): Pair[] {
  const pairs = new Map<string, Pair>();
  const paid = new Map<string, bigint>();
  const late = new Map<string, bigint>();
  for (const trade of trades) {
    const { payer, node, publisher, paidAtomic, lateAtomic } = trade;
    if (!taken.has(payer) || paidAtomic + lateAtomic === 0n || payer === node || payer === publisher) continue;
    const sellers = node === publisher ? [node] : [node, publisher].sort(order);
    const name = nameOf(payer, sellers);
    const pair = pairs.get(name);
    if (pair === undefined) pairs.set(name, { payer, sellers, paidAtomic, lateAtomic, trades: [trade] });
    else {
      pair.trades.push(trade);
      pair.paidAtomic += paidAtomic;
      pair.lateAtomic += lateAtomic;
    }
    for (const seller of sellers) {
      addAmount(paid, nameOf(payer, [seller]), paidAtomic);
      addAmount(late, nameOf(payer, [seller]), lateAtomic);
    }
  }
  const named = [...pairs].map(([name, pair]) => {
    const [paidAtomic, lateAtomic] = [ofEither(paid, pair, pair.paidAtomic), ofEither(late, pair, pair.lateAtomic)];
    return { name, pair: { ...pair, paidAtomic, lateAtomic } };
  });
  named.sort((a, b) => {
    const difference = b.pair.paidAtomic - a.pair.paidAtomic;
    return difference === 0n ? order(a.name, b.name) : difference > 0n ? 1 : -1;
  });
  return named.map(({ pair }) => pair);
}

/**
 * What all trades of the payer with any of the sellers come to, of which those with both are `ofBoth`: else what came back once
 * would count against each of them.
 */
function ofEither(amounts: ReadonlyMap<string, bigint>, { payer, sellers }: Pair, ofBoth: bigint): bigint {
  const [one, other] = sellers.map((seller) => amounts.get(nameOf(payer, [seller])) ?? 0n);
  return other === undefined ? (one ?? 0n) : (one ?? 0n) + other - ofBoth;
}

function nameOf(payer: Key, sellers: readonly Key[]): string {
  return [payer, ...sellers].join(" ");
}

/** Whether as much left the sellers, and came to the payer, wherever it went in between. */
function mayReturn({ given, taken }: Flows, { payer, sellers }: Pair, enough: bigint): boolean {
  if ((taken.get(payer)?.totalAtomic ?? 0n) < enough) return false;
  return sellers.reduce((sum, seller) => sum + (given.get(seller)?.totalAtomic ?? 0n), 0n) >= enough;
}

/**
 * The most of the sellers' money that can have come to the payer over at most `hops` flows, each unit of a flow taken once;
 * or the first amount found that is `enough`. It is a maximum flow, which is one number whatever the order.
 */
export function returned(
  { given, taken }: Flows,
  { payer, sellers }: Pick<Pair, "payer" | "sellers">,
  hops: WashRules["recirculation"]["hops"],
  enough: bigint,
  work: Work,
): bigint {
  const direct = sellers.reduce((sum, seller) => sum + (given.get(seller)?.by.get(payer) ?? 0n), 0n);
  if (direct >= enough || hops === 1 || work.left <= 0) return direct;
  const isBetween = ([party]: [Key, bigint]) => party !== payer && !sellers.includes(party);
  const leaving = widestOf(work, sellers, given).filter(isBetween);
  const coming = widestOf(work, [payer], taken).filter(isBetween);
  const last = new Map(coming.map(([party], i) => [party, 2 + i]));
  const ways: Way[] = coming.map(([, amount], i) => ({ from: 2 + i, to: 1, amount }));
  ways.push({ from: 0, to: 1, amount: direct });
  for (const [i, [party, amount]] of leaving.entries()) {
    const place = 2 + coming.length + i;
    ways.push({ from: 0, to: place, amount });
    const itself = last.get(party);
    if (itself !== undefined) ways.push({ from: place, to: itself, amount });
    const onward = given.get(party)?.by;
    if (hops === 2 || onward === undefined) continue;
    const shorter = onward.size < last.size ? onward : last;
    work.left -= shorter.size;
    for (const other of shorter.keys()) {
      const [next, amount] = [last.get(other), onward.get(other)];
      if (next !== undefined && amount !== undefined) ways.push({ from: place, to: next, amount });
    }
  }
  work.left -= leaving.length + coming.length;
  return maxFlow(2 + leaving.length + coming.length, ways, enough);
}

/** What `parties` gave or took together, the widest ways of it, computed once for each of them. */
function widestOf(work: Work, parties: readonly Key[], sides: Flows["given"]): [Key, bigint][] {
  const name = `${sides === work.flows.given} ${parties.join(" ")}`;
  let ways = work.widest.get(name);
  if (ways === undefined) {
    const merged = new Map<Key, bigint>();
    for (const party of parties)
      for (const [other, amount] of sides.get(party)?.by ?? []) addAmount(merged, other, amount);
    work.left -= merged.size;
    ways = widest(merged, WIDEST);
    work.widest.set(name, ways);
  }
  return ways;
}
