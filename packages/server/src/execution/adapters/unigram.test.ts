import { utf8 } from "@tallystick/protocol";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { normaliseText, parseVocabulary, segment } from "./unigram.ts";

const MARKS = ["<unk>", "<s>", "</s>", "<1>", "<2>", "<3>"].map((mark) => [mark, 0]);
const PIECES = [
  ["▁", -2],
  ["a", -3],
  ["b", -3],
  ["ab", -4],
  [":", null],
  ["▁ab", -5],
  ["abab", -9],
];
const VOCABULARY = parseVocabulary(utf8(JSON.stringify([...MARKS, ...PIECES])));

function pieces(text: string): unknown[] {
  return segment(normaliseText(text), VOCABULARY).map((id) => [...MARKS, ...PIECES][id]?.[0]);
}

describe("segmentation", () => {
  test("takes the likeliest pieces, not the longest", () => {
    expect(pieces("ab")).toEqual(["▁ab"]);
    expect(pieces("abab")).toEqual(["▁ab", "ab"]);
    expect(pieces("ba")).toEqual(["▁", "b", "a"]);
  });

  test("makes one unknown piece of unknown characters in a row, also of those outside the basic plane", () => {
    expect(pieces("a☃☃b")).toEqual(["▁", "a", "<unk>", "b"]);
    expect(pieces("😀")).toEqual(["▁", "<unk>"]);
  });

  test("never takes a mark from a text", () => {
    expect(pieces("<s>")).toEqual(["▁", "<unk>"]);
  });

  test("gives a piece whose score is lost that of the one before it", () => {
    expect(VOCABULARY.pieces.get(":")).toEqual({ id: 10, score: -4 });
  });

  test("finds a way through any text", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        const normal = normaliseText(text);
        const ids = segment(normal, VOCABULARY);
        expect(ids.every((id) => id >= 0 && id < VOCABULARY.size)).toBe(true);
        expect(ids.length === 0).toBe(normal === "");
      }),
    );
  });
});

test("a text is composed, and its spaces are one before each word", () => {
  expect(normaliseText("  ﬁne \n cafe\u0301 ")).toBe("▁fine▁café");
  expect(normaliseText(" \t ")).toBe("");
});
