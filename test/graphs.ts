/** Small ONNX graphs, and revisions of them, made where a test needs them. */
import { createHash } from "node:crypto";
import { type Manifest, utf8 } from "@tallystick/protocol";
import proto from "onnx-proto";

const { onnx } = proto;
const { AttributeType } = onnx.AttributeProto;
const { DataType } = onnx.TensorProto;

type Type = Exclude<keyof typeof DataType, "UNDEFINED">;

/** A named value of FLOAT unless it says otherwise; a size that the input decides has a name. */
export type Value = { name: string; type?: Type; shape: (number | string)[] };

export type Node = {
  operator: string;
  inputs: string[];
  outputs: string[];
  domain?: string;
  /** The graphs inside this node, by attribute. */
  graphs?: Record<string, Graph>;
};

export type Graph = { inputs: Value[]; outputs: Value[]; nodes: Node[]; weights?: proto.onnx.ITensorProto[] };

export function floatWeights(name: string, shape: number[], values: ArrayLike<number>): proto.onnx.ITensorProto {
  return { name, dims: shape, dataType: DataType.FLOAT, rawData: new Uint8Array(Float32Array.from(values).buffer) };
}

export function integerWeights(name: string, shape: number[], values: number[]): proto.onnx.ITensorProto {
  const wide = BigInt64Array.from(values, BigInt);
  return { name, dims: shape, dataType: DataType.INT64, rawData: new Uint8Array(wide.buffer) };
}

/** The ONNX file of `graph`. */
export function modelFile(graph: Graph, extra: proto.onnx.IModelProto = {}): Uint8Array {
  const opsetImport = [{ domain: "", version: 17 }];
  return Uint8Array.from(
    onnx.ModelProto.encode({ irVersion: 8, opsetImport, graph: graphProto(graph), ...extra }).finish(),
  );
}

function graphProto({ inputs, outputs, nodes, weights = [] }: Graph): proto.onnx.IGraphProto {
  return {
    name: "graph",
    input: inputs.map(valueProto),
    output: outputs.map(valueProto),
    initializer: weights,
    node: nodes.map(({ operator, inputs, outputs, domain = "", graphs = {} }) => ({
      opType: operator,
      input: inputs,
      output: outputs,
      domain,
      attribute: Object.entries(graphs).map(([name, g]) => ({ name, type: AttributeType.GRAPH, g: graphProto(g) })),
    })),
  };
}

function valueProto({ name, type = "FLOAT", shape }: Value): proto.onnx.IValueInfoProto {
  const dim = shape.map((size) => (typeof size === "string" ? { dimParam: size } : { dimValue: size }));
  return { name, type: { tensorType: { elemType: DataType[type], shape: { dim } } } };
}

/** One operator from `x` to `y`, with the weights it takes after `x`. */
export function oneOperator(operator: string, x: Omit<Value, "name">, weights: proto.onnx.ITensorProto[] = []): Graph {
  return {
    inputs: [{ name: "x", ...x }],
    outputs: [{ name: "y", ...x }],
    nodes: [{ operator, inputs: ["x", ...weights.map(({ name }) => name ?? "")], outputs: ["y"] }],
    weights,
  };
}

/** y = sigmoid(x · weights), for rows of 30 columns: the size of a model of risk. */
export function logisticGraph(): Graph {
  return {
    inputs: [{ name: "x", shape: ["rows", 30] }],
    outputs: [{ name: "y", shape: ["rows", 1] }],
    nodes: [
      { operator: "MatMul", inputs: ["x", "weights"], outputs: ["score"] },
      { operator: "Sigmoid", inputs: ["score"], outputs: ["y"] },
    ],
    weights: [
      floatWeights(
        "weights",
        [30, 1],
        Array.from({ length: 30 }, (_, i) => Math.sin(i) / 3),
      ),
    ],
  };
}

/** Counts to 2^62, which takes an engine longer than anybody has. */
export function endlessGraph(): Graph {
  const body: Graph = {
    inputs: [
      { name: "round", type: "INT64", shape: [] },
      { name: "goes_on", type: "BOOL", shape: [] },
      { name: "sum", shape: [1] },
    ],
    outputs: [
      { name: "still", type: "BOOL", shape: [] },
      { name: "next", shape: [1] },
    ],
    nodes: [
      { operator: "Identity", inputs: ["goes_on"], outputs: ["still"] },
      { operator: "Add", inputs: ["sum", "one"], outputs: ["next"] },
    ],
    weights: [floatWeights("one", [1], [1])],
  };
  return {
    inputs: [{ name: "x", shape: [1] }],
    outputs: [{ name: "y", shape: [1] }],
    nodes: [{ operator: "Loop", inputs: ["rounds", "", "x"], outputs: ["y"], graphs: { body } }],
    weights: [integerWeights("rounds", [], [2 ** 62])],
  };
}

/** Blows `x` up to the shape that the call asks for, and multiplies it by itself `rounds` times: as large and as slow as wanted. */
export function swellingGraph(rounds: number): Graph {
  const names = ["a0", ...Array.from({ length: rounds }, (_, i) => `a${i + 1}`)];
  const product = (name: string, i: number): Node => ({
    operator: "MatMul",
    inputs: [names[i] ?? "", "a0"],
    outputs: [name],
  });
  return {
    inputs: [
      { name: "x", shape: [1] },
      { name: "shape", type: "INT64", shape: ["rank"] },
    ],
    outputs: [{ name: "y", shape: ["all"] }],
    nodes: [
      { operator: "Expand", inputs: ["x", "shape"], outputs: ["a0"] },
      ...names.slice(1).map(product),
      { operator: "ReduceMax", inputs: [names.at(-1) ?? ""], outputs: ["y"] },
    ],
  };
}

/** A revision of the one file "model.onnx", for the given adapter. */
export function revisionOf(
  file: Uint8Array,
  adapter: { name: string; version: number; options: string },
  engine: Manifest["engine"] = "judge",
): { digest: Uint8Array; manifest: Manifest; files: Map<string, Uint8Array> } {
  const path = "model.onnx";
  const manifest: Manifest = {
    name: "test/model",
    version: "1",
    category: "risk",
    task: "test",
    licence: "Apache-2.0",
    summary: "A graph of a test.",
    artifacts: [{ path, role: "model", sizeBytes: file.length, digest: sha256(file) }],
    filesRoot: sha256(sha256(file)),
    adapter,
    engine,
    forms: [],
    outputs: [],
    unit: "row",
    quality: [],
  };
  const digest = sha256(file, utf8(JSON.stringify([adapter, engine])));
  return { digest, manifest, files: new Map([[path, file]]) };
}

function sha256(...parts: Uint8Array[]): Uint8Array {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
}
