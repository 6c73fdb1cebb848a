/**
 * Whether tokens may have been chosen by an engine whose logits are near to those at hand: what remains to be checked where
 * bits are not the same everywhere (docs/design/judge-runtime.md, "Forcing").
 */
import { exp } from "@tallystick/protocol";
import type { Tolerance } from "./compare.ts";
import { argmax, heaviestFirst, type Sampling, scoresOf, sum, weightsOf } from "./sampling.ts";

/** How far any logit may be from the other engine's: the tolerance of the largest of them. */
export function marginOf(logits: Float32Array, { absolute, relative }: Tolerance): number {
  return absolute + relative * logits.reduce((most, logit) => Math.max(most, Math.abs(logit)), 0);
}

/**
 * The share of the margin that any token may need: what is left without the allowance of tolerance.ts, the worst logit that was
 * seen. Drawn tokens were seen to need a tenth of that, since the errors of many logits cancel out in the sums behind a draw.
 */
export const USUAL = 1 / 10;
/** Tokens that may need more of it, up to all: of the likeliest, which two logits alone decide, some; of others, one in so many. */
const STRAYS_LIKELIEST = 2;
const PLACES_PER_STRAY = 50;

/** Why a token, the next of an answer, is none that an engine whose logits are near would have chosen; undefined where it may be. */
export type Forcing = (
  token: number,
  logits: Float32Array,
  counts: ReadonlyMap<number, number>,
  draw: number,
) => string | undefined;

/**
 * Holds the tokens of an answer, one after the other, to the logits of their places. Few may need the whole margin: else
 * whoever has the weights could choose at most places, and among many tokens.
 */
export function createForcing(sampling: Sampling, tolerance: Tolerance): Forcing {
  const free = sampling.temperature === 0 ? STRAYS_LIKELIEST : 0;
  let places = 0;
  let strays = 0;
  return (token, logits, counts, draw) => {
    const margin = marginOf(logits, tolerance);
    places++;
    if (mayBeChosen(token, logits, sampling, counts, draw, USUAL * margin)) return undefined;
    if (!mayBeChosen(token, logits, sampling, counts, draw, margin)) return "is none that the model would have chosen";
    strays++;
    if (strays <= free + Math.floor(places / PLACES_PER_STRAY)) return undefined;
    return `is one of ${strays} that the model would hardly have chosen`;
  };
}

/** So that even a margin without end leaves numbers that can be divided. */
const SMALLEST = 1e-300;
/** For sums of 64-bit floats, of as many terms as there are tokens. */
const ROUNDING = 1e-9;

/**
 * Whether `token` is what some logits, none of them further than `margin` from `logits`, give for this draw. An honest token
 * always is; another is where the draw falls near a border between two tokens, or two are about as likely.
 */
export function mayBeChosen(
  token: number,
  logits: Float32Array,
  sampling: Sampling,
  counts: ReadonlyMap<number, number>,
  draw: number,
  margin: number,
): boolean {
  const { temperature, topP } = sampling;
  const scores = scoresOf(logits, sampling, counts);
  const score = scores[token];
  if (score === undefined) return false;
  if (temperature === 0) return score >= (scores[argmax(scores)] ?? 0) - 2 * margin;
  const weights = weightsOf(scores, temperature);
  // Each weight may be larger or smaller by the factor exp(margin / temperature): so a share's odds by that factor twice.
  const factor = Math.max(SMALLEST, exp((-2 * margin) / temperature));
  const least = (share: number) => (share * factor) / (share * factor + 1 - share);
  const most = (share: number) => share / (share + (1 - share) * factor);
  if (topP === 1) {
    const { before, through } = sharesById(weights, token);
    return least(before) <= draw + ROUNDING && draw <= most(through) + ROUNDING;
  }
  const { before, through } = sharesByWeight(weights, scores, token, 2 * margin);
  const nucleus = nucleusShares(weights, topP, least, most);
  return (
    least(before) <= topP + ROUNDING &&
    least(before) <= draw * nucleus.most + ROUNDING &&
    draw * nucleus.least <= most(through) + ROUNDING
  );
}

/** The shares of all tokens of lower id, without `token` and with it. */
function sharesById(weights: Float64Array, token: number): { before: number; through: number } {
  const total = sum(weights);
  const before = sum(weights.subarray(0, token)) / total;
  return { before, through: Math.min(1, before + (weights[token] ?? 0) / total) };
}

/** The share of the tokens that are heavier than `token` by more than `gap` in score, and of all that may be, with `token`. */
function sharesByWeight(weights: Float64Array, scores: Float64Array, token: number, gap: number) {
  const own = scores[token] ?? 0;
  let before = 0;
  let through = 0;
  let total = 0;
  for (const [id, weight] of weights.entries()) {
    const score = scores[id] ?? 0;
    total += weight;
    if (score > own + gap) before += weight;
    if (score >= own - gap) through += weight;
  }
  return { before: before / total, through: Math.min(1, through / total) };
}

/** The least and the most that the kept tokens' share of all may be. */
function nucleusShares(
  weights: Float64Array,
  topP: number,
  least: (share: number) => number,
  most: (share: number) => number,
) {
  const total = sum(weights);
  let share = 0;
  let shortest: number | undefined;
  for (const id of heaviestFirst(weights)) {
    share = Math.min(1, share + (weights[id] ?? 0) / total);
    if (shortest === undefined && most(share) >= topP) shortest = share;
    if (least(share) >= topP) break;
  }
  return { least: least(shortest ?? share), most: most(share) };
}
