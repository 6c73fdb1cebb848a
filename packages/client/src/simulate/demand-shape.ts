/**
 * How demand is spread over models, fitted to the one public set of figures of it: runs of 3,633 models of Replicate in 28
 * days, 2024-12-18 to 2025-01-15 (npm, all-the-public-replicate-models 1.352.0).
 *
 * The fit is by rank. Of the runs, 34.2 % are of the first model, 83.5 % of the first ten, 98.4 % of the first hundred, and
 * 39.9 % of the models have none. Between those points: within the ten, shares fall with the power 1.7 of the rank, which gives
 * the Herfindahl index of 0.172 that was measured; from the eleventh on as 1/rank² and a constant, so that the first
 * 36 have 94.4 %; after the hundredth evenly, with one call at least.
 */

/** What was measured, per mille; the index of concentration times a thousand. */
export const REPLICATE = { idle: 399, first: 342, ten: 835, thirtySix: 944, hundred: 984, herfindahl: 172 } as const;

/** A tenth of Replicate's models: ranks are kept, and only what comes after the hundredth is thinned out. */
export const MODELS = 363;
/** Those with any demand. */
export const ACTIVE_MODELS = MODELS - Math.round((MODELS * REPLICATE.idle) / 1_000);

/** The shares of the first ten, per mille. */
const TEN = [342, 195, 98, 60, 41, 30, 23, 18, 15, 13];

/** How many of `calls` each active model gets, by its rank from 0: none gets less than one. */
export function callsByRank(calls: number): number[] {
  const middle = Array.from({ length: 90 }, (_, i) => Math.floor(1e9 / ((i + 11) * (i + 11))) + 139_000);
  const tail = Array.from({ length: ACTIVE_MODELS - 100 }, () => 1);
  const shares = [
    ...TEN.map((share) => (calls * share) / 1_000),
    ...scaled(middle, (calls * (REPLICATE.hundred - REPLICATE.ten)) / 1_000),
    ...scaled(tail, (calls * (1_000 - REPLICATE.hundred)) / 1_000),
  ];
  return shares.map((share) => Math.max(1, Math.round(share)));
}

function scaled(weights: readonly number[], total: number): number[] {
  const sum = weights.reduce((all, weight) => all + weight, 0);
  return weights.map((weight) => (weight * total) / sum);
}

export type Shape = { [figure in keyof typeof REPLICATE]: number };

/** The same figures of any demand: calls by model, idle ones with 0. Per mille, rounded. */
export function shapeOf(calls: readonly number[]): Shape {
  const sorted = calls.toSorted((a, b) => b - a);
  const total = sorted.reduce((sum, count) => sum + count, 0);
  const first = (count: number) =>
    Math.round((1_000 * sorted.slice(0, count).reduce((sum, calls) => sum + calls, 0)) / Math.max(1, total));
  const squares = sorted.reduce((sum, count) => sum + count * count, 0);
  return {
    idle: Math.round((1_000 * sorted.filter((count) => count === 0).length) / sorted.length),
    first: first(1),
    ten: first(10),
    thirtySix: first(36),
    hundred: first(100),
    herfindahl: Math.round((1_000 * squares) / Math.max(1, total * total)),
  };
}
