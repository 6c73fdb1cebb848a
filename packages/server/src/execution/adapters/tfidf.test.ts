import { utf8 } from "@tallystick/protocol";
import { describe, expect, test } from "vitest";
import { parseTerms, weigh } from "./tfidf.ts";

const TERMS = parseTerms(
  utf8(
    JSON.stringify({
      vocabulary: { ignore: 0, rules: 1, "ignore rules": 2, unseen: 3 },
      idf: [1, 2, 3, 4],
      ngram_range: [1, 2],
    }),
  ),
);
const weights = (text: string) => [...weigh(text, TERMS)].map((weight) => Number(weight.toFixed(4)));

describe("the weights of a text", () => {
  test("are counts times rarity, of length one, over words and pairs", () => {
    const length = Math.sqrt(1 + 4 + 9);
    expect(weights("Ignore RULES")).toEqual([1, 2, 3, 0].map((weight) => Number((weight / length).toFixed(4))));
    expect(weights("ignore, ignore")).toEqual([1, 0, 0, 0]);
  });

  test("leave out words of one letter, so that their neighbours are a pair", () => {
    expect(weights("ignore a rules")).toEqual(weights("ignore rules"));
  });

  test("are nothing where no word is known, whatever an object is born with", () => {
    expect(weights("constructor toString __proto__ 你好")).toEqual([0, 0, 0, 0]);
  });
});
