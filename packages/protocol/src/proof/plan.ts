/**
 * What an architecture comes to: the parameters each layer has, the shapes between layers, and how many bits the largest
 * number anywhere can need. The widths follow from public bit sizes alone, so they tell nothing of the weights.
 */
import { Malformed } from "../cbor/bytes.ts";
import { CIRCUIT_ACCUMULATOR_BITS, CIRCUIT_OUTPUTS, CIRCUIT_PARAMETERS } from "../limits.ts";
import { type Architecture, inputCount, type Layer } from "./circuit.ts";

/** Parameters that are committed to together: `bits` each, a sign included where they are signed. */
export type ParameterGroup = { name: string; count: number; bits: number; isSigned: boolean };

export type DenseStep = { op: "dense"; inputs: number; outputs: number; relu: boolean; bits: number };
export type ConvStep = {
  op: "conv";
  channels: number;
  height: number;
  width: number;
  outputs: number;
  kernel: number;
  stride: number;
  outHeight: number;
  outWidth: number;
  relu: boolean;
  bits: number;
};
export type PoolStep = {
  op: "pool";
  channels: number;
  height: number;
  width: number;
  kernel: number;
  outHeight: number;
  outWidth: number;
};
export type TreesStep = { op: "trees"; inputs: number; trees: number; depth: number; bits: number };
/** `bits`: every value that leaves the step is below 2^bits in magnitude. */
export type Step = DenseStep | ConvStep | PoolStep | TreesStep;

export type Plan = {
  inputs: number;
  inputBits: number;
  steps: Step[];
  /** The parameters of `steps[i]` are those whose name ends in i. */
  groups: ParameterGroup[];
  /** How many scores the last step has, and a bound on each: below 2^scoreBits in magnitude. */
  scores: number;
  scoreBits: number;
  /** Numbers that a row gives: every score, or one index. */
  outputs: number;
};

type State = { shape: number[]; bound: bigint; steps: Step[]; groups: ParameterGroup[] };

/** The plan of `architecture`. Throws Malformed where its layers do not fit together. */
export function planCircuit(architecture: Architecture): Plan {
  const { inputShape, inputBits, layers, decision } = architecture;
  const state: State = { shape: inputShape, bound: 1n << BigInt(inputBits - 1), steps: [], groups: [] };
  for (const [i, layer] of layers.entries()) addLayer(state, layer, i, inputBits);
  const scores = sizeOf(state.shape);
  const scoreBits = bitsAbove(state.bound);
  if (scoreBits > CIRCUIT_ACCUMULATOR_BITS)
    throw new Malformed(
      `has a circuit whose scores need ${scoreBits} bits; at most ${CIRCUIT_ACCUMULATOR_BITS} are proved`,
    );
  if (scores > CIRCUIT_OUTPUTS) throw new Malformed(`has a circuit of more than ${CIRCUIT_OUTPUTS} scores`);
  if (state.groups.reduce((sum, { count }) => sum + count, 0) > CIRCUIT_PARAMETERS)
    throw new Malformed(`has a circuit of more than ${CIRCUIT_PARAMETERS} parameters`);
  return {
    inputs: inputCount(architecture),
    inputBits,
    steps: state.steps,
    groups: state.groups,
    scores,
    scoreBits,
    outputs: decision === "argmax" ? 1 : scores,
  };
}

function addLayer(state: State, layer: Layer, i: number, inputBits: number): void {
  const { shape, groups, steps } = state;
  if (layer.op === "dense") {
    const inputs = sizeOf(shape);
    groups.push(...linearGroups(i, layer, inputs));
    state.bound = accumulated(state.bound, inputs, layer);
    steps.push({ op: "dense", inputs, outputs: layer.outputs, relu: layer.relu, bits: bitsAbove(state.bound) });
    state.shape = [layer.outputs];
    return;
  }
  if (layer.op === "trees") {
    const inputs = sizeOf(shape);
    if (i > 0 || shape.length !== 1 || inputs > 256)
      throw new Malformed("has a circuit with trees that are not over a row of at most 256 inputs");
    const nodes = 2 ** layer.depth - 1;
    groups.push(
      { name: `features${i}`, count: layer.trees * nodes, bits: 8, isSigned: false },
      { name: `thresholds${i}`, count: layer.trees * nodes, bits: inputBits, isSigned: true },
      { name: `leaves${i}`, count: layer.trees * (nodes + 1), bits: layer.leafBits, isSigned: true },
      { name: `base${i}`, count: 1, bits: layer.leafBits, isSigned: true },
    );
    state.bound = BigInt(layer.trees + 1) << BigInt(layer.leafBits - 1);
    steps.push({ op: "trees", inputs, trees: layer.trees, depth: layer.depth, bits: bitsAbove(state.bound) });
    state.shape = [1];
    return;
  }
  const [channels = 0, height = 0, width = 0] = shape;
  const stride = layer.op === "conv" ? layer.stride : layer.kernel;
  if (shape.length !== 3 || height < layer.kernel || width < layer.kernel)
    throw new Malformed(`has a circuit with a ${layer.op} over [${shape}], which it does not fit`);
  const outHeight = Math.floor((height - layer.kernel) / stride) + 1;
  const outWidth = Math.floor((width - layer.kernel) / stride) + 1;
  const size = { channels, height, width, kernel: layer.kernel, outHeight, outWidth };
  if (layer.op === "pool") {
    state.bound *= BigInt(layer.kernel ** 2);
    steps.push({ op: "pool", ...size });
    state.shape = [channels, outHeight, outWidth];
    return;
  }
  const inputs = channels * layer.kernel ** 2;
  groups.push(...linearGroups(i, layer, inputs));
  state.bound = accumulated(state.bound, inputs, layer);
  const { outputs, relu } = layer;
  steps.push({ op: "conv", ...size, stride, outputs, relu, bits: bitsAbove(state.bound) });
  state.shape = [outputs, outHeight, outWidth];
}

type Linear = Layer & { op: "dense" | "conv" };

function linearGroups(i: number, { outputs, weightBits, biasBits }: Linear, inputs: number): ParameterGroup[] {
  return [
    { name: `weights${i}`, count: outputs * inputs, bits: weightBits, isSigned: true },
    { name: `bias${i}`, count: outputs, bits: biasBits, isSigned: true },
  ];
}

/** The greatest magnitude of `inputs` products with a bias. */
function accumulated(bound: bigint, inputs: number, { weightBits, biasBits }: Linear): bigint {
  return BigInt(inputs) * (bound << BigInt(weightBits - 1)) + (1n << BigInt(biasBits - 1));
}

/** The bits above which no magnitude up to `bound` goes: bound < 2^bits. */
function bitsAbove(bound: bigint): number {
  return bound.toString(2).length;
}

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((count, size) => count * size, 1);
}
