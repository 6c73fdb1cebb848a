/**
 * Deterministic CBOR (RFC 8949 §4.2.1), the subset Tallystick signs: integers, byte and text strings, arrays and maps
 * of definite length, tag 18, null. Shortest form only; what is not in that form is malformed. No floats.
 */
import { parseUtf8, utf8 } from "../bytes.ts";

/** Bytes that are not what they should be. The message says where and why; it never repeats the bytes. */
export class Malformed extends Error {
  override name = "Malformed";
}

export const MAJOR = { uint: 0, negative: 1, bytes: 2, text: 3, array: 4, map: 5, tag: 6 } as const;
type Major = (typeof MAJOR)[keyof typeof MAJOR];

/**
 * What the writer that finished last left free of its slab, for the next: an entry takes a dozen writers, one after another,
 * and a buffer for each would cost more than all that they write.
 */
let spare: { slab: Uint8Array; from: number } | undefined;
const SLAB_SIZE_BYTES = 16_384;
/** A slab that has less left is not written on. */
const SPARE_SIZE_BYTES = 1_024;
/** Up to here a text is written letter by letter, as long as its letters are ASCII. */
const SHORT_LENGTH = 64;

/** Appends deterministic CBOR items to a buffer that grows. */
export class CborWriter {
  #buffer: Uint8Array;
  #start: number;
  #length: number;

  constructor() {
    this.#buffer = spare?.slab ?? new Uint8Array(SLAB_SIZE_BYTES);
    this.#start = spare?.from ?? 0;
    this.#length = this.#start;
    spare = undefined;
  }

  #reserve(count: number): void {
    if (this.#length + count <= this.#buffer.length) return;
    const grown = new Uint8Array(Math.max(this.#buffer.length * 2, this.#length + count));
    grown.set(this.#buffer.subarray(this.#start, this.#length));
    this.#length -= this.#start;
    this.#start = 0;
    this.#buffer = grown;
  }

  /** The first bytes of an item: its major type and its argument, in the shortest form. */
  head(major: Major, argument: number | bigint): void {
    this.#reserve(9);
    const lead = major << 5;
    if (argument < 24) this.#buffer[this.#length++] = lead | Number(argument);
    else if (argument < 0x100) this.#argument(lead | 24, 1, argument);
    else if (argument < 0x1_0000) this.#argument(lead | 25, 2, argument);
    else if (argument < 0x1_0000_0000) this.#argument(lead | 26, 4, argument);
    else this.#argument(lead | 27, 8, argument);
  }

  #argument(lead: number, width: number, argument: number | bigint): void {
    this.#buffer[this.#length++] = lead;
    if (width === 8) {
      new DataView(this.#buffer.buffer).setBigUint64(this.#length, BigInt(argument));
      this.#length += 8;
      return;
    }
    const value = Number(argument);
    for (let shift = 8 * (width - 1); shift >= 0; shift -= 8) this.#buffer[this.#length++] = (value >>> shift) & 255;
  }

  bytes(value: Uint8Array): void {
    this.head(MAJOR.bytes, value.length);
    this.raw(value);
  }

  text(value: string): void {
    if (value.length <= SHORT_LENGTH && this.#ascii(value)) return;
    const encoded = utf8(value);
    this.head(MAJOR.text, encoded.length);
    this.raw(encoded);
  }

  /** Writes a text whose letters are all ASCII; any other is left to be written. */
  #ascii(value: string): boolean {
    this.#reserve(9 + value.length);
    const begun = this.#length;
    this.head(MAJOR.text, value.length);
    for (let i = 0; i < value.length; i++) {
      const unit = value.charCodeAt(i);
      if (unit > 0x7f) {
        this.#length = begun;
        return false;
      }
      this.#buffer[this.#length++] = unit;
    }
    return true;
  }

  /** The simple value 22. */
  null(): void {
    this.raw(NULL);
  }

  /** Bytes that are CBOR already. */
  raw(value: Uint8Array): void {
    this.#reserve(value.length);
    this.#buffer.set(value, this.#length);
    this.#length += value.length;
  }

  /** What was written. The writer is used up. */
  finish(): Uint8Array {
    const [buffer, start, end] = [this.#buffer, this.#start, this.#length];
    this.#buffer = EMPTY;
    this.#start = 0;
    this.#length = 0;
    if (buffer.length !== SLAB_SIZE_BYTES) return buffer.slice(start, end);
    if (SLAB_SIZE_BYTES - end >= SPARE_SIZE_BYTES) spare = { slab: buffer, from: end };
    return buffer.subarray(start, end);
  }
}

const EMPTY = new Uint8Array(0);
const NULL = Uint8Array.of(0xf6);

/** Reads deterministic CBOR items in order, refusing every other spelling of the same value. */
export class CborReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** The argument of the next item, which must be of `major`. Arguments over 2^53 - 1 come as bigint. */
  head(major: Major): number | bigint {
    const lead = this.#bytes[this.#at];
    if (lead === undefined) throw new Malformed(`ends at byte ${this.#at}, where more was due`);
    if (lead >> 5 !== major)
      throw new Malformed(`has an item of major type ${lead >> 5} at byte ${this.#at}, not ${major}`);
    const short = lead & 31;
    const start = this.#at++;
    if (short < 24) return short;
    if (short > 27) throw new Malformed(`has an indefinite or reserved length at byte ${start}`);
    const width = 1 << (short - 24);
    if (this.#at + width > this.#bytes.length) throw new Malformed(`ends inside the item at byte ${start}`);
    let value: number | bigint = 0;
    for (let i = 0; i < Math.min(width, 4); i++) value = value * 256 + (this.#bytes[this.#at + i] ?? 0);
    if (width === 8) {
      const view = new DataView(this.#bytes.buffer, this.#bytes.byteOffset + this.#at, 8);
      const big: bigint = view.getBigUint64(0);
      value = big <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(big) : big;
    }
    this.#at += width;
    const least = [24, 0x100, 0x1_0000, 0x1_0000_0000][short - 24] ?? 0;
    if (value < least) throw new Malformed(`has a number at byte ${start} that is not in its shortest form`);
    return value;
  }

  /** A length, a count or a small number: never a bigint. */
  count(major: Major): number {
    const value = this.head(major);
    if (typeof value === "bigint") throw new Malformed(`has a number before byte ${this.#at} over 2^53 - 1`);
    return value;
  }

  /** A view, not a copy, of the next byte string. */
  bytes(major: typeof MAJOR.bytes | typeof MAJOR.text = MAJOR.bytes): Uint8Array {
    const length = this.count(major);
    if (length > this.#bytes.length - this.#at) throw new Malformed(`ends inside the string at byte ${this.#at}`);
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  text(): string {
    const text = parseUtf8(this.bytes(MAJOR.text));
    if (text === undefined) throw new Malformed(`has a text before byte ${this.#at} that is not UTF-8`);
    return text;
  }

  /** Whether the next item is the unsigned integer `value` below 24, which is then consumed. */
  take(value: number): boolean {
    if (value >= 24 || this.#bytes[this.#at] !== value) return false;
    this.#at++;
    return true;
  }

  /** The simple value 22, and no other spelling of nothing. */
  null(): void {
    if (this.#bytes[this.#at] !== NULL[0]) throw new Malformed(`has something at byte ${this.#at} where null is due`);
    this.#at++;
  }

  /** Another reader at the same place: what it reads is still to be read here. */
  ahead(): CborReader {
    return new CborReader(this.#bytes.subarray(this.#at));
  }

  /** The major type of the next item; undefined at the end. */
  peek(): number | undefined {
    const lead = this.#bytes[this.#at];
    return lead === undefined ? undefined : lead >> 5;
  }

  finish(): void {
    if (this.#at !== this.#bytes.length)
      throw new Malformed(`has ${this.#bytes.length - this.#at} bytes after its end`);
  }
}
