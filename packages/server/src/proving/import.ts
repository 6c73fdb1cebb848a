/**
 * From ONNX to an integer circuit: the architecture, and the weights as integers. What a graph holds beyond what is proved is
 * refused by name. The same file and the same choices give the same integers on every machine.
 */
import {
  type Architecture,
  architectureBytes,
  type CircuitFile,
  equal,
  type Layer,
  type Weights,
} from "@tallystick/protocol";
import { type Graph, type Node, readGraph } from "./onnx.ts";
import { largestExponent, quantiseAll } from "./rounding.ts";
import { importTrees } from "./trees.ts";
import { UnsupportedModel } from "./unsupported.ts";

/** What a publisher chooses: bits of an input, of a weight or a leaf, and the powers of two of the inputs. */
export type Choices = { inputBits: number; weightBits: number; exponents: number[] };

export type ImportedModel = { circuit: CircuitFile; weights: Weights };

/** A layer to which a bias or a ReLU may yet come. */
type OpenLayer = {
  op: "dense" | "conv";
  rows: number[][];
  bias: number[];
  relu: boolean;
  kernel: number;
  stride: number;
};

type State = {
  choices: Choices;
  shape: number[];
  layers: Layer[];
  weights: bigint[][];
  open: OpenLayer | undefined;
  /** A value is its integer · 2^-exponent · factor; the factor is what averages divide by. */
  exponent: number;
  factor: number;
  /** Bits of the largest magnitude so far. */
  bits: number;
  answer: CircuitFile["output"]["answer"] | undefined;
};

/** The circuit of the model in `bytes`. Throws UnsupportedModel. */
export function importModel(bytes: Uint8Array, choices: Choices): ImportedModel {
  const graph = readGraph(bytes);
  const [first] = graph.nodes;
  if (first?.op === "TreeEnsembleRegressor") return importTrees(graph, choices);
  const state: State = {
    choices,
    shape: graph.inputShape,
    layers: [],
    weights: [],
    open: undefined,
    exponent: 0,
    factor: 1,
    bits: choices.inputBits,
    answer: undefined,
  };
  let current = graph.input;
  for (const node of graph.nodes) {
    if (state.answer !== undefined)
      throw new UnsupportedModel(`the operator ${node.op} comes after the model's answer`);
    addNode(state, graph, node, current);
    current = node.outputs[0] ?? "";
  }
  close(state);
  if (graph.outputs.join() !== current || state.layers.length === 0)
    throw new UnsupportedModel("a circuit gives one output, that of its last operator");
  if (state.factor !== 1) throw new UnsupportedModel("the operator AveragePool comes last; a layer has to follow it");
  return { circuit: describe(state, graph.inputShape), weights: state.weights };
}

/** The weights of the model in `bytes` as its `circuit` has them. Throws UnsupportedModel where that is not this model's. */
export function readWeights(circuit: CircuitFile, bytes: Uint8Array): Weights {
  const { architecture, input } = circuit;
  const weightBits = architecture.layers.map((layer) => bitsOf(layer)).find((bits) => bits !== undefined) ?? 0;
  const imported = importModel(bytes, { inputBits: architecture.inputBits, weightBits, exponents: input.exponents });
  const isSame =
    equal(architectureBytes(imported.circuit.architecture), architectureBytes(architecture)) &&
    imported.circuit.output.exponent === circuit.output.exponent &&
    imported.circuit.output.answer === circuit.output.answer &&
    imported.circuit.input.rounding === input.rounding;
  if (!isSame) throw new UnsupportedModel("circuit.json is not of this model: import the model again");
  return imported.weights;
}

function bitsOf(layer: Layer): number | undefined {
  return layer.op === "trees" ? layer.leafBits : layer.op === "pool" ? undefined : layer.weightBits;
}

function describe(state: State, inputShape: number[]): CircuitFile {
  const { inputBits, exponents } = state.choices;
  const decision: Architecture["decision"] = state.answer === "index" ? "argmax" : "scores";
  return {
    architecture: { inputShape, inputBits, layers: state.layers, decision },
    input: { exponents, rounding: "nearest" },
    output: { exponent: state.exponent, answer: state.answer ?? "score" },
  };
}

function addNode(state: State, graph: Graph, node: Node, current: string): void {
  const { op, inputs } = node;
  const followsOn = inputs.includes(current) && inputs.every((name) => name === current || graph.constants.has(name));
  if (!followsOn)
    throw new UnsupportedModel(`the operator ${op} takes more than what is before it: a circuit is a chain`);
  if (op === "Gemm" || op === "MatMul" || op === "Conv") {
    close(state);
    state.open = op === "Conv" ? readConv(state, graph, node) : readDense(state, graph, node);
  } else if (op === "Add" && state.open?.relu === false) addBias(state.open, graph, node);
  else if (op === "Relu" && state.open?.relu === false) state.open.relu = true;
  else if (op === "AveragePool") {
    close(state);
    addPool(state, node);
  } else if (op === "Flatten" && node.attributes.integer("axis", 1) === 1) flatten(state);
  else if (op === "Reshape" && isFlat(graph, node)) flatten(state);
  else if (op === "Sigmoid") state.answer = "sigmoid";
  else if (op === "ArgMax" && isFirstGreatest(node)) state.answer = "index";
  else if (op !== "Identity")
    throw new UnsupportedModel(`the operator ${op} is not proved here, or not in this place or form`);
}

function flatten(state: State): void {
  close(state);
  state.shape = [sizeOf(state.shape)];
}

function isFlat(graph: Graph, { inputs }: Node): boolean {
  const { values = [] } = graph.constants.get(inputs[1] ?? "") ?? {};
  return values.length === 2;
}

function isFirstGreatest({ attributes }: Node): boolean {
  const axis = attributes.integer("axis", 0);
  return (
    (axis === 1 || axis === -1) &&
    attributes.integer("keepdims", 1) === 0 &&
    attributes.integer("select_last_index", 0) === 0
  );
}

function readDense(state: State, graph: Graph, { op, inputs, attributes }: Node): OpenLayer {
  const matrix = graph.constants.get(inputs[1] ?? "");
  const isPlain =
    attributes.factor("alpha") === 1 && attributes.factor("beta") === 1 && attributes.integer("transA", 0) === 0;
  if (matrix?.dims.length !== 2 || !isPlain || state.shape.length !== 1)
    throw new UnsupportedModel(`the operator ${op} is not of a row by a constant matrix`);
  const isTransposed = attributes.integer("transB", 0) === 1;
  const [a = 0, b = 0] = matrix.dims;
  const [outputs, width] = isTransposed ? [a, b] : [b, a];
  if (width !== sizeOf(state.shape))
    throw new UnsupportedModel(`the operator ${op} takes ${width} values, not [${state.shape}]`);
  const at = (output: number, i: number) => matrix.values[isTransposed ? output * b + i : i * b + output] ?? 0;
  const rows = Array.from({ length: outputs }, (_, output) => Array.from({ length: width }, (_, i) => at(output, i)));
  const bias = inputs[2] === undefined ? rows.map(() => 0) : biasOf(graph, inputs[2], outputs);
  return { op: "dense", rows, bias, relu: false, kernel: 1, stride: 1 };
}

function readConv(state: State, graph: Graph, { inputs, attributes }: Node): OpenLayer {
  const kernels = graph.constants.get(inputs[1] ?? "");
  const [outputs = 0, channels = 0, kernel = 0, width = 0] = kernels?.dims ?? [];
  const [stride = 1, across = stride] = attributes.integers("strides");
  const isPlain =
    attributes.integer("group", 1) === 1 &&
    attributes.integers("dilations").every((size) => size === 1) &&
    attributes.integers("pads").every((size) => size === 0) &&
    !attributes.has("auto_pad");
  if (kernels?.dims.length !== 4 || !isPlain || kernel !== width || stride !== across || channels !== state.shape[0])
    throw new UnsupportedModel("the operator Conv is not of square kernels without padding, groups or dilation");
  const size = channels * kernel ** 2;
  const rows = Array.from({ length: outputs }, (_, i) => kernels.values.slice(i * size, (i + 1) * size));
  const bias = inputs[2] === undefined ? rows.map(() => 0) : biasOf(graph, inputs[2], outputs);
  return { op: "conv", rows, bias, relu: false, kernel, stride };
}

function addBias(open: OpenLayer, graph: Graph, { inputs }: Node): void {
  const name = inputs.find((input) => graph.constants.has(input)) ?? "";
  const bias = biasOf(graph, name, open.rows.length);
  open.bias = open.bias.map((value, i) => value + (bias[i] ?? 0));
}

function biasOf(graph: Graph, name: string, count: number): number[] {
  const values = graph.constants.get(name)?.values ?? [];
  if (values.length !== count) throw new UnsupportedModel(`the constant ${name} is not a bias of ${count} values`);
  return values;
}

function addPool(state: State, { attributes }: Node): void {
  const [kernel = 0, width = 0] = attributes.integers("kernel_shape");
  const [stride = 1, across = 1] = attributes.integers("strides");
  const isPlain =
    attributes.integers("pads").every((size) => size === 0) &&
    attributes.integer("ceil_mode", 0) === 0 &&
    !attributes.has("auto_pad");
  if (kernel !== width || stride !== kernel || across !== kernel || !isPlain || state.shape.length !== 3)
    throw new UnsupportedModel("the operator AveragePool is not of squares that lie side by side without padding");
  const [channels = 0, ...plane] = state.shape;
  state.layers.push({ op: "pool", kernel });
  state.shape = [channels, ...plane.map((size) => Math.floor(size / kernel))];
  state.factor /= kernel ** 2;
  state.bits += (kernel ** 2).toString(2).length;
}

/** Makes integers of the layer that was open. */
function close(state: State): void {
  const { open, choices } = state;
  state.open = undefined;
  if (open === undefined) return;
  const effective = open.rows.map((row) => row.map((weight, i) => weight * scaleOf(state, open, i)));
  const { weightBits } = choices;
  const exponent = largestExponent(effective.flat(), weightBits);
  const width = open.rows[0]?.length ?? 0;
  const biasBits = Math.min(120, state.bits + weightBits + width.toString(2).length);
  state.exponent += exponent;
  state.factor = 1;
  state.weights.push(quantiseAll(effective.flat(), exponent, weightBits, "weights"));
  state.weights.push(quantiseAll(open.bias, state.exponent, biasBits, "biases"));
  const shared = { outputs: open.rows.length, weightBits, biasBits, relu: open.relu };
  if (open.op === "dense") {
    state.layers.push({ op: "dense", ...shared });
    state.shape = [open.rows.length];
  } else {
    const { kernel, stride } = open;
    state.layers.push({ op: "conv", ...shared, kernel, stride });
    state.shape = [open.rows.length, ...state.shape.slice(1).map((size) => Math.floor((size - kernel) / stride) + 1)];
  }
  state.bits = biasBits + 1;
}

/** What value `i` of a layer's input is, for each whole of its integer, beside 2^-exponent. */
function scaleOf({ layers, choices, factor }: State, { op }: OpenLayer, i: number): number {
  if (layers.length > 0) return factor;
  const { exponents } = choices;
  if (op === "conv" && exponents.length > 1)
    throw new UnsupportedModel("a convolution takes inputs that have one exponent in common");
  return 2 ** -(exponents.length === 1 ? (exponents[0] ?? 0) : (exponents[i] ?? 0));
}

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((count, size) => count * size, 1);
}
