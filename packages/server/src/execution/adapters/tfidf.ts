/**
 * `tfidf@1`: texts as weighted counts of words and pairs of words, as scikit-learn's TfidfVectorizer has them: lower
 * case, words of two letters or more, counts times the inverse document frequency, and the length one.
 */
import assert from "node:assert/strict";
import { parseUtf8, type Tensor, textElements } from "@tallystick/protocol";
import type { Adapter, Kit, Outcome } from "../adapter.ts";
import { eachAlone, findInput, refuse, remembered } from "./inputs.ts";
import { floatTensorOf, floatValues } from "./numbers.ts";

const MAX_TEXTS = 64;
const MAX_CHARACTERS = 65_536;

export const tfidf: Adapter = {
  name: "tfidf",
  version: 1,
  run: (calls, kit) => eachAlone(calls, (call) => answer(call, kit)),
};

async function answer(call: Tensor[], kit: Kit): Promise<Outcome> {
  const input = findInput(call, "text");
  const texts = input && textElements(input);
  if (texts === undefined) return refuse(`"text" is missing or not UTF-8`);
  if (texts.length < 1 || texts.length > MAX_TEXTS)
    return refuse(`"text" has ${texts.length} elements: send 1 to ${MAX_TEXTS}`);
  const chances = new Float32Array(texts.length);
  for (const [i, text] of texts.entries()) {
    if (text.trim() === "") return refuse(`text ${i} is empty`);
    if (text.length > MAX_CHARACTERS)
      return refuse(`text ${i} is longer than ${MAX_CHARACTERS} characters: send it in parts`);
    const features = weigh(text, termsOf(kit));
    const [output] = await kit.run("classifier.onnx", [floatTensorOf("features", [1, features.length], features)]);
    assert(output, "the graph gives a probability");
    chances[i] = floatValues(output)[0] ?? 0;
  }
  return {
    ok: true,
    outputs: [floatTensorOf("injection_probability", [texts.length], chances)],
    unitCount: texts.length,
  };
}

export type Terms = { indices: Map<string, number>; rarities: number[]; least: number; most: number };

const termsOf = remembered((kit: Kit) => parseTerms(kit.file("vocabulary.json")));

/** The terms of a JSON of `vocabulary`, `idf` and `ngram_range`. */
export function parseTerms(file: Uint8Array): Terms {
  const { vocabulary, idf, ngram_range }: Record<string, unknown> = JSON.parse(parseUtf8(file) ?? "");
  assert(typeof vocabulary === "object" && vocabulary !== null && Array.isArray(idf) && Array.isArray(ngram_range));
  const indices = new Map<string, number>(Object.entries(vocabulary));
  const [least, most] = ngram_range;
  return { indices, rarities: idf, least, most };
}

/** The features of `text`, one for each term. */
export function weigh(text: string, { indices, rarities, least, most }: Terms): Float32Array {
  const words = text.toLowerCase().match(/\b\w\w+\b/g) ?? [];
  const counts = new Map<number, number>();
  for (let length = least; length <= most; length++)
    for (let start = 0; start + length <= words.length; start++) {
      const index = indices.get(words.slice(start, start + length).join(" "));
      if (index !== undefined) counts.set(index, (counts.get(index) ?? 0) + 1);
    }
  // In order of the terms, so that the sum is the same whatever order the words came in.
  const weights = [...counts]
    .sort(([a], [b]) => a - b)
    .map(([index, count]) => ({ index, weight: count * (rarities[index] ?? 0) }));
  const norm = Math.sqrt(weights.reduce((sum, { weight }) => sum + weight * weight, 0));
  const features = new Float32Array(rarities.length);
  for (const { index, weight } of weights) features[index] = weight / norm;
  return features;
}
