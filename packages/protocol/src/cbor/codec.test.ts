import fc from "fast-check";
import { expect, test } from "vitest";
import { RUNS } from "../../../../test/runs.ts";
import { Malformed } from "./bytes.ts";
import {
  amount,
  byteString,
  decode,
  dimension,
  encode,
  exactly,
  fixedBytes,
  list,
  optional,
  required,
  struct,
  text,
  uint,
  word,
} from "./codec.ts";

const everything = struct({
  version: required(0, exactly(3)),
  count: required(1, uint()),
  price: required(2, amount),
  shape: required(5, list(dimension, 8)),
  digest: required(6, fixedBytes(4)),
  note: optional(7, text(10)),
  colour: optional(10, word({ red: 1, green: 300 })),
  blob: optional(23, byteString(6)),
});

const anything = fc.record(
  {
    version: fc.constant(3 as const),
    count: fc.maxSafeNat(),
    price: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    shape: fc.array(fc.oneof(fc.constant(-1), fc.maxSafeNat()), { maxLength: 8 }),
    digest: fc.uint8Array({ minLength: 4, maxLength: 4 }),
    note: fc.string({ unit: "binary", maxLength: 5 }),
    colour: fc.constantFrom("red" as const, "green" as const),
    blob: fc.uint8Array({ maxLength: 6 }),
  },
  { requiredKeys: ["version", "count", "price", "shape", "digest"] },
);

test("what is encoded is decoded to the same value", () => {
  fc.assert(
    fc.property(anything, (value) => {
      expect(decode(everything, encode(everything, value))).toEqual(value);
    }),
    RUNS,
  );
});

test("bytes that decode are those that the value encodes to: there is one spelling", () => {
  const start = anything.map((value) => encode(everything, value));
  fc.assert(
    fc.property(start, fc.nat(), fc.integer({ min: 1, max: 255 }), (bytes, at, change) => {
      const changed = bytes.map((byte, i) => (i === at % bytes.length ? byte ^ change : byte));
      try {
        expect(encode(everything, decode(everything, changed))).toEqual(changed);
      } catch (error) {
        expect(error).toBeInstanceOf(Malformed);
      }
    }),
    { numRuns: RUNS.numRuns * 10 },
  );
});

test("bytes that nobody wrote are decoded to a value or are malformed, nothing else", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      try {
        decode(everything, bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(Malformed);
      }
    }),
    RUNS,
  );
});

test.each([
  ["a number under 0", () => encode(uint(), -1)],
  ["a number over 2^53 - 1", () => encode(uint(), 2 ** 53)],
  ["a number over its bound", () => encode(uint(7), 8)],
  ["a fraction", () => encode(uint(), 1.5)],
  ["no number", () => encode(uint(), Number.NaN)],
  ["an amount under 0", () => encode(amount, -1n)],
  ["an amount of 65 bits", () => encode(amount, 2n ** 64n)],
  ["a dimension of -2", () => encode(dimension, -2)],
  ["a byte too few", () => encode(fixedBytes(4), new Uint8Array(3))],
  ["a byte too many", () => encode(byteString(4), new Uint8Array(5))],
  ["a letter too many", () => encode(text(4), "abcde")],
  ["a text that its pattern refuses", () => encode(text(4, /^[a-z]+$/), "A")],
  ["a text with a line break after what its pattern allows", () => encode(text(4, /^[a-z]+$/), "a\n")],
  ["half of a surrogate pair", () => encode(text(4), "a\ud800")],
  ["an item too many", () => encode(list(uint(), 1), [1, 2])],
  ["a dimension of -2 on the wire", () => decode(dimension, Uint8Array.of(0x21))],
  ["a word that is not one of them", () => decode(word({ red: 1 }), Uint8Array.of(2))],
  ["another version", () => decode(exactly(1), Uint8Array.of(2))],
])("%s is malformed", (_, attempt) => {
  expect(attempt).toThrow(Malformed);
});

test("a definition whose keys do not ascend from 0 to 23 is a bug, found when it is made", () => {
  expect(() => struct({ a: required(1, uint()), b: required(1, uint()) })).toThrow("key 1 of b");
  expect(() => struct({ a: required(2, uint()), b: required(1, uint()) })).toThrow("key 1 of b");
  expect(() => struct({ a: required(24, uint()) })).toThrow("key 24 of a");
});
