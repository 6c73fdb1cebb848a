/** What of an ONNX file a circuit is made from: its nodes in order, its constants, its input's shape. */
import onnxProto, { type onnx as proto } from "onnx-proto";
import { UnsupportedModel } from "./unsupported.ts";

const { onnx } = onnxProto;

export type Constant = { dims: number[]; values: number[] };
export type Attributes = {
  integer(name: string, fallback: number): number;
  /** Of a float: 1 where it lacks. */
  factor(name: string): number;
  integers(name: string): number[];
  floats(name: string): number[];
  strings(name: string): string[];
  /** A text, in a list that is empty where it lacks. */
  text(name: string): string[];
  has(name: string): boolean;
};
export type Node = { op: string; inputs: string[]; outputs: string[]; attributes: Attributes };
export type Graph = {
  input: string;
  /** Of one row: without the first dimension. */
  inputShape: number[];
  outputs: string[];
  nodes: Node[];
  constants: Map<string, Constant>;
};

const FLOAT = 1;
const INT64 = 7;

/** The graph in `bytes`. Throws UnsupportedModel where it is none that a circuit could be of. */
export function readGraph(bytes: Uint8Array): Graph {
  const { graph } = decodeModel(bytes);
  if (!graph) throw new UnsupportedModel("the file holds no graph");
  const constants = new Map((graph.initializer ?? []).map((tensor) => [tensor.name ?? "", readTensor(tensor)]));
  const inputs = (graph.input ?? []).filter(({ name }) => !constants.has(name ?? ""));
  const [input] = inputs;
  const dims = (input?.type?.tensorType?.shape?.dim ?? []).slice(1).map(({ dimValue }) => Number(dimValue ?? 0));
  if (inputs.length !== 1 || dims.length === 0 || dims.some((size) => size < 1))
    throw new UnsupportedModel("a circuit takes one input of rows of a fixed shape, and this model has another");
  return {
    input: input?.name ?? "",
    inputShape: dims,
    outputs: (graph.output ?? []).map(({ name }) => name ?? ""),
    nodes: (graph.node ?? []).map((node) => ({
      op: node.opType ?? "",
      inputs: node.input ?? [],
      outputs: node.output ?? [],
      attributes: attributesOf(node.attribute ?? []),
    })),
    constants,
  };
}

function decodeModel(bytes: Uint8Array) {
  try {
    return onnx.ModelProto.decode(bytes);
  } catch (cause) {
    throw new UnsupportedModel("the file is not ONNX", { cause });
  }
}

function readTensor(tensor: proto.ITensorProto): Constant {
  const dims = (tensor.dims ?? []).map(Number);
  const count = dims.reduce((product, size) => product * size, 1);
  const values = valuesOf(tensor);
  if (values.length !== count)
    throw new UnsupportedModel(`the constant ${tensor.name} has ${values.length} values where its shape has ${count}`);
  return { dims, values };
}

function valuesOf(tensor: proto.ITensorProto): number[] {
  const raw = tensor.rawData ?? new Uint8Array(0);
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  if (tensor.dataType === FLOAT)
    return raw.length > 0
      ? Array.from({ length: raw.length / 4 }, (_, i) => view.getFloat32(4 * i, true))
      : Array.from(tensor.floatData ?? []);
  if (tensor.dataType === INT64)
    return raw.length > 0
      ? Array.from({ length: raw.length / 8 }, (_, i) => Number(view.getBigInt64(8 * i, true)))
      : (tensor.int64Data ?? []).map(Number);
  throw new UnsupportedModel(`the constant ${tensor.name} is neither of 32-bit floats nor of 64-bit integers`);
}

function attributesOf(attributes: readonly proto.IAttributeProto[]): Attributes {
  const byName = new Map(attributes.map((attribute) => [attribute.name ?? "", attribute]));
  return {
    has: (name) => byName.has(name),
    integer: (name, fallback) => (byName.has(name) ? Number(byName.get(name)?.i ?? 0) : fallback),
    text: (name) => (byName.has(name) ? [new TextDecoder().decode(byName.get(name)?.s ?? new Uint8Array(0))] : []),
    factor: (name) => byName.get(name)?.f ?? 1,
    integers: (name) => (byName.get(name)?.ints ?? []).map(Number),
    floats: (name) => Array.from(byName.get(name)?.floats ?? []),
    strings: (name) => (byName.get(name)?.strings ?? []).map((text) => new TextDecoder().decode(text)),
  };
}
