import { utf8 } from "@tallystick/protocol";
import fc from "fast-check";
import { expect, test } from "vitest";
import { createEmission } from "./emission.ts";

/** What goes out of `pieces`, piece by piece, and at the end. */
function emit(pieces: Uint8Array[], ...stops: string[]): { texts: string[]; notes: number[][]; stopped: boolean } {
  const emission = createEmission<number>(stops.map(utf8));
  const texts: string[] = [];
  const notes: number[][] = [];
  for (const [i, piece] of pieces.entries()) {
    const out = emission.push(piece, i);
    texts.push(out.text);
    notes.push(out.notes);
    if (out.stopped) return { texts, notes, stopped: true };
  }
  const out = emission.flush();
  return { texts: [...texts, out.text], notes: [...notes, out.notes], stopped: false };
}

test("what may become a stop is held back, and goes out with its tokens once it cannot", () => {
  expect(emit(["a", " st", "o", "ne"].map(utf8), " stop")).toEqual({
    texts: ["a", "", "", " stone", ""],
    notes: [[0], [], [], [1, 2, 3], []],
    stopped: false,
  });
});

test("a stop across the borders of tokens is never seen, not even in part; a token that began before it is", () => {
  expect(emit(["we st", "o", "p here"].map(utf8), "stop")).toEqual({
    texts: ["we ", "", ""],
    notes: [[], [], [0]],
    stopped: true,
  });
  expect(emit(["x", "##", "y"].map(utf8), "##")).toMatchObject({ texts: ["x", ""], notes: [[0], []], stopped: true });
});

test("what is held back at the end goes out", () => {
  expect(emit(["a st", "o"].map(utf8), "stop").texts).toEqual(["a ", "", "sto"]);
});

test("the first of several stops counts", () => {
  expect(emit([utf8("one two three")], "three", "two").texts).toEqual(["one "]);
});

test("a character goes out when it is whole, and what is none as the sign for that", () => {
  const [a = 0, b = 0, c = 0] = utf8("€");
  expect(emit([Uint8Array.of(a), Uint8Array.of(b), Uint8Array.of(c)]).texts).toEqual(["", "", "€", ""]);
  expect(emit([Uint8Array.of(a, b), utf8("x")]).texts).toEqual(["", "\ufffdx", ""]);
  expect(emit([Uint8Array.of(a, b)]).texts).toEqual(["", "\ufffd"]);
  expect(emit([Uint8Array.of(0x80, 0x80, 0x80, 0x80)]).texts.join("")).toBe("\ufffd".repeat(4));
});

test("however a text is cut, what goes out is the text up to its first stop", () => {
  const letters = fc.stringMatching(/^[ab€]*$/);
  const stop = fc.stringMatching(/^[ab€]{1,3}$/);
  fc.assert(
    fc.property(letters, fc.array(stop, { maxLength: 3 }), fc.array(fc.nat(3)), (text, stops, cuts) => {
      const bytes = utf8(text);
      const pieces: Uint8Array[] = [];
      for (let at = 0, i = 0; at < bytes.length; i++) {
        const length = 1 + (cuts[i] ?? 0);
        pieces.push(bytes.subarray(at, at + length));
        at += length;
      }
      // The first to be complete wins, and of those the one that began first.
      const ends = stops.flatMap((one) => (text.includes(one) ? [text.indexOf(one)] : []));
      const { texts, stopped } = emit(pieces, ...stops);
      expect(stopped).toBe(ends.length > 0);
      const out = texts.join("");
      expect(text.startsWith(out)).toBe(true);
      for (const one of stops) expect(out.includes(one)).toBe(false);
      if (!stopped) expect(out).toBe(text);
    }),
  );
});
