/** DER (ITU-T X.690 §10), read strictly: definite lengths in their shortest form, one-byte tags, one spelling of each value. */
import { Malformed } from "../cbor/bytes.ts";

export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  enumerated: 0x0a,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** One element: its tag, its content, and both with the length between them. */
export type Element = { tag: number; value: Uint8Array; bytes: Uint8Array };

/** The tag of context class with this number; what is constructed holds further elements. */
export function contextTag(number: number, constructed: boolean): number {
  return (constructed ? 0xa0 : 0x80) | number;
}

/** Reads elements one after another. What it gives are views. Throws Malformed. */
export class DerReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** The tag of the next element; undefined at the end. */
  peek(): number | undefined {
    return this.#bytes[this.#at];
  }

  next(): Element {
    const start = this.#at;
    const tag = this.#byte();
    if ((tag & 0x1f) === 0x1f) throw new Malformed(`has a tag of more than one byte at byte ${start}`);
    const length = this.#length();
    if (length > this.#bytes.length - this.#at) throw new Malformed(`ends inside the element at byte ${start}`);
    const value = this.#bytes.subarray(this.#at, this.#at + length);
    this.#at += length;
    return { tag, value, bytes: this.#bytes.subarray(start, this.#at) };
  }

  /** The next element, which must have this tag. */
  expect(tag: number): Element {
    if (this.peek() !== tag)
      throw new Malformed(`has the tag ${this.peek() ?? "of nothing"} at byte ${this.#at} where ${tag} is due`);
    return this.next();
  }

  /** The next element where it has this tag. */
  find(tag: number): Element | undefined {
    return this.peek() === tag ? this.next() : undefined;
  }

  /** A reader of what is inside the next element, which must have this tag. */
  enter(tag: number = TAG.sequence): DerReader {
    return new DerReader(this.expect(tag).value);
  }

  finish(): void {
    if (this.#at !== this.#bytes.length)
      throw new Malformed(`has ${this.#bytes.length - this.#at} bytes after its end`);
  }

  #byte(): number {
    const byte = this.#bytes[this.#at];
    if (byte === undefined) throw new Malformed(`ends at byte ${this.#at}, where more was due`);
    this.#at++;
    return byte;
  }

  #length(): number {
    const first = this.#byte();
    if (first < 0x80) return first;
    const width = first & 0x7f;
    if (width === 0 || width > 4) throw new Malformed(`has an indefinite or overlong length before byte ${this.#at}`);
    let length = 0;
    for (let i = 0; i < width; i++) length = length * 256 + this.#byte();
    if (length < (width === 1 ? 0x80 : 256 ** (width - 1)))
      throw new Malformed(`has a length before byte ${this.#at} that is not in its shortest form`);
    return length;
  }
}

/** The one element that `bytes` are. Throws Malformed. */
export function parseElement(bytes: Uint8Array, tag: number): Element {
  const reader = new DerReader(bytes);
  const element = reader.expect(tag);
  reader.finish();
  return element;
}

/** An object identifier in dotted decimals. */
export function parseOid(value: Uint8Array): string {
  const last = value.at(-1);
  if (last === undefined || last >= 0x80) throw new Malformed("has an object identifier that ends early");
  const arcs: number[] = [];
  let arc = 0;
  let isFirst = true;
  for (const byte of value) {
    if (isFirst && byte === 0x80) throw new Malformed("has an object identifier with a leading zero");
    arc = arc * 128 + (byte & 0x7f);
    if (arc > Number.MAX_SAFE_INTEGER / 128) throw new Malformed("has an object identifier with an arc over 2^46");
    isFirst = byte < 0x80;
    if (!isFirst) continue;
    arcs.push(arc);
    arc = 0;
  }
  const [head = 0, ...rest] = arcs;
  const root = Math.min(2, Math.floor(head / 40));
  return [root, head - 40 * root, ...rest].join(".");
}

/** The two's complement bytes of an INTEGER, which has no byte too many. */
export function parseInteger(value: Uint8Array): Uint8Array {
  const [first, second] = value;
  if (first === undefined) throw new Malformed("has an integer without bytes");
  if (second !== undefined && ((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80)))
    throw new Malformed("has an integer that is not in its shortest form");
  return value;
}

/** An INTEGER from 0 to 2^31 - 1. */
export function parseSmallInteger(value: Uint8Array): number {
  const bytes = parseInteger(value);
  if (bytes.length > 4 || (bytes[0] ?? 0) >= 0x80)
    throw new Malformed("has an integer that is negative or over 2^31 - 1");
  return bytes.reduce((number, byte) => number * 256 + byte, 0);
}

export function parseBoolean(value: Uint8Array): boolean {
  if (value.length !== 1 || (value[0] !== 0 && value[0] !== 0xff))
    throw new Malformed("has a boolean other than 00 or FF");
  return value[0] === 0xff;
}

/** The bytes of a BIT STRING of whole bytes. */
export function parseBitString(value: Uint8Array): Uint8Array {
  if (value[0] !== 0) throw new Malformed("has a bit string that is not of whole bytes");
  return value.subarray(1);
}

/** Nothing that is read here names more: a longer one is there to cost time. */
const NAMED_BITS_BYTES = 4;

/** The named bits that are set in a BIT STRING. Trailing zeros, which DER leaves out, occur: AMD writes a whole byte. */
export function parseNamedBits(value: Uint8Array): Set<number> {
  if (value.length > 1 + NAMED_BITS_BYTES) throw new Malformed("has a bit string of more names than there are");
  const [unused = 8, ...bytes] = value;
  const last = bytes.at(-1);
  if (unused > 7 || (last === undefined && unused !== 0)) throw new Malformed("has a bit string of a wrong length");
  if (last !== undefined && (last & ((1 << unused) - 1)) !== 0)
    throw new Malformed("has a bit string with set padding");
  return new Set(
    bytes.flatMap((byte, i) => [0, 1, 2, 3, 4, 5, 6, 7].filter((k) => byte & (0x80 >> k)).map((k) => 8 * i + k)),
  );
}

/** Seconds since 1970 of a UTCTime or a GeneralizedTime, in the forms of RFC 5280 §4.1.2.5: to the second, in UTC. */
export function parseTime({ tag, value }: Element): number {
  const text = value.reduce((digits, byte) => digits + String.fromCharCode(byte), "");
  const match = /^(\d\d)?(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(text);
  const isUtc = tag === TAG.utcTime;
  if (match === null || (match[1] === undefined) !== isUtc || !(isUtc || tag === TAG.generalizedTime))
    throw new Malformed("has a time that is not YYMMDDHHMMSSZ or YYYYMMDDHHMMSSZ");
  const [century = 0, short = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match
    .slice(1)
    .map((digits) => Number(digits ?? "0"));
  const year = isUtc ? (short >= 50 ? 1900 + short : 2000 + short) : 100 * century + short;
  const time = new Date(0);
  time.setUTCFullYear(year, month - 1, day);
  time.setUTCHours(hour, minute, second);
  // What carries into the next field was no date.
  if (time.getUTCMonth() !== month - 1 || time.getUTCDate() !== day || hour > 23 || minute > 59 || second > 59)
    throw new Malformed("has a time that is not in the calendar");
  return time.getTime() / 1000;
}
