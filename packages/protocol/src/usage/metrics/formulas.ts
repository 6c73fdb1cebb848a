/**
 * The formulas of the catalogue: shares, concentration, quantiles, survival (docs/usage.md). Of integers alone, and rounded once,
 * to six digits, half up, so that any language gives the same number.
 */
import { exp, ln } from "../../elementary.ts";

/** Integers whose squares are safe integers, too. */
const SAFE_ROOT = 94_906_265;
/** Under this a million times the double of a number is exact, and so is its quotient's integer part. */
const SAFE_SHARE = 2 ** 31;

/** `numerator / denominator` to six digits, half up; null where there is nothing to divide by. Neither is under 0. */
export function ratio(numerator: number | bigint, denominator: number | bigint): number | null {
  if (Number(denominator) === 0) return null;
  if (numerator < SAFE_SHARE && denominator < SAFE_SHARE) {
    const [n, d] = [Number(numerator), Number(denominator)];
    return Math.floor((n * 2_000_000 + d) / (2 * d)) / 1e6;
  }
  const [n, d] = [BigInt(numerator), BigInt(denominator)];
  return Number((n * 2_000_000n + d) / (2n * d)) / 1e6;
}

/** What is asked of how something is spread over those who have it: amounts over 0, in any order. */
type Amounts = readonly number[];

const totalOf = (amounts: Amounts) => amounts.reduce((sum, amount) => sum + amount, 0);

function squaresOf(amounts: Amounts, total: number): number | bigint {
  if (total <= SAFE_ROOT) return amounts.reduce((sum, amount) => sum + amount * amount, 0);
  return amounts.reduce((sum, amount) => sum + BigInt(amount) ** 2n, 0n);
}

function squareOf(total: number): number | bigint {
  return total <= SAFE_ROOT ? total * total : BigInt(total) ** 2n;
}

/** Herfindahl and Hirschman's index: the sum of the squared shares. */
export function hhi(amounts: Amounts): number | null {
  const total = totalOf(amounts);
  return ratio(squaresOf(amounts, total), squareOf(total));
}

/** One over the index: as many of equal size would be as concentrated (Hill's number of order 2). */
export function effective(amounts: Amounts): number | null {
  const total = totalOf(amounts);
  return ratio(squareOf(total), squaresOf(amounts, total));
}

/** e to the entropy of the shares: Hill's number of order 1, in which the small count for more. */
export function effectiveByEntropy(amounts: Amounts): number | null {
  const total = totalOf(amounts);
  if (total === 0) return null;
  const entropy = [...amounts]
    .sort((a, b) => b - a)
    .reduce((sum, amount) => sum - (amount / total) * ln(amount / total), 0);
  return Math.round(1e6 / exp(-entropy)) / 1e6;
}

/** The share of the `most` largest. */
export function topShare(amounts: Amounts, most: number): number | null {
  const largest = [...amounts].sort((a, b) => b - a).slice(0, most);
  return ratio(totalOf(largest), totalOf(amounts));
}

/** Gini's coefficient over `population` that share the amounts, those with nothing among them. */
export function gini(amounts: Amounts, population: number): number | null {
  const total = totalOf(amounts);
  const offset = population - amounts.length;
  const sorted = [...amounts].sort((a, b) => a - b);
  const weighted = sorted.reduce(
    (sum, amount, i) => sum + BigInt(2 * (offset + i + 1) - population - 1) * BigInt(amount),
    0n,
  );
  return ratio(weighted, BigInt(population) * BigInt(total));
}

/** The fewest that have half of it together. */
export function fewestForHalf(amounts: Amounts): number | null {
  const total = totalOf(amounts);
  let sum = 0;
  const index = [...amounts]
    .sort((a, b) => b - a)
    .findIndex((amount) => {
      sum += amount;
      return 2 * sum >= total;
    });
  return total === 0 ? null : index + 1;
}

/** The least value that so many per mille of the counted values do not exceed. */
export function quantile(counts: ReadonlyMap<number, number>, perMille: number): number | null {
  const all = totalOf([...counts.values()]);
  let below = 0;
  for (const [value, count] of [...counts].sort(([a], [b]) => a - b)) {
    below += count;
    if (below * 1_000 >= all * perMille) return value;
  }
  return null;
}

/** How long one of a group was watched, and whether what was waited for came then. */
export type Watched = { hours: number; came: boolean };

const WHOLE = 10n ** 18n;

/** Kaplan and Meier's estimator: after so many hours this part of a group still waits, in parts of 10^18, rounded down at each step. */
function survival(watched: readonly Watched[]): { hours: number; waiting: bigint }[] {
  const sorted = [...watched].sort((a, b) => a.hours - b.hours);
  const curve: { hours: number; waiting: bigint }[] = [];
  let waiting = WHOLE;
  for (let i = 0; i < sorted.length; ) {
    const hours = sorted[i]?.hours ?? 0;
    const atRisk = sorted.length - i;
    let came = 0;
    for (; sorted[i]?.hours === hours; i++) if (sorted[i]?.came) came++;
    if (came === 0) continue;
    waiting = (waiting * BigInt(atRisk - came)) / BigInt(atRisk);
    curve.push({ hours, waiting });
  }
  return curve;
}

/** The hours after which it has come for half of them; null where it has for fewer. */
export function medianHours(watched: readonly Watched[]): number | null {
  return survival(watched).find(({ waiting }) => 2n * waiting <= WHOLE)?.hours ?? null;
}

/** The share for which it has come after `hours`, those who are watched for less taken as like the others. */
export function reachedBy(watched: readonly Watched[], hours: number): number | null {
  if (watched.length === 0) return null;
  const waiting = survival(watched).findLast((step) => step.hours <= hours)?.waiting ?? WHOLE;
  return ratio(WHOLE - waiting, WHOLE);
}
