/**
 * What is public of an integer circuit (docs/spec/proof.md): its architecture without weights, how an input becomes
 * integers, and what its scores mean. A revision with a circuit has it in its artifact `circuit.json`.
 */
import { parseUtf8, utf8 } from "../bytes.ts";
import { Malformed } from "../cbor/bytes.ts";
import { encodeJson, findJson, isJsonObject, type JsonObject } from "../json/canonical.ts";
import { CIRCUIT_FILE_SIZE_BYTES, CIRCUIT_INPUTS, CIRCUIT_LAYERS, CIRCUIT_OUTPUTS } from "../limits.ts";

/** The artifact of a revision that describes its circuit. */
export const CIRCUIT_PATH = "circuit.json";

/** What a layer computes, and in how many bits its weights are. Linear layers are exact; nothing is rounded inside. */
export type Layer =
  | { op: "dense"; outputs: number; weightBits: number; biasBits: number; relu: boolean }
  /** Square kernels without padding, over [channels, height, width]. */
  | { op: "conv"; outputs: number; kernel: number; stride: number; weightBits: number; biasBits: number; relu: boolean }
  /** Sums of squares that do not overlap: what divides an average is in the weights that follow. */
  | { op: "pool"; kernel: number }
  /** Complete binary trees over the input, whose leaves are added to a base; at a node, `x ≤ threshold` goes left. */
  | { op: "trees"; trees: number; depth: number; leafBits: number };

export type Architecture = {
  inputShape: number[];
  /** Bits of an input value, its sign included. */
  inputBits: number;
  layers: Layer[];
  /** What is proved of the last layer: its scores, or which of them is the greatest (the first of equals). */
  decision: "scores" | "argmax";
};

export type CircuitFile = {
  architecture: Architecture;
  /** x becomes x · 2^exponent, rounded; an exponent for each value of a row, or one for all. */
  input: { exponents: number[]; rounding: "nearest" | "up" };
  /** A score is its integer · 2^-exponent; what is answered is that, or its logistic. */
  output: { exponent: number; answer: "score" | "sigmoid" | "index" };
};

/** Reads `circuit.json`. Throws Malformed. */
export function parseCircuitFile(bytes: Uint8Array): CircuitFile {
  if (bytes.length > CIRCUIT_FILE_SIZE_BYTES)
    throw new Malformed(`is a circuit of more than ${CIRCUIT_FILE_SIZE_BYTES} bytes`);
  const file = closed(parseJson(bytes), ["architecture", "input", "output"]);
  const input = closed(file.input, ["exponents", "rounding"]);
  const output = closed(file.output, ["exponent", "answer"]);
  const circuit: CircuitFile = {
    architecture: readArchitecture(file.architecture),
    input: {
      exponents: integers(input.exponents, -64, 64, CIRCUIT_INPUTS),
      rounding: oneOf(input.rounding, ["nearest", "up"]),
    },
    output: {
      exponent: integer(output.exponent, -256, 256),
      answer: oneOf(output.answer, ["score", "sigmoid", "index"]),
    },
  };
  const { architecture } = circuit;
  const { length } = circuit.input.exponents;
  if (length !== 1 && length !== inputCount(architecture))
    throw new Malformed("has a circuit whose exponents are not as many as its inputs");
  if ((architecture.decision === "argmax") !== (circuit.output.answer === "index"))
    throw new Malformed("has a circuit that does not answer what it decides");
  return circuit;
}

/** What an architecture is in every digest: RFC 8785 JSON. */
export function architectureBytes(architecture: Architecture): Uint8Array {
  return encodeJson(architecture);
}

/** The values of one row of input. */
export function inputCount({ inputShape }: Architecture): number {
  return inputShape.reduce((count, size) => count * size, 1);
}

function readArchitecture(value: unknown): Architecture {
  const { inputShape, inputBits, layers, decision } = closed(value, ["inputShape", "inputBits", "layers", "decision"]);
  const shape = integers(inputShape, 1, CIRCUIT_INPUTS, 3);
  if (shape.reduce((count, size) => count * size, 1) > CIRCUIT_INPUTS)
    throw new Malformed(`has a circuit of more than ${CIRCUIT_INPUTS} inputs`);
  if (!Array.isArray(layers) || layers.length < 1 || layers.length > CIRCUIT_LAYERS)
    throw new Malformed(`has a circuit that is not of 1 to ${CIRCUIT_LAYERS} layers`);
  return {
    inputShape: shape,
    inputBits: integer(inputBits, 2, 32),
    layers: layers.map(readLayer),
    decision: oneOf(decision, ["scores", "argmax"]),
  };
}

function readLayer(value: unknown): Layer {
  const op = isJsonObject(value) ? value.op : undefined;
  if (op === "dense") {
    const layer = closed(value, ["op", "outputs", "weightBits", "biasBits", "relu"]);
    return { op, ...linear(layer) };
  }
  if (op === "conv") {
    const layer = closed(value, ["op", "outputs", "kernel", "stride", "weightBits", "biasBits", "relu"]);
    return { op, ...linear(layer), kernel: integer(layer.kernel, 1, 32), stride: integer(layer.stride, 1, 32) };
  }
  if (op === "pool") return { op, kernel: integer(closed(value, ["op", "kernel"]).kernel, 1, 32) };
  if (op === "trees") {
    const layer = closed(value, ["op", "trees", "depth", "leafBits"]);
    return {
      op,
      trees: integer(layer.trees, 1, 1024),
      depth: integer(layer.depth, 1, 10),
      leafBits: integer(layer.leafBits, 2, 32),
    };
  }
  throw new Malformed(`has a circuit with a layer that is none of dense, conv, pool, trees`);
}

function linear({ outputs, weightBits, biasBits, relu }: JsonObject) {
  return {
    outputs: integer(outputs, 1, CIRCUIT_OUTPUTS),
    weightBits: integer(weightBits, 2, 32),
    biasBits: integer(biasBits, 2, 120),
    relu: boolean(relu),
  };
}

function parseJson(bytes: Uint8Array): unknown {
  const text = parseUtf8(bytes);
  if (text === undefined) throw new Malformed("has a circuit that is not UTF-8");
  const value = findJson(text);
  if (value === undefined) throw new Malformed("has a circuit that is not JSON");
  return value;
}

function closed(value: unknown, names: string[]): JsonObject {
  if (!isJsonObject(value) || Object.keys(value).sort().join() !== [...names].sort().join())
    throw new Malformed(`has a circuit with a part that does not have just ${names.join(", ")}`);
  return value;
}

function integer(value: unknown, least: number, most: number): number {
  if (typeof value !== "number" || !Number.isInteger(value) || value < least || value > most)
    throw new Malformed(`has a circuit with a figure that is not a whole number from ${least} to ${most}`);
  return value;
}

function integers(value: unknown, least: number, most: number, count: number): number[] {
  if (!Array.isArray(value) || value.length < 1 || value.length > count)
    throw new Malformed(`has a circuit with a list that does not have 1 to ${count} figures`);
  return value.map((one) => integer(one, least, most));
}

function boolean(value: unknown): boolean {
  if (typeof value !== "boolean") throw new Malformed("has a circuit with a figure that is neither true nor false");
  return value;
}

function oneOf<const W extends string>(value: unknown, words: readonly W[]): W {
  const found = words.find((word) => word === value);
  if (found === undefined) throw new Malformed(`has a circuit with a word that is none of ${words.join(", ")}`);
  return found;
}

/** `file` as it is written: for people, since digests are of its architecture alone and of its bytes. */
export function writeCircuitFile(file: CircuitFile): Uint8Array {
  return utf8(`${JSON.stringify(file, undefined, 2)}\n`);
}
