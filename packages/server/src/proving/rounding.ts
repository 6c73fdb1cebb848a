/** Numbers as integers of so many bits, by a power of two. */
import { UnsupportedModel } from "./unsupported.ts";

/** The largest power of two by which all of `values` stay within `bits` bits with their sign. */
export function largestExponent(values: readonly number[], bits: number): number {
  const limit = 2 ** (bits - 1) - 1;
  const most = values.reduce((greatest, value) => Math.max(greatest, Math.abs(value)), 0);
  if (most === 0) return 0;
  // ECMAScript does not fix the last bits of log2: the loops do.
  let exponent = Math.floor(Math.log2(limit / most));
  while (most * 2 ** exponent > limit) exponent--;
  while (most * 2 ** (exponent + 1) <= limit) exponent++;
  return exponent;
}

/** Each of `values` · 2^exponent, rounded to the nearest integer. Throws UnsupportedModel where one is not of `bits` bits. */
export function quantiseAll(values: readonly number[], exponent: number, bits: number, what: string): bigint[] {
  const limit = 2 ** (bits - 1);
  return values.map((value) => {
    const rounded = Math.round(value * 2 ** exponent);
    if (!(rounded >= -limit && rounded < limit))
      throw new UnsupportedModel(`the model's ${what} do not fit in ${bits} bits at this scale: choose more bits`);
    return BigInt(rounded);
  });
}
