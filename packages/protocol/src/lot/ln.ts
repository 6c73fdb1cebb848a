/**
 * The natural logarithm from additions, multiplications and divisions of 64 bits alone, which are the same everywhere:
 * ECMAScript leaves the last bits of `Math.log` to each engine, and figures are the same bytes everywhere.
 */

const LN2 = Math.LN2;
const TERMS = 12;

/** The natural logarithm of `x`, which is over 0. */
export function ln(x: number): number {
  let [mantissa, power] = [x, 0];
  for (; mantissa > 1.5; power++) mantissa /= 2;
  for (; mantissa < 0.75; power--) mantissa *= 2;
  // 2 artanh((m - 1) / (m + 1)), from the last term of its series.
  const f = (mantissa - 1) / (mantissa + 1);
  let sum = 0;
  for (let n = 2 * TERMS + 1; n >= 1; n -= 2) sum = 1 / n + sum * f * f;
  return 2 * f * sum + power * LN2;
}
