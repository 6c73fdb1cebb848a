/** JSON in its one spelling (RFC 8785, JSON Canonicalization Scheme): what is committed to where a call or an answer is JSON. */
import { parseUtf8, utf8 } from "../bytes.ts";
import { Malformed } from "../cbor/bytes.ts";
import { JSON_DEPTH } from "../limits.ts";

export type Json = null | boolean | number | string | Json[] | JsonObject;
export type JsonObject = { [name: string]: Json };

/** Half of a surrogate pair has no UTF-8, so what would be signed is another text. */
const LONE_SURROGATE = /\p{Surrogate}/u;

/**
 * `value` in canonical JSON, UTF-8. ECMAScript writes numbers and strings as RFC 8785 asks; names are in the order of their
 * UTF-16 code units. Throws Malformed on what JSON cannot say: an infinite number, half of a surrogate pair, too deep a nesting.
 */
export function encodeJson(value: unknown): Uint8Array {
  return utf8(spell(value, 0));
}

/** Reads canonical JSON, and nothing else: another spelling of the same value is malformed. */
export function parseCanonicalJson(bytes: Uint8Array): Json {
  const text = parseUtf8(bytes);
  const value = text === undefined ? undefined : findJson(text);
  if (value === undefined || spell(value, 0) !== text) throw new Malformed("is not JSON in its canonical form");
  return value;
}

/** The value of a text of JSON, in whatever spelling; undefined where it is none. */
export function findJson(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json; // What JSON.parse gives is a Json by definition.
  } catch {
    return undefined;
  }
}

function spell(value: unknown, depth: number): string {
  if (typeof value === "string") return spellText(value);
  if (value === null || typeof value === "boolean") return String(value);
  if (typeof value === "number") {
    if (!Number.isFinite(value)) throw new Malformed("has a number that JSON cannot say");
    return String(value);
  }
  if (typeof value !== "object") throw new Malformed(`has a ${typeof value} where JSON is due`);
  if (depth >= JSON_DEPTH) throw new Malformed(`has JSON nested more than ${JSON_DEPTH} deep`);
  if (Array.isArray(value)) return `[${value.map((item) => spell(item, depth + 1)).join(",")}]`;
  const members = value as Record<string, unknown>;
  let text = "";
  for (const name of Object.keys(members).sort()) {
    const member = members[name];
    if (member !== undefined) text += `${text === "" ? "" : ","}${spellText(name)}:${spell(member, depth + 1)}`;
  }
  return `{${text}}`;
}

/** Text that JSON writes as it is: names, and most of what is said in English. */
const PLAIN = /^[ !#-[\]-~]*$/;

function spellText(text: string): string {
  if (PLAIN.test(text)) return `"${text}"`;
  const spelled = JSON.stringify(text);
  // JSON.stringify escapes half of a pair, and seldom else writes this.
  if (spelled.includes("\\ud") && LONE_SURROGATE.test(text))
    throw new Malformed("has a text with half of a surrogate pair");
  return spelled;
}

/** Whether a value is an object of JSON: neither null nor an array. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
