/**
 * Writes ONNX graphs: opset 17 and IR 8, which every runtime of the last years reads.
 * The same graph gives the same bytes, so a model made here can be pinned by its digest.
 */
import onnxProto from "onnx-proto";

const { onnx } = onnxProto;
const { AttributeType } = onnx.AttributeProto;

const ELEMENT_TYPES = { FP32: 1, INT64: 7, FP16: 10 } as const;
type ElementType = keyof typeof ELEMENT_TYPES;

/** What an ONNX attribute may hold here; `float` tells 1.0 from the integer 1. */
export type Attribute = string | number | number[] | { float: number } | { floats: number[] } | { strings: string[] };

export type Value = { name: string; type: ElementType; shape: (number | string)[] };
export type Node = { op: string; inputs: string[]; outputs: string[]; attributes?: Record<string, Attribute> };
/** The values of FP16 are its bits, as whole numbers. */
export type Constant = { name: string; type: ElementType; shape: number[]; values: ArrayLike<number> };

export type Graph = {
  name: string;
  inputs: Value[];
  outputs: Value[];
  nodes: Node[];
  constants: Constant[];
  /** Operators beside ONNX's own, `ai.onnx.ml` of version 3: decision trees. */
  ml?: boolean;
};

/** The bytes of a model that holds `graph`. */
export function encodeModel(graph: Graph): Uint8Array {
  const mlOps = new Set(graph.ml ? ["TreeEnsembleRegressor"] : []);
  const model = onnx.ModelProto.create({
    irVersion: 8,
    producerName: "tallystick",
    opsetImport: [{ domain: "", version: 17 }, ...(graph.ml ? [{ domain: "ai.onnx.ml", version: 3 }] : [])],
    graph: {
      name: graph.name,
      input: graph.inputs.map(encodeValue),
      output: graph.outputs.map(encodeValue),
      initializer: graph.constants.map(encodeConstant),
      node: graph.nodes.map(({ op, inputs, outputs, attributes = {} }) => ({
        opType: op,
        name: outputs[0] ?? op,
        domain: mlOps.has(op) ? "ai.onnx.ml" : "",
        input: inputs,
        output: outputs,
        attribute: Object.entries(attributes).map(([name, value]) => ({ name, ...encodeAttribute(value) })),
      })),
    },
  });
  return Uint8Array.from(onnx.ModelProto.encode(model).finish());
}

function encodeValue({ name, type, shape }: Value) {
  const dim = shape.map((size) => (typeof size === "string" ? { dimParam: size } : { dimValue: size }));
  return { name, type: { tensorType: { elemType: ELEMENT_TYPES[type], shape: { dim } } } };
}

function encodeConstant({ name, type, shape, values }: Constant) {
  const width = { FP16: 2, FP32: 4, INT64: 8 }[type];
  const rawData = new Uint8Array(values.length * width);
  const view = new DataView(rawData.buffer);
  for (let i = 0; i < values.length; i++)
    if (type === "INT64") view.setBigInt64(8 * i, BigInt(values[i] ?? 0), true);
    else if (type === "FP16") view.setUint16(2 * i, values[i] ?? 0, true);
    else view.setFloat32(4 * i, values[i] ?? 0, true);
  return { name, dims: shape, dataType: ELEMENT_TYPES[type], rawData };
}

function encodeAttribute(value: Attribute) {
  if (typeof value === "string") return { type: AttributeType.STRING, s: Buffer.from(value) };
  if (typeof value === "number") return { type: AttributeType.INT, i: value };
  if (Array.isArray(value)) return { type: AttributeType.INTS, ints: value };
  if ("float" in value) return { type: AttributeType.FLOAT, f: value.float };
  if ("floats" in value) return { type: AttributeType.FLOATS, floats: value.floats };
  return { type: AttributeType.STRINGS, strings: value.strings.map((text) => Buffer.from(text)) };
}

/** A constant of 32-bit floats; without a shape, a scalar. */
export function floatConstant(name: string, values: ArrayLike<number>, shape: number[] = []): Constant {
  return { name, type: "FP32", shape, values };
}

/** A constant of 64-bit integers; without a shape, a scalar. */
export function intConstant(name: string, values: ArrayLike<number>, shape: number[] = []): Constant {
  return { name, type: "INT64", shape, values };
}
