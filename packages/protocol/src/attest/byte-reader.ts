/** Reads what hardware writes: fields of fixed size, one after another, numbers little-endian. */
import { Malformed } from "../cbor/bytes.ts";

export class ByteReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** How much was read. */
  get offset(): number {
    return this.#at;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  /** The next `length` bytes, as a view. */
  take(length: number): Uint8Array {
    if (length > this.left) throw new Malformed(`ends where ${length - this.left} more bytes are due`);
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  /** An unsigned number of `width` bytes, at most four. */
  uint(width: 1 | 2 | 3 | 4): number {
    return this.take(width).reduceRight((value, byte) => value * 256 + byte, 0);
  }

  /** Refuses bytes that no field speaks for. */
  finish(): void {
    if (this.left > 0) throw new Malformed(`has ${this.left} bytes after its end`);
  }
}
