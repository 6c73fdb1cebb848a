/** Our tensors as ONNX Runtime's and back. */
import {
  bytesElements,
  type Datatype,
  elementCount,
  parseUtf8,
  type Tensor,
  tensorFault,
  textTensor,
} from "@tallystick/protocol";
import type * as Ort from "onnxruntime-web";
import type { Engine } from "./engine.ts";

type Elements = Exclude<Ort.Tensor.DataType, string[]>;
type Kind = {
  datatype: Exclude<Datatype, "BYTES">;
  type: Exclude<Ort.Tensor.Type, "string">;
  Elements: { new (buffer: ArrayBufferLike, byteOffset: number, length: number): Elements; BYTES_PER_ELEMENT: number };
};

// Newer Nodes have a Float16Array, and then the engines insist on it.
const Half: Kind["Elements"] = Reflect.get(globalThis, "Float16Array") ?? Uint16Array;

const KINDS: Kind[] = [
  { datatype: "BOOL", type: "bool", Elements: Uint8Array },
  { datatype: "UINT8", type: "uint8", Elements: Uint8Array },
  { datatype: "UINT16", type: "uint16", Elements: Uint16Array },
  { datatype: "UINT32", type: "uint32", Elements: Uint32Array },
  { datatype: "UINT64", type: "uint64", Elements: BigUint64Array },
  { datatype: "INT8", type: "int8", Elements: Int8Array },
  { datatype: "INT16", type: "int16", Elements: Int16Array },
  { datatype: "INT32", type: "int32", Elements: Int32Array },
  { datatype: "INT64", type: "int64", Elements: BigInt64Array },
  { datatype: "FP16", type: "float16", Elements: Half },
  { datatype: "FP32", type: "float32", Elements: Float32Array },
  { datatype: "FP64", type: "float64", Elements: Float64Array },
];
const BY_DATATYPE = new Map<Datatype, Kind>(KINDS.map((kind) => [kind.datatype, kind]));
const BY_TYPE = new Map<Ort.Tensor.Type, Kind>(KINDS.map((kind) => [kind.type, kind]));

/** `tensor` for the engine, over the same bytes where they are aligned. Throws where the engine would read it as another. */
export function toEngine({ ort }: Engine, tensor: Tensor): Ort.Tensor {
  const { name, datatype, shape, data } = tensor;
  // A tensor longer than its data would go on into its neighbour's.
  const fault = tensorFault(tensor);
  if (fault !== undefined) throw new Error(fault);
  const kind = BY_DATATYPE.get(datatype);
  if (kind === undefined) return new ort.Tensor("string", engineTexts(tensor), shape);
  if (datatype === "BOOL" && data.some((byte) => byte > 1))
    throw new Error(`"${name}" has a BOOL that is neither 0 nor 1`);
  const { type, Elements } = kind;
  const { buffer, byteOffset } = data.byteOffset % Elements.BYTES_PER_ELEMENT === 0 ? data : data.slice();
  return new ort.Tensor(type, new Elements(buffer, byteOffset, elementCount(shape)), shape);
}

/** The engine's `tensor` as ours, over the same bytes. */
export function fromEngine(name: string, tensor: Ort.Tensor): Tensor {
  const { type, dims, data } = tensor;
  if (Array.isArray(data)) return textTensor(name, data, [...dims]);
  const datatype = BY_TYPE.get(type)?.datatype;
  if (datatype === undefined)
    throw new Error(`the graph's output "${name}" is of the type ${type}, which no tensor has`);
  return { name, datatype, shape: [...dims], data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) };
}

/** A string of the engine is UTF-8 and ends at its first zero byte, so that no other bytes would arrive as they are. */
function engineTexts(tensor: Tensor): string[] {
  return bytesElements(tensor).map((element, i) => {
    const text = parseUtf8(element);
    if (text === undefined || element.includes(0))
      throw new Error(
        `element ${i} of "${tensor.name}" is not UTF-8 without zero bytes, and a graph takes nothing else`,
      );
    return text;
  });
}
