import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { RUNS } from "../../../../test/runs.ts";
import { readVectors, type Vector } from "../../../../test/vectors.ts";
import { vectorsOf } from "../../../../test/vectors-dir.ts";
import { parseBase64 } from "../bytes.ts";
import { Malformed } from "../cbor/bytes.ts";
import { encodeJson, parseCanonicalJson } from "./canonical.ts";

const folder = vectorsOf("jcs");

describe.skipIf(folder === undefined)("RFC 8785's own test data", () => {
  test.each(folder === undefined ? [] : readdirSync(join(folder, "input")))("%s", (name) => {
    const input: unknown = JSON.parse(readFileSync(join(folder ?? "", "input", name), "utf8"));
    const output = new Uint8Array(readFileSync(join(folder ?? "", "output", name)));
    expect(encodeJson(input)).toEqual(output);
    expect(parseCanonicalJson(output)).toEqual(input);
  });
});

test.each(readVectors<Vector & { json: string }>("call/canonical-json.json"))("$desc", ({ json, wantErr }) => {
  const bytes = parseBase64(json) ?? new Uint8Array(0);
  if (wantErr) expect(() => parseCanonicalJson(bytes)).toThrow(Malformed);
  else expect(encodeJson(parseCanonicalJson(bytes))).toEqual(bytes);
});

const text = (value: unknown) => new TextDecoder().decode(encodeJson(value));

test("names are in the order of their UTF-16 code units, and absent members are left out", () => {
  expect(text({ b: 1, "\u{1f600}": 2, "\ufb33": 3, a: undefined, A: [1e21, -0, 0.1] })).toBe(
    '{"A":[1e+21,0,0.1],"b":1,"\u{1f600}":2,"\ufb33":3}',
  );
});

test("whatever JSON says, its canonical form is read back to it, and only that form", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const bytes = encodeJson(value);
      expect(encodeJson(parseCanonicalJson(bytes))).toEqual(bytes);
    }),
    RUNS,
  );
});

test.each([
  ["a space", '{"a": 1}'],
  ["names out of order", '{"b":1,"a":2}'],
  ["a name twice", '{"a":1,"a":2}'],
  ["another spelling of a number", "[1.0]"],
  ["another spelling of a text", '["\\u0061"]'],
  ["half a pair", '["\\ud800"]'],
  ["nothing", ""],
  ["more than one value", "1 2"],
])("%s is no canonical form", (_, spelling) => {
  expect(() => parseCanonicalJson(new TextEncoder().encode(spelling))).toThrow(/canonical|surrogate/);
});

test.each([
  ["an infinite number", Number.POSITIVE_INFINITY],
  ["half a pair", "\udfff"],
  ["half a pair in a name", { "\ud800": 1 }],
  ["a bigint", 1n],
  ["a function", [() => 1]],
  ["65 arrays in one another", Array.from({ length: 65 }).reduce((inner: unknown) => [inner], 1)],
])("%s has no canonical form", (_, value) => {
  expect(() => encodeJson(value)).toThrow(/has /);
});
