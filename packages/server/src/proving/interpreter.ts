/** Runs a circuit's architecture in plain integers: what the circuit must give, bit for bit. */
import {
  type Architecture,
  type ConvStep,
  type DenseStep,
  type PoolStep,
  planCircuit,
  type TreesStep,
  type Weights,
} from "@tallystick/protocol";

/** What the circuit of `architecture` gives for one row of quantised `values`. */
export function interpret(architecture: Architecture, weights: Weights, values: readonly bigint[]): bigint[] {
  const { steps } = planCircuit(architecture);
  let current: readonly bigint[] = values;
  let group = 0;
  for (const step of steps) {
    if (step.op === "pool") current = pool(step, current);
    else if (step.op === "trees") {
      current = trees(step, weights.slice(group, group + 4), current);
      group += 4;
    } else {
      const [matrix = [], bias = []] = weights.slice(group, group + 2);
      current = step.op === "dense" ? dense(step, matrix, bias, current) : conv(step, matrix, bias, current);
      group += 2;
    }
  }
  return architecture.decision === "argmax" ? [BigInt(firstGreatest(current))] : [...current];
}

function dense(
  { inputs, outputs, relu }: DenseStep,
  weights: readonly bigint[],
  bias: readonly bigint[],
  x: readonly bigint[],
) {
  return Array.from({ length: outputs }, (_, o) => {
    let sum = bias[o] ?? 0n;
    for (let i = 0; i < inputs; i++) sum += (weights[o * inputs + i] ?? 0n) * (x[i] ?? 0n);
    return relu && sum < 0n ? 0n : sum;
  });
}

function conv(step: ConvStep, weights: readonly bigint[], bias: readonly bigint[], x: readonly bigint[]): bigint[] {
  const { channels, height, width, outputs, kernel, stride, outHeight, outWidth, relu } = step;
  const values: bigint[] = [];
  for (let o = 0; o < outputs; o++)
    for (let row = 0; row < outHeight; row++)
      for (let column = 0; column < outWidth; column++) {
        let sum = bias[o] ?? 0n;
        for (let c = 0; c < channels; c++)
          for (let a = 0; a < kernel; a++)
            for (let b = 0; b < kernel; b++) {
              const weight = weights[((o * channels + c) * kernel + a) * kernel + b] ?? 0n;
              sum += weight * (x[(c * height + row * stride + a) * width + column * stride + b] ?? 0n);
            }
        values.push(relu && sum < 0n ? 0n : sum);
      }
  return values;
}

function pool({ channels, height, width, kernel, outHeight, outWidth }: PoolStep, x: readonly bigint[]): bigint[] {
  const values: bigint[] = [];
  for (let c = 0; c < channels; c++)
    for (let row = 0; row < outHeight; row++)
      for (let column = 0; column < outWidth; column++) {
        let sum = 0n;
        for (let a = 0; a < kernel; a++)
          for (let b = 0; b < kernel; b++)
            sum += x[(c * height + row * kernel + a) * width + column * kernel + b] ?? 0n;
        values.push(sum);
      }
  return values;
}

function trees({ trees: count, depth }: TreesStep, groups: Weights, x: readonly bigint[]): bigint[] {
  const [features = [], thresholds = [], leaves = [], base = []] = groups;
  const branches = 2 ** depth - 1;
  let sum = base[0] ?? 0n;
  for (let t = 0; t < count; t++) {
    let position = 0;
    for (let level = 0; level < depth; level++) {
      const at = t * branches + position;
      const goesRight = (x[Number(features[at] ?? 0n)] ?? 0n) > (thresholds[at] ?? 0n);
      position = 2 * position + (goesRight ? 2 : 1);
    }
    sum += leaves[t * (branches + 1) + position - branches] ?? 0n;
  }
  return [sum];
}

function firstGreatest(values: readonly bigint[]): number {
  let best = 0;
  for (const [i, value] of values.entries()) if (value > (values[best] ?? 0n)) best = i;
  return best;
}
