import { utf8 } from "@tallystick/protocol";
import { describe, expect, test } from "vitest";
import { decodeLine, parseCharacters } from "./text-line.ts";

const CHARACTERS = parseCharacters(utf8("a\nb\n"));

/** Scores in which each step is sure of one character: "-" of none, "_" of a space. */
function scores(steps: string, sureness = 0.9): Float32Array {
  return Float32Array.from(
    [...steps].flatMap((step) => ["-", "a", "b", "_"].map((one) => (one === step ? sureness : 0.01))),
  );
}

const read = (steps: string) => decodeLine(scores(steps), 0, steps.length, CHARACTERS);

describe("reading a line", () => {
  test("joins a character that repeats, and parts it where nothing is between", () => {
    expect(read("aa--abb_b").text).toBe("aab b");
    expect(read("a-a").text).toBe("aa");
  });

  test("is as sure as its characters are on average, and not at all of an empty line", () => {
    expect(read("--a-").confidence).toBeCloseTo(0.9);
    expect(read("----")).toEqual({ text: "", confidence: 0 });
    const mixed = Float32Array.from([...scores("a", 0.8), ...scores("b", 0.6)]);
    expect(decodeLine(mixed, 0, 2, CHARACTERS).confidence).toBeCloseTo(0.7);
  });

  test("takes the first of two characters that are as likely", () => {
    expect(decodeLine(Float32Array.of(0.1, 0.4, 0.4, 0.1), 0, 1, CHARACTERS).text).toBe("a");
  });

  test("starts at its offset", () => {
    expect(decodeLine(scores("aab"), 2 * 4, 1, CHARACTERS).text).toBe("b");
  });
});

test("the characters are none, those of the file whether or not it ends its last line, and a space", () => {
  expect(CHARACTERS).toEqual(["", "a", "b", " "]);
  expect(parseCharacters(utf8("a\nb"))).toEqual(CHARACTERS);
  expect(parseCharacters(utf8("\u3000\n"))).toEqual(["", "\u3000", " "]);
});
