/** Randomness, as an argument. */
import { randomBytes } from "node:crypto";

/** `count` bytes from a cryptographic source. */
export type Random = (count: number) => Uint8Array;

/** Randomness is fetched in pages: one system call a salt would cost more than the salt. */
const PAGE_SIZE_BYTES = 8192;

export function createSystemRandom(): Random {
  let page: Buffer = Buffer.alloc(0);
  return (count) => {
    if (count > page.length) page = randomBytes(Math.max(PAGE_SIZE_BYTES, count));
    const bytes = new Uint8Array(page.subarray(0, count));
    page.fill(0, 0, count); // What was handed out is not kept.
    page = page.subarray(count);
    return bytes;
  };
}
