import { expect, test } from "vitest";
import { exp, ln } from "./elementary.ts";

/** Nothing here depends on the machine's own functions being right to the last bit; they are right to a few. */
const close = (found: number, expected: number) => Math.abs(found - expected) <= 4e-16 * Math.abs(expected) + 4e-16;

test("the exponential function is right to the last bits from 0 down to where it ends", () => {
  expect(exp(0)).toBe(1);
  expect(exp(-0.0)).toBe(1);
  for (let x = 0; x > -707; x -= 0.0371) expect(Math.abs(exp(x) / Math.exp(x) - 1)).toBeLessThan(1e-15);
  expect([exp(-709), exp(Number.NEGATIVE_INFINITY), exp(Number.NaN)]).toEqual([0, 0, 0]);
});

test("the logarithm is right to the last bits over what sums of probabilities can be", () => {
  expect(ln(1)).toBe(0);
  for (let x = 1e-300; x < 1e300; x *= 1.37) expect(close(ln(x), Math.log(x))).toBe(true);
  for (let x = 0.5; x < 2; x += 0.00037) expect(close(ln(x), Math.log(x))).toBe(true);
});
