/** Linear and logistic regression with a ridge penalty, solved exactly; and the ONNX graph of the second. */
import { encodeModel, floatConstant } from "../onnx.ts";
import { sigmoid } from "./functions.ts";
import type { Examples } from "./table.ts";

/** score = weights · features + bias, over features as a caller gives them. */
export type Linear = { weights: number[]; bias: number };

/** The score of one row. */
export function score({ weights, bias }: Linear, features: number[]): number {
  return weights.reduce((sum, weight, j) => sum + weight * (features[j] ?? 0), bias);
}

/** Least squares; the penalty is on weights of standardised features, and never on the bias. */
export function fitLinear(examples: Examples, penalty: number): Linear {
  const { rows, restore } = standardise(examples.features);
  const ones = examples.targets.map(() => 1);
  return restore(solveWeighted(rows, ones, examples.targets, penalty));
}

/** Logistic regression by Newton's method, which has long converged after these rounds. */
export function fitLogistic(examples: Examples, penalty: number): Linear {
  const { rows, restore } = standardise(examples.features);
  let solution = new Array<number>(rows[0]?.length ?? 0).fill(0);
  for (let round = 0; round < 12; round++) {
    const scores = rows.map((row) => dot(row, solution));
    const chances = scores.map(sigmoid);
    const weights = chances.map((p) => Math.max(p * (1 - p), 1e-9));
    const aims = scores.map((z, i) => z + ((examples.targets[i] ?? 0) - (chances[i] ?? 0)) / (weights[i] ?? 1));
    solution = solveWeighted(rows, weights, aims, penalty);
  }
  return restore(solution);
}

/** Rows with mean 0 and deviation 1 and a 1 for the bias, and the way back to the features as they were. */
function standardise(features: number[][]) {
  const width = features[0]?.length ?? 0;
  const columns = Array.from({ length: width }, (_, j) => features.map((row) => row[j] ?? 0));
  const means = columns.map((cells) => cells.reduce((a, b) => a + b, 0) / cells.length);
  const deviations = columns.map((cells, j) => {
    const variance = cells.reduce((sum, cell) => sum + (cell - (means[j] ?? 0)) ** 2, 0) / cells.length;
    return Math.sqrt(variance) || 1;
  });
  const rows = features.map((row) => [...row.map((cell, j) => (cell - (means[j] ?? 0)) / (deviations[j] ?? 1)), 1]);
  const restore = (solution: number[]): Linear => {
    const weights = deviations.map((deviation, j) => (solution[j] ?? 0) / deviation);
    return { weights, bias: (solution[width] ?? 0) - dot(weights, means) };
  };
  return { rows, restore };
}

/** Minimises Σ wᵢ(aimᵢ - rowᵢ·x)² + penalty·|x without its last|², by Cholesky's factor of the normal equations. */
function solveWeighted(rows: number[][], weights: number[], aims: number[], penalty: number): number[] {
  const width = rows[0]?.length ?? 0;
  const matrix = Array.from({ length: width }, () => new Float64Array(width));
  const right = new Float64Array(width);
  rows.forEach((row, i) => {
    for (let a = 0; a < width; a++) {
      const scaled = weights[i]! * row[a]!;
      right[a]! += scaled * aims[i]!;
      for (let b = 0; b <= a; b++) matrix[a]![b]! += scaled * row[b]!;
    }
  });
  for (let a = 0; a < width - 1; a++) matrix[a]![a]! += penalty;
  for (let a = 0; a < width; a++)
    for (let b = 0; b <= a; b++) {
      let rest = matrix[a]![b]!;
      for (let k = 0; k < b; k++) rest -= matrix[a]![k]! * matrix[b]![k]!;
      matrix[a]![b] = a === b ? Math.sqrt(rest) : rest / matrix[b]![b]!;
    }
  for (let a = 0; a < width; a++) {
    for (let k = 0; k < a; k++) right[a]! -= matrix[a]![k]! * right[k]!;
    right[a]! /= matrix[a]![a]!;
  }
  for (let a = width - 1; a >= 0; a--) {
    for (let k = a + 1; k < width; k++) right[a]! -= matrix[k]![a]! * right[k]!;
    right[a]! /= matrix[a]![a]!;
  }
  return [...right];
}

function dot(a: number[], b: number[]): number {
  return a.reduce((sum, value, i) => sum + value * (b[i] ?? 0), 0);
}

/** A model that answers `output`, the logistic of the score, for each row of `features`. */
export function encodeLogistic(name: string, { weights, bias }: Linear, output: string): Uint8Array {
  return encodeModel({
    name,
    inputs: [{ name: "features", type: "FP32", shape: ["rows", weights.length] }],
    outputs: [{ name: output, type: "FP32", shape: ["rows", 1] }],
    nodes: [
      { op: "Gemm", inputs: ["features", "weights", "bias"], outputs: ["score"] },
      { op: "Sigmoid", inputs: ["score"], outputs: [output] },
    ],
    constants: [floatConstant("weights", weights, [weights.length, 1]), floatConstant("bias", [bias], [1])],
  });
}
