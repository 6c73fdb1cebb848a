/** JSON that is not what was asked for: another type, too deep, too large, unknown, missing, twice, or no JSON at all. */
import type { Fuzzing } from "./random.ts";

type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

const ODD: readonly Json[] = [
  ...[null, true, false, 0, -1, 1.5, -0, 1e308, -1e308, 2 ** 53, 2 ** 64, 5e-324, 0.1],
  ...["", " ", "\u0000", "\ud800", "é".repeat(300), "x".repeat(5_000), "9".repeat(400), "__proto__", "../..", "NaN"],
  ...[
    [],
    {},
    [null],
    [[[]]],
    { a: { b: {} } },
    Array(300).fill(0),
    { __proto__: null },
    { constructor: 1, length: -1 },
  ],
];
/** Texts that no value stands for. */
const RAW = [
  '{"a":1,"a":2}',
  '{"__proto__":{"model":"x"}}',
  "[".repeat(20_000),
  `${'{"a":'.repeat(3_000)}1${"}".repeat(3_000)}`,
  "1e999999",
  `"${"\\u0000".repeat(1_000)}"`,
  "{",
  "\ufeff{}",
  "{}{}",
  "nul",
  "",
  "'single'",
];

/** The text of `value` with something wrong in it; once in a while with nothing. */
export function mutatedJson(fuzzing: Fuzzing, value: unknown): string {
  if (fuzzing.chance(0.05)) return fuzzing.one(RAW);
  let mutated: Json = JSON.parse(JSON.stringify(value));
  for (let i = fuzzing.number(4); i > 0; i--) mutated = mutate(fuzzing, mutated);
  let text = JSON.stringify(mutated);
  if (fuzzing.chance(0.02)) text = text.replace(/\d+/, fuzzing.one(["1e400", "-", "01", "9".repeat(2_000), "0x1"]));
  if (fuzzing.chance(0.02)) text = text.slice(0, fuzzing.number(text.length));
  return text;
}

function mutate(fuzzing: Fuzzing, value: Json): Json {
  if (Array.isArray(value) && value.length > 0 && fuzzing.chance(0.8)) return mutateArray(fuzzing, value);
  if (typeof value === "object" && value !== null && !Array.isArray(value) && fuzzing.chance(0.9))
    return mutateObject(fuzzing, value);
  return fuzzing.one(ODD);
}

function mutateArray(fuzzing: Fuzzing, value: Json[]): Json[] {
  const at = fuzzing.number(value.length);
  const copy = [...value];
  switch (fuzzing.number(4)) {
    case 0:
      copy.splice(at, 1);
      break;
    case 1:
      copy.push(...value.slice(0, 50));
      break;
    case 2:
      copy[at] = fuzzing.one(ODD);
      break;
    default:
      copy[at] = mutate(fuzzing, copy[at] ?? null);
  }
  return copy;
}

function mutateObject(fuzzing: Fuzzing, value: { [name: string]: Json }): { [name: string]: Json } {
  const names = Object.keys(value);
  if (names.length === 0) return { unknown: fuzzing.one(ODD) };
  const name = fuzzing.one(names);
  const { [name]: old = null, ...others } = value;
  switch (fuzzing.number(4)) {
    case 0:
      return others;
    case 1:
      return {
        ...value,
        [fuzzing.one(["unknown", "tools", "stream", "n", "", "store", "logprobs"])]: fuzzing.one(ODD),
      };
    case 2:
      return { ...value, [name]: fuzzing.one(ODD) };
    default:
      return { ...value, [name]: mutate(fuzzing, old) };
  }
}
