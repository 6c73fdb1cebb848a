/**
 * Which token comes next, from a model's logits and a seed: the same on every machine that has the same logits. All is in
 * 64-bit floats, summed in the order of the tokens' ids; docs/design/generation.md says why it is done like this.
 */
import { concat, exp, ln, sha256, utf8 } from "@tallystick/protocol";
import type { GenerationRequest } from "./generation.ts";

const DOMAIN = utf8("tallystick/sampling/v1\0");

/**
 * The random number of a place, at least 0 and below 1: the first 53 bits of SHA-256 over a label, the seed (8 bytes, big
 * endian), the choice and the position in it (4 bytes each), divided by 2^53. It depends on nothing drawn before it.
 */
export function drawAt(seed: number, choice: number, position: number): number {
  const place = new Uint8Array(16);
  const view = new DataView(place.buffer);
  view.setBigUint64(0, BigInt(seed));
  view.setUint32(8, choice);
  view.setUint32(12, position);
  const digest = sha256(concat(DOMAIN, place));
  const bits = new DataView(digest.buffer, digest.byteOffset).getBigUint64(0) >> 11n;
  return Number(bits) / 2 ** 53;
}

export type Sampling = Pick<GenerationRequest, "temperature" | "topP" | "frequencyPenalty" | "presencePenalty">;

/** The logits less their penalties. */
export function scoresOf(
  logits: Float32Array,
  { frequencyPenalty, presencePenalty }: Sampling,
  counts: ReadonlyMap<number, number>,
): Float64Array {
  const scores = Float64Array.from(logits);
  for (const [token, count] of counts)
    scores[token] = (scores[token] ?? 0) - count * frequencyPenalty - (count > 0 ? presencePenalty : 0);
  return scores;
}

/** What each token weighs at a temperature above 0; the heaviest weighs 1. */
export function weightsOf(scores: Float64Array, temperature: number): Float64Array {
  const highest = scores[argmax(scores)] ?? 0;
  return scores.map((score) => exp((score - highest) / temperature));
}

/** All tokens, the heaviest first; of equal ones, the lower id. */
export function heaviestFirst(weights: Float64Array): number[] {
  return [...weights.keys()].sort((a, b) => (weights[b] ?? 0) - (weights[a] ?? 0) || a - b);
}

/** The next token. `counts` says how often each was written so far; `draw` is of this place. */
export function chooseToken(
  logits: Float32Array,
  sampling: Sampling,
  counts: ReadonlyMap<number, number>,
  draw: number,
): number {
  const { temperature, topP } = sampling;
  const scores = scoresOf(logits, sampling, counts);
  const best = argmax(scores);
  if (temperature === 0) return best;
  const weights = weightsOf(scores, temperature);
  if (topP === 1) return pick(weights.keys(), weights, draw * sum(weights));
  // A nucleus: the likeliest tokens which together have the share; of equal ones, the lower id.
  const order = heaviestFirst(weights);
  const enough = topP * sum(weights);
  let share = 0;
  let length = 0;
  while (length < order.length && (length === 0 || share < enough)) share += weights[order[length++] ?? 0] ?? 0;
  return pick(order.slice(0, length), weights, draw * share);
}

/** The first of `tokens` with which their weights add up to more than `target`. */
function pick(tokens: Iterable<number>, weights: Float64Array, target: number): number {
  let reached = 0;
  let last = 0;
  for (const token of tokens) {
    const weight = weights[token] ?? 0;
    if (weight === 0) continue;
    reached += weight;
    last = token;
    if (reached > target) break;
  }
  return last;
}

/** The natural logarithm of each token's probability, of all tokens by id. */
export function logProbabilities(logits: Float32Array): Float64Array {
  const scores = Float64Array.from(logits);
  const highest = scores[argmax(scores)] ?? 0;
  const logSum = ln(sum(scores.map((score) => exp(score - highest))));
  return scores.map((score) => score - highest - logSum);
}

/** The `count` likeliest tokens, the likeliest first; of equal ones, the lower id. */
export function likeliest(values: Float64Array, count: number): number[] {
  const found: number[] = [];
  for (const [token, value] of values.entries()) {
    let at = found.length;
    while (at > 0 && value > (values[found[at - 1] ?? 0] ?? 0)) at--;
    if (at >= count) continue;
    found.splice(at, 0, token);
    if (found.length > count) found.pop();
  }
  return found;
}

export function argmax(values: Float64Array): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if ((values[i] ?? 0) > (values[best] ?? 0)) best = i;
  return best;
}

export function sum(values: Float64Array): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}
