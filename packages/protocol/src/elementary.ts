/**
 * The exponential function and the natural logarithm from additions, multiplications and divisions of 64 bits alone, which
 * are the same everywhere. ECMAScript leaves the last bits of `Math.exp` and `Math.log` to each engine.
 */

/** ln 2 in two parts: the first has so few bits that its small multiples are exact. */
const LN2_HIGH = 0.6931471803691238;
const LN2_LOW = 1.9082149292705877e-10;
const SMALLEST = -708;

const EXP_TERMS = 13;
const LN_TERMS = 11;

const bits = new DataView(new ArrayBuffer(8));

/** e to the power `x`, for `x` at most 0; 0 where that is below 1e-307. */
export function exp(x: number): number {
  if (!(x >= SMALLEST)) return 0;
  const power = Math.round(x * Math.LOG2E);
  const rest = x - power * LN2_HIGH - power * LN2_LOW;
  // Taylor's series, from its last term.
  let sum = 1;
  for (let n = EXP_TERMS; n > 0; n--) sum = 1 + (sum * rest) / n;
  return sum * powerOfTwo(power);
}

/** The natural logarithm of `x`, a normal number above 0. */
export function ln(x: number): number {
  bits.setFloat64(0, x);
  let power = ((bits.getUint16(0) >> 4) & 0x7ff) - 1023;
  let mantissa = x / powerOfTwo(power);
  if (mantissa > Math.SQRT2) {
    mantissa /= 2;
    power++;
  }
  // 2 artanh((m - 1) / (m + 1)), from the last term of its series.
  const f = (mantissa - 1) / (mantissa + 1);
  let sum = 0;
  for (let n = 2 * LN_TERMS + 1; n >= 1; n -= 2) sum = 1 / n + sum * f * f;
  return 2 * f * sum + power * LN2_LOW + power * LN2_HIGH;
}

/** 2 to the whole `power` of a normal number, by its bits. */
function powerOfTwo(power: number): number {
  bits.setFloat64(0, 0);
  bits.setUint16(0, (power + 1023) << 4);
  return bits.getFloat64(0);
}
