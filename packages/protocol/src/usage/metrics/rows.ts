/** The metrics of one row, from what its lanes come to (docs/usage.md). */
import { GRADES } from "../proof-state.ts";
import type { MetricId } from "./catalogue.ts";
import { effective, quantile, ratio, topShare } from "./formulas.ts";
import { addCounts, type Rank, type Sums } from "./portions.ts";
import type { Shares, Tally } from "./tallies.ts";

/** A figure: a count or a quotient, an amount of atomic units as a text, or none. */
export type Value = number | string | null;
/** Gross, valid, organic, floor. */
export type Quad = [Value, Value, Value, Value];
export type Row = Partial<Record<MetricId, Quad>>;

/** Puts a figure into a row, where there is anything in it: what a row lacks is nothing. */
export function put(row: Row, id: MetricId, quad: Quad): void {
  if (quad.some((value) => value !== null && value !== 0 && value !== "0")) row[id] = quad;
}

/** A quotient is put where there is one, 0 too: its lack says that there was nothing to divide by. */
export function putRatio(row: Row, id: MetricId, quad: Quad): void {
  if (quad.some((value) => value !== null)) row[id] = quad;
}

/** Each stratum has in it those after it. */
export function cumulate([gross, valid, organic, floor]: Shares): Shares {
  return [gross + valid + organic + floor, valid + organic + floor, organic + floor, floor];
}

export const inferencesOf = ({ excluded, sums }: Tally): Shares =>
  cumulate([excluded, sums[0].inferences, sums[1].inferences, sums[2].inferences]);

/** A count that only valid receipts have, by stratum. */
export function countsOf({ sums }: Tally, countOf: (sums: Sums) => number): [number, number, number] {
  const [labelled, organic, floor] = sums.map(countOf);
  const [, valid, ...rest] = cumulate([0, labelled ?? 0, organic ?? 0, floor ?? 0]);
  return [valid, ...rest];
}

export function amountsOf({ sums }: Tally, amountOf: (sums: Sums) => bigint): [bigint, bigint, bigint] {
  const [labelled = 0n, organic = 0n, floor = 0n] = sums.map(amountOf);
  return [labelled + organic + floor, organic + floor, floor];
}

/** A count as a figure: a number while numbers are exact, and else a text in decimal, as amounts are. */
export function countValue(count: bigint): number | string {
  return count <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(count) : String(count);
}

/** How many are of at least each rank. */
export function countRanks(ranks: Iterable<Rank>): Shares {
  const counts: Shares = [0, 0, 0, 0];
  for (const rank of ranks) counts[rank]++;
  return cumulate(counts);
}

export function rankOfShares([, valid, organic, floor]: Shares): Rank {
  return floor > 0 ? 3 : organic > 0 ? 2 : valid > 0 ? 1 : 0;
}

/** What each has of each stratum, those with nothing left out. */
export function amountsByStratum(shares: Iterable<Shares>): [number[], number[], number[], number[]] {
  const amounts: [number[], number[], number[], number[]] = [[], [], [], []];
  for (const own of shares)
    cumulate(own).forEach((amount, at) => {
      if (amount > 0) amounts[at]?.push(amount);
    });
  return amounts;
}

export function mapQuad<T>(values: readonly [T, T, T, T], figureOf: (value: T, at: number) => Value): Quad {
  const [gross, valid, organic, floor] = values;
  return [figureOf(gross, 0), figureOf(valid, 1), figureOf(organic, 2), figureOf(floor, 3)];
}

const ofAmounts = (amounts: readonly bigint[]): Quad => {
  const [valid = 0n, organic = 0n, floor = 0n] = amounts;
  return [null, String(valid), String(organic), String(floor)];
};
const ratios = (above: readonly (number | bigint)[], below: readonly (number | bigint)[]): Quad => {
  const [valid = null, organic = null, floor = null] = above.map((n, at) => ratio(n, below[at] ?? 0));
  return [null, valid, organic, floor];
};

/** The additive ones, of whatever period. */
export function putSums(row: Row, tally: Tally): void {
  put(row, "inferences", inferencesOf(tally));
  const putCount = (id: MetricId, countOf: (sums: Sums) => number) => put(row, id, [null, ...countsOf(tally, countOf)]);
  const putUnits = (id: MetricId, unitsOf: (sums: Sums) => bigint) => {
    const [valid, organic, floor] = amountsOf(tally, unitsOf);
    put(row, id, [null, countValue(valid), countValue(organic), countValue(floor)]);
  };
  putUnits("units", ({ units }) => units);
  putUnits("output_units", ({ outputUnits }) => outputUnits);
  putCount("acknowledged", ({ acknowledged }) => acknowledged);
  for (const grade of GRADES)
    putCount(grade === "none" ? "untrusted_inferences" : `${grade}_inferences`, ({ tiers }) => tiers[grade]);
  putCount("verified_inferences", verifiedOf);
  put(row, "failures", [tally.failed, null, null, null]);
  putMoney(row, tally);
}

export const verifiedOf = ({ tiers }: Sums): number => tiers.attested + tiers.reexecuted + tiers.proved;

function putMoney(row: Row, tally: Tally): void {
  const putAmount = (id: MetricId, amountOf: (sums: Sums) => bigint) =>
    put(row, id, ofAmounts(amountsOf(tally, amountOf)));
  putAmount("revenue_gross", ({ priceAtomic }) => priceAtomic);
  putAmount("revenue_refunded", ({ refundedAtomic }) => refundedAtomic);
  putAmount("revenue_net", ({ priceAtomic, refundedAtomic }) => priceAtomic - refundedAtomic);
  putAmount("revenue_subsidised", (sums) => sums.subsidisedAtomic - sums.refundedSubsidisedAtomic);
}

/** Those of sets and quotients, of days and what is longer. */
export function putSets(row: Row, tally: Tally): void {
  const { payers, tags, sums } = tally;
  put(row, "payers", countRanks([...payers.values()].map(rankOfShares)));
  put(row, "payer_tags", countRanks(tags.values()));
  const byPayer = amountsByStratum(payers.values());
  putRatio(row, "effective_payers", mapQuad(byPayer, effective));
  putRatio(
    row,
    "top_payer_share",
    mapQuad(byPayer, (amounts) => topShare(amounts, 1)),
  );
  const all = inferencesOf(tally);
  const [gross, ...valid] = all;
  putRatio(row, "failure_rate", [ratio(tally.failed, gross), null, null, null]);
  putRatio(
    row,
    "wash_gap",
    mapQuad(all, (own) => ratio(gross - own, gross)),
  );
  putRatio(
    row,
    "acknowledged_share",
    ratios(
      countsOf(tally, ({ ownAcknowledged }) => ownAcknowledged),
      valid,
    ),
  );
  putRatio(row, "proof_coverage", ratios(countsOf(tally, verifiedOf), valid));
  const prices = amountsOf(tally, pricesOf);
  const refunded = amountsOf(tally, ({ ownRefundedAtomic }) => ownRefundedAtomic);
  const subsidised = amountsOf(tally, ({ subsidisedAtomic }) => subsidisedAtomic);
  putRatio(row, "refund_rate", ratios(refunded, prices));
  putRatio(row, "subsidised_share", ratios(subsidised, prices));
  putLags(row, sums, valid);
}

/** Of a model alone: units of two are not of one kind. */
export function putUnitPrice(row: Row, tally: Tally): void {
  const units = amountsOf(tally, (sums) => sums.units);
  putRatio(row, "price_per_unit", ratios(amountsOf(tally, pricesOf), units));
}

const pricesOf = ({ priceAtomic }: Sums) => priceAtomic;

function putLags(row: Row, sums: Tally["sums"], valid: readonly number[]): void {
  if (sums.every((own) => own.lags === undefined)) {
    putRatio(row, "never_verified_share", ratios(valid, valid));
    return;
  }
  const lags = [0, 1, 2].map((from) => {
    const merged = new Map<number, number>();
    for (const { lags: own } of sums.slice(from)) if (own !== undefined) addCounts(merged, own);
    return merged;
  });
  const countOf = (counts: ReadonlyMap<number, number>) => [...counts.values()].reduce((sum, count) => sum + count, 0);
  const never = lags.map((own, at) => (valid[at] ?? 0) - countOf(own));
  putRatio(row, "never_verified_share", ratios(never, valid));
  const quantiles = (perMille: number): Quad => {
    const [labelled = null, organic = null, floor = null] = lags.map((own) => quantile(own, perMille));
    return [null, labelled, organic, floor];
  };
  putRatio(row, "verification_lag_p50", quantiles(500));
  putRatio(row, "verification_lag_p95", quantiles(950));
  putRatio(row, "verification_lag_p99", quantiles(990));
}
