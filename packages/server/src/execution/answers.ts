/** What of an answer is not what the model gives: in tensors or in JSON, bit by bit or within a tolerance. */
import { type Answer, encodeJson, equal, type Json, type JsonObject, parseBase64 } from "@tallystick/protocol";
import { floatsFault, isWithin, type Tolerance, tensorsFault } from "./compare.ts";
import { floatsOf } from "./floats.ts";

/** In words that say nothing of the content; undefined where `claimed`, if it is an answer at all, is what `value` is. */
export function answersFault(claimed: Answer | undefined, value: Answer, tolerance?: Tolerance): string | undefined {
  if (claimed === undefined) return "it is no answer in canonical bytes";
  if ("outputs" in claimed)
    return "outputs" in value ? tensorsFault(claimed.outputs, value.outputs, tolerance) : "it is tensors";
  if ("outputs" in value) return "it is JSON";
  return bodiesFault(claimed.body, value.body, tolerance);
}

function bodiesFault(claimed: JsonObject, value: JsonObject, tolerance: Tolerance | undefined): string | undefined {
  for (const [name, other] of Object.entries(value)) {
    const one = claimed[name];
    if (one === undefined || !memberAgrees(name, one, other, tolerance)) return `its ${name} differ`;
  }
  // What the model has no member of is not told by its name: the node could write anything there.
  return Object.keys(claimed).every((name) => value[name] !== undefined)
    ? undefined
    : "it has more than the model gives";
}

function memberAgrees(name: string, claimed: Json, value: Json, tolerance: Tolerance | undefined): boolean {
  if (tolerance === undefined) return same(claimed, value);
  if (name === "embeddings") return embeddingsAgree(claimed, value, tolerance);
  return agrees(claimed, value, tolerance);
}

const same = (a: Json, b: Json) => equal(encodeJson(a), encodeJson(b));

/** Embeddings are texts in base64, of FP32. */
function embeddingsAgree(claimed: Json, value: Json, tolerance: Tolerance): boolean {
  if (!Array.isArray(claimed) || !Array.isArray(value) || claimed.length !== value.length) return false;
  return value.every((one, i) => {
    const [a, b] = [vectorOf(claimed[i]), vectorOf(one)];
    return a?.length === b?.length && a !== undefined && b !== undefined && !floatsFault(a, b, tolerance);
  });
}

function vectorOf(text: Json | undefined): Float64Array | undefined {
  const data = typeof text === "string" ? parseBase64(text) : undefined;
  if (data === undefined || data.length % 4 !== 0) return undefined;
  return floatsOf({ name: "embedding", datatype: "FP32", shape: [data.length / 4], data });
}

/** The same but for what it says of probabilities, which may be as far apart as the tolerance allows. */
function agrees(claimed: Json, value: Json, tolerance: Tolerance): boolean {
  return same(withoutNumbers(claimed), withoutNumbers(value)) && logprobsAgree(claimed, value, tolerance);
}

/** What an answer says of probabilities, and which other tokens were likely. */
const NUMBERS = new Set(["logprob", "token_logprobs", "top_logprobs"]);

function withoutNumbers(value: Json): Json {
  if (Array.isArray(value)) return value.map(withoutNumbers);
  if (typeof value !== "object" || value === null) return value;
  const kept = Object.entries(value).filter(([name]) => !NUMBERS.has(name));
  return Object.fromEntries(kept.map(([name, one]) => [name, withoutNumbers(one)]));
}

/**
 * A logarithm of a probability may be off by twice what a logit may: by its own and by that of all others together. The
 * likeliest tokens are compared by rank, since two that are as likely may have changed places.
 */
function logprobsAgree(claimed: Json, value: Json, { absolute, relative }: Tolerance): boolean {
  const [one, other] = [numbersOf(claimed), numbersOf(value)];
  const twice = { absolute: 2 * absolute, relative: 2 * relative };
  return one.length === other.length && other.every((number, i) => isWithin(one[i] ?? Number.NaN, number, twice));
}

/** The logarithms of probabilities in an answer, token after token. */
function numbersOf(value: Json | undefined): number[] {
  if (Array.isArray(value)) return value.flatMap(numbersOf);
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([name, one]) => {
    if (name === "logprob") return typeof one === "number" ? [one] : [];
    if (name === "token_logprobs") return Array.isArray(one) ? one.filter((each) => typeof each === "number") : [];
    if (name === "top_logprobs" && Array.isArray(one)) return one.flatMap(rankedOf);
    return numbersOf(one);
  });
}

/** The likeliest tokens at a place as completions list them, by rank; those of a chat are ranked already. */
function rankedOf(top: Json): number[] {
  if (typeof top !== "object" || top === null || Array.isArray(top)) return [];
  if (typeof top.logprob === "number") return [top.logprob];
  const values = Object.values(top).filter((one) => typeof one === "number");
  return values.sort((a, b) => b - a);
}
