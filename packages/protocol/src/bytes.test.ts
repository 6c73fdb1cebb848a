import fc from "fast-check";
import { expect, test } from "vitest";
import { RUNS } from "../../../test/runs.ts";
import { base64, concat, equal, hex, parseBase64, parseHex, parseUtf8, utf8 } from "./bytes.ts";

const bytes = fc.uint8Array({ maxLength: 64 });
/** Any sequence of UTF-16 units, half pairs included. */
const anyText = fc.array(fc.nat(0xffff), { maxLength: 24 }).map((units) => String.fromCharCode(...units));
const wellFormed = anyText.map((text) => text.replace(/\p{Surrogate}/gu, "é"));

test("hex, base64 and UTF-8 are spelled as Node.js spells them", () => {
  fc.assert(
    fc.property(bytes, anyText, (some, text) => {
      expect(hex(some)).toBe(Buffer.from(some).toString("hex"));
      expect(base64(some)).toBe(Buffer.from(some).toString("base64"));
      expect(Buffer.from(utf8(text))).toEqual(Buffer.from(text, "utf8"));
    }),
    RUNS,
  );
});

test("what was spelled is read back", () => {
  const same = (a: Uint8Array | undefined, b: Uint8Array) => a !== undefined && equal(a, b);
  fc.assert(
    fc.property(bytes, wellFormed, (some, text) => {
      return same(parseHex(hex(some)), some) && same(parseBase64(base64(some)), some) && parseUtf8(utf8(text)) === text;
    }),
    RUNS,
  );
});

test("base64 is read only in the one spelling that writing it again gives", () => {
  const letters = fc.string({ unit: fc.constantFrom(..."AQgwZz09+/=-_ \n"), maxLength: 12 });
  fc.assert(
    fc.property(letters, (text) => {
      const again = Buffer.from(text, "base64");
      expect(parseBase64(text)).toEqual(again.toString("base64") === text ? new Uint8Array(again) : undefined);
    }),
    { numRuns: RUNS.numRuns * 5 },
  );
});

test.each([
  ["no padding", "YQ"],
  ["too much padding", "YQ==="],
  ["padding alone", "===="],
  ["padding in the middle", "YQ==YQ=="],
  ["a bit left over after one byte", "YR=="],
  ["a bit left over after two bytes", "YWJ="],
  ["the alphabet for URLs", "-_-_"],
  ["a space", "YQ= "],
  ["a line break", "YWJj\nYWJj"],
])("base64 with %s is refused", (_, text) => {
  expect(parseBase64(text)).toBeUndefined();
});

test.each([
  ["an odd digit", "abc"],
  ["upper case", "AB"],
  ["a prefix", "0x12"],
  ["a space", "1 "],
])("hex with %s is refused", (_, text) => {
  expect(parseHex(text)).toBeUndefined();
});

test("UTF-8 is refused exactly where a fatal decoder refuses it", () => {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const decoded = (some: Uint8Array) => {
    try {
      return decoder.decode(some);
    } catch {
      return undefined;
    }
  };
  const disagreed: string[] = [];
  for (let pair = 0; pair < 0x10000; pair++)
    for (const tail of [[], [0x80, 0xbf]]) {
      const some = Uint8Array.of(pair >> 8, pair & 255, ...tail);
      if (parseUtf8(some) !== decoded(some)) disagreed.push(hex(some));
    }
  expect(disagreed).toEqual([]);
  fc.assert(
    fc.property(bytes, (some) => parseUtf8(some) === decoded(some)),
    RUNS,
  );
});

test("a text longer than a call can take arguments is read and written whole", () => {
  const long = "aé€😀".repeat(100_000);
  expect(parseUtf8(utf8(long))).toBe(long);
  const some = new Uint8Array(300_001).map((_, i) => i);
  expect(base64(some)).toBe(Buffer.from(some).toString("base64"));
});

test("equal byte strings are of one length and one content", () => {
  expect(equal(Uint8Array.of(1, 2), concat(Uint8Array.of(1), Uint8Array.of(2)))).toBe(true);
  expect(equal(Uint8Array.of(1, 2), Uint8Array.of(1, 3))).toBe(false);
  expect(equal(Uint8Array.of(1, 2), Uint8Array.of(1, 2, 0))).toBe(false);
});
