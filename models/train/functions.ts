/**
 * e^x, the logistic function and a circle's sine and cosine, from additions and multiplications alone.
 * Math.exp and Math.sin may differ in their last bit from one engine to the next, and a model trained with them
 * could then not be made again byte for byte.
 */
const LN2_HIGH = 0.6931471803691238;
const LN2_LOW = 1.9082149292705877e-10;

/** e^x, to about one unit in the last place, for x between -700 and 700. */
export function exp(x: number): number {
  const clamped = Math.min(700, Math.max(-700, x));
  const power = Math.round(clamped / Math.LN2);
  const rest = clamped - power * LN2_HIGH - power * LN2_LOW;
  let sum = 1;
  for (let k = 20; k > 0; k--) sum = 1 + (rest / k) * sum;
  return sum * 2 ** power;
}

/** The logistic function. */
export function sigmoid(z: number): number {
  return 1 / (1 + exp(-z));
}

/** The sine and cosine of `turns` of a full circle. */
export function circle(turns: number): { sin: number; cos: number } {
  const angle = 2 * Math.PI * (turns - Math.round(turns));
  let [sin, cos] = [1, 1];
  for (let k = 30; k > 0; k--) {
    sin = 1 - ((angle * angle) / (2 * k * (2 * k + 1))) * sin;
    cos = 1 - ((angle * angle) / (2 * k * (2 * k - 1))) * cos;
  }
  return { sin: angle * sin, cos };
}
