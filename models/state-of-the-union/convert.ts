/**
 * The language model as ONNX with a cache of keys and values, named as Hugging Face's Optimum names such graphs:
 * `input_ids` of [texts, tokens] and `past_key_values.N.key|value` to `logits` and `present.N.key|value`.
 * Weights stay in 16 bits; the engine widens and transposes them once, when it opens the graph.
 */
import { type Constant, encodeModel, floatConstant, intConstant, type Node, type Value } from "../onnx.ts";
import { EPSILON, getWeight, HEAD_SIZE, readWeights, SIZES, THETA, type Weight } from "./weights.ts";

const { width, layers, heads, context, vocabulary } = SIZES;
const FLOAT = 1;

type GraphInMaking = {
  nodes: Node[];
  constants: Constant[];
  /** Adds a node whose one output bears its name. */
  node(name: string, op: string, inputs: string[], attributes?: Node["attributes"]): string;
  floats(name: string, values: ArrayLike<number>, shape?: number[]): string;
  integers(name: string, values: number[], shape?: number[]): string;
  /** A weight of 32 bits, and what it is transposed. */
  weight(name: string): string;
  transposed(name: string): string;
};

export function convert(): Uint8Array {
  const graph = createGraph(readWeights());
  const { node } = graph;
  addPositions(graph);
  let hidden = node("embedded", "Gather", [graph.weight("embedding.weight"), "input_ids"]);
  for (let layer = 0; layer < layers; layer++) hidden = addLayer(graph, layer, hidden);
  node("logits", "MatMul", [addNorm(graph, "norm", hidden), graph.transposed("embedding.weight")]);
  const cache = (prefix: string, length: string): Value[] =>
    Array.from({ length: 2 * layers }, (_, i) => ({
      name: `${prefix}.${i >> 1}.${i % 2 === 0 ? "key" : "value"}`,
      type: "FP32",
      shape: ["texts", heads, length, HEAD_SIZE],
    }));
  return encodeModel({
    name: "state-of-the-union",
    inputs: [{ name: "input_ids", type: "INT64", shape: ["texts", "tokens"] }, ...cache("past_key_values", "past")],
    outputs: [{ name: "logits", type: "FP32", shape: ["texts", "tokens", vocabulary] }, ...cache("present", "all")],
    nodes: graph.nodes,
    constants: graph.constants,
  });
}

function createGraph(weights: ReadonlyMap<string, Weight>): GraphInMaking {
  const nodes: Node[] = [];
  const constants: Constant[] = [];
  const once = new Set<string>();
  function node(name: string, op: string, inputs: string[], attributes: Node["attributes"] = {}): string {
    nodes.push({ op, inputs, outputs: [name], attributes });
    return name;
  }
  function weight(name: string): string {
    if (once.has(name)) return `${name}.wide`;
    once.add(name);
    const { shape, bits } = getWeight(weights, name);
    constants.push({ name, type: "FP16", shape, values: bits });
    return node(`${name}.wide`, "Cast", [name], { to: FLOAT });
  }
  return {
    nodes,
    constants,
    node,
    weight,
    transposed: (name) => node(`${name}.transposed`, "Transpose", [weight(name)], { perm: [1, 0] }),
    floats(name, values, shape) {
      constants.push(floatConstant(name, values, shape));
      return name;
    },
    integers(name, values, shape) {
      constants.push(intConstant(name, values, shape));
      return name;
    },
  };
}

/** Where the new tokens stand: their rotations, and which of all tokens each may look at. */
function addPositions({ node, floats, integers }: GraphInMaking): void {
  const angles = Array.from({ length: context * (HEAD_SIZE / 2) }, (_, i) => {
    const pair = i % (HEAD_SIZE / 2);
    return Math.floor(i / (HEAD_SIZE / 2)) * THETA ** ((-2 * pair) / HEAD_SIZE);
  });
  const shape = [context, HEAD_SIZE / 2];
  integers("zero", [0]);
  integers("one", [1]);
  integers("axis0", [0], [1]);
  integers("axis1", [1], [1]);
  integers("last", [-1], [1]);
  node("pastShape", "Shape", ["past_key_values.0.key"]);
  node("past", "Gather", ["pastShape", integers("two", [2])]);
  node("idsShape", "Shape", ["input_ids"]);
  node("new", "Gather", ["idsShape", "one"]);
  node("all", "Add", ["past", "new"]);
  node("positions", "Range", ["past", "all", "one"]);
  node("cos", "Gather", [floats("cosines", angles.map(Math.cos), shape), "positions"]);
  node("sin", "Gather", [floats("sines", angles.map(Math.sin), shape), "positions"]);
  node("everywhere", "Range", ["zero", "all", "one"]);
  node("rows", "Unsqueeze", ["positions", "axis1"]);
  node("columns", "Unsqueeze", ["everywhere", "axis0"]);
  node("visible", "LessOrEqual", ["columns", "rows"]);
  node("mask", "Where", ["visible", floats("shown", [0]), floats("hidden", [-1e9])]);
  floats("epsilon", [EPSILON]);
  floats("scale", [1 / Math.sqrt(HEAD_SIZE)]);
  integers("pairs", [0, 0, heads, HEAD_SIZE / 2, 2], [5]);
  integers("split", [0, 0, heads, HEAD_SIZE], [4]);
  integers("rejoin", [0, 0, 0, HEAD_SIZE], [4]);
  integers("join", [0, 0, width], [3]);
}

function addNorm({ node, weight }: GraphInMaking, name: string, input: string): string {
  node(`${name}.square`, "Mul", [input, input]);
  node(`${name}.mean`, "ReduceMean", [`${name}.square`], { axes: [-1], keepdims: 1 });
  node(`${name}.sum`, "Add", [`${name}.mean`, "epsilon"]);
  node(`${name}.root`, "Sqrt", [`${name}.sum`]);
  node(`${name}.scaled`, "Div", [input, `${name}.root`]);
  return node(`${name}.out`, "Mul", [`${name}.scaled`, weight(`${name}.weight`)]);
}

/** Turns neighbours (2i, 2i+1) of each head by the angle of their position. */
function addRotation({ node, nodes }: GraphInMaking, name: string, input: string): string {
  const at = (part: string) => `${name}.${part}`;
  node(at("pairs"), "Reshape", [input, "pairs"]);
  node(at("heads"), "Transpose", [at("pairs")], { perm: [0, 2, 1, 3, 4] });
  nodes.push({ op: "Split", inputs: [at("heads")], outputs: [at("even1"), at("odd1")], attributes: { axis: 4 } });
  node(at("even"), "Squeeze", [at("even1"), "last"]);
  node(at("odd"), "Squeeze", [at("odd1"), "last"]);
  node(at("evenCos"), "Mul", [at("even"), "cos"]);
  node(at("oddSin"), "Mul", [at("odd"), "sin"]);
  node(at("evenSin"), "Mul", [at("even"), "sin"]);
  node(at("oddCos"), "Mul", [at("odd"), "cos"]);
  node(at("turnedEven"), "Sub", [at("evenCos"), at("oddSin")]);
  node(at("turnedOdd"), "Add", [at("evenSin"), at("oddCos")]);
  node(at("turnedEven1"), "Unsqueeze", [at("turnedEven"), "last"]);
  node(at("turnedOdd1"), "Unsqueeze", [at("turnedOdd"), "last"]);
  node(at("turned"), "Concat", [at("turnedEven1"), at("turnedOdd1")], { axis: 4 });
  return node(at("rotated"), "Reshape", [at("turned"), "rejoin"]);
}

/** Attention over what is cached and what is new, then the gated net, each added to what came in. */
function addLayer(graph: GraphInMaking, layer: number, input: string): string {
  const { node, transposed } = graph;
  const at = (part: string) => `layers.${layer}.${part}`;
  const linear = (part: string, x: string) => node(at(part), "MatMul", [x, transposed(at(`${part}.weight`))]);
  const past = (part: string) => `past_key_values.${layer}.${part}`;
  const present = (part: string) => `present.${layer}.${part}`;

  const normed = addNorm(graph, at("attention_norm"), input);
  const query = addRotation(graph, at("query"), linear("query", normed));
  const key = addRotation(graph, at("key"), linear("key", normed));
  node(at("value.split"), "Reshape", [linear("value", normed), "split"]);
  const value = node(at("value.heads"), "Transpose", [at("value.split")], { perm: [0, 2, 1, 3] });
  node(present("key"), "Concat", [past("key"), key], { axis: 2 });
  node(present("value"), "Concat", [past("value"), value], { axis: 2 });
  node(at("keys"), "Transpose", [present("key")], { perm: [0, 1, 3, 2] });
  node(at("products"), "MatMul", [query, at("keys")]);
  node(at("scores"), "Mul", [at("products"), "scale"]);
  node(at("masked"), "Add", [at("scores"), "mask"]);
  node(at("shares"), "Softmax", [at("masked")], { axis: -1 });
  node(at("mixed"), "MatMul", [at("shares"), present("value")]);
  node(at("mixed.split"), "Transpose", [at("mixed")], { perm: [0, 2, 1, 3] });
  node(at("mixed.joined"), "Reshape", [at("mixed.split"), "join"]);
  const middle = node(at("middle"), "Add", [input, linear("output", at("mixed.joined"))]);

  const fed = addNorm(graph, at("mlp_norm"), middle);
  const gate = linear("gate", fed);
  node(at("sigmoid"), "Sigmoid", [gate]);
  node(at("silu"), "Mul", [gate, at("sigmoid")]);
  node(at("gated"), "Mul", [at("silu"), linear("up", fed)]);
  return node(at("out"), "Add", [middle, linear("down", at("gated"))]);
}
