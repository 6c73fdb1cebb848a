/** Tensors in JSON, as the Open Inference Protocol v2 spells them. */
import { base64, parseBase64, parseUtf8 } from "../bytes.ts";
import { Malformed } from "../cbor/bytes.ts";
import {
  bytesElements,
  bytesTensor,
  DATATYPES,
  type Datatype,
  elementCount,
  type Tensor,
  textTensor,
} from "./tensor.ts";

/** A tensor in JSON. BYTES that are not text are base64, and say so (the content types are MLServer's). */
export type TensorJson = {
  name: string;
  datatype: Datatype;
  shape: number[];
  parameters?: { content_type?: "base64" | "str" };
  /** Row-major; nested or flat. */
  data: readonly unknown[];
};

/** The tensor that `json` spells. Throws Malformed, naming the element at fault. */
export function parseTensorJson({ name, datatype, shape, parameters, data }: TensorJson): Tensor {
  const count = elementCount(shape);
  const values = data.some(Array.isArray) ? flatten(name, data, shape) : data;
  if (values.length !== count)
    throw new Malformed(
      `has "${name}" of shape [${shape}], which holds ${count} elements, with ${values.length} in its data`,
    );
  if (datatype === "BYTES") return parseBytes(name, shape, values, parameters?.content_type === "base64");
  const write = WRITERS[datatype];
  const width = DATATYPES[datatype];
  const bytes = new Uint8Array(count * width);
  const view = new DataView(bytes.buffer);
  for (const [i, value] of values.entries())
    if (!write(view, i * width, value))
      throw new Malformed(`has "${name}" with element ${i} that is not of ${datatype}: ${describe(value)}`);
  return { name, datatype, shape, data: bytes };
}

/** Nested data, flat: each level must be as long as the shape says, else rows would run into one another. */
function flatten(name: string, data: readonly unknown[], shape: readonly number[]): unknown[] {
  let level = data;
  for (const axis of shape.keys()) {
    const due = elementCount(shape.slice(0, axis + 1));
    if (level.length !== due) throw new Malformed(`has "${name}" nested otherwise than its shape [${shape}]`);
    if (axis === shape.length - 1) break;
    const next = elementCount(shape.slice(axis + 1, axis + 2));
    const rows = level.map((row) => {
      if (Array.isArray(row) && row.length === next) return row as unknown[];
      throw new Malformed(
        `has "${name}" with a level ${axis + 1} that is not arrays of ${next}, as its shape [${shape}] says`,
      );
    });
    level = rows.flat(1);
  }
  return [...level];
}

/** A value of JSON, short enough for a message. */
function describe(value: unknown): string {
  if (typeof value === "object" && value !== null) return Array.isArray(value) ? "an array" : "an object";
  return JSON.stringify(value)?.slice(0, 40) ?? "nothing";
}

function parseBytes(name: string, shape: number[], values: readonly unknown[], isBase64: boolean): Tensor {
  const texts = values.map((value, i) => {
    if (typeof value === "string") return value;
    throw new Malformed(`has "${name}" of BYTES with element ${i} that is not a string`);
  });
  if (!isBase64) return textTensor(name, texts, shape);
  const elements = texts.map((text, i) => {
    const bytes = parseBase64(text);
    if (bytes !== undefined) return bytes;
    throw new Malformed(`has "${name}" with element ${i} that is not base64`);
  });
  return bytesTensor(name, elements, shape);
}

/** Writes one element; false where the value is not of the datatype. */
type Writer = (view: DataView, at: number, value: unknown) => boolean;

function integer(least: number, most: number, write: (view: DataView, at: number, value: number) => void): Writer {
  return (view, at, value) => {
    if (typeof value !== "number" || !Number.isInteger(value) || value < least || value > most) return false;
    write(view, at, value);
    return true;
  };
}

/** 64-bit integers over 2^53 - 1 come as decimal strings: a JSON number would have lost digits. */
function bigInteger(least: bigint, most: bigint, write: (view: DataView, at: number, value: bigint) => void): Writer {
  return (view, at, value) => {
    const exact =
      typeof value === "number"
        ? Number.isSafeInteger(value)
        : typeof value === "string" && /^-?[0-9]{1,20}$/.test(value);
    if (!exact) return false;
    const big = BigInt(value as number | string);
    if (big < least || big > most) return false;
    write(view, at, big);
    return true;
  };
}

const WRITERS: Record<Exclude<Datatype, "BYTES">, Writer> = {
  BOOL: (view, at, value) => {
    if (value !== true && value !== false) return false;
    view.setUint8(at, value ? 1 : 0);
    return true;
  },
  UINT8: integer(0, 255, (view, at, value) => view.setUint8(at, value)),
  UINT16: integer(0, 65_535, (view, at, value) => view.setUint16(at, value, true)),
  UINT32: integer(0, 4_294_967_295, (view, at, value) => view.setUint32(at, value, true)),
  UINT64: bigInteger(0n, (1n << 64n) - 1n, (view, at, value) => view.setBigUint64(at, value, true)),
  INT8: integer(-128, 127, (view, at, value) => view.setInt8(at, value)),
  INT16: integer(-32_768, 32_767, (view, at, value) => view.setInt16(at, value, true)),
  INT32: integer(-2_147_483_648, 2_147_483_647, (view, at, value) => view.setInt32(at, value, true)),
  INT64: bigInteger(-(1n << 63n), (1n << 63n) - 1n, (view, at, value) => view.setBigInt64(at, value, true)),
  FP16: () => false, // The protocol gives it no JSON form.
  FP32: (view, at, value) => {
    if (typeof value !== "number" || !Number.isFinite(Math.fround(value))) return false;
    view.setFloat32(at, value, true);
    return true;
  },
  FP64: (view, at, value) => {
    if (typeof value !== "number") return false;
    view.setFloat64(at, value, true);
    return true;
  },
};

type Reader = (view: DataView, at: number) => unknown;
/** A number of JSON, or null where JSON has none for it: NaN and the infinities. */
const finite = (value: number) => (Number.isFinite(value) ? value : null);
const exact = (value: bigint) => (value >= -(2n ** 53n) && value <= 2n ** 53n ? Number(value) : String(value));

const READERS: Record<Exclude<Datatype, "BYTES">, Reader> = {
  BOOL: (view, at) => view.getUint8(at) !== 0,
  UINT8: (view, at) => view.getUint8(at),
  UINT16: (view, at) => view.getUint16(at, true),
  UINT32: (view, at) => view.getUint32(at, true),
  UINT64: (view, at) => exact(view.getBigUint64(at, true)),
  INT8: (view, at) => view.getInt8(at),
  INT16: (view, at) => view.getInt16(at, true),
  INT32: (view, at) => view.getInt32(at, true),
  INT64: (view, at) => exact(view.getBigInt64(at, true)),
  FP16: (view, at) => finite(half(view.getUint16(at, true))),
  FP32: (view, at) => finite(view.getFloat32(at, true)),
  FP64: (view, at) => finite(view.getFloat64(at, true)),
};

/** The value of an IEEE 754 binary16. */
function half(bits: number): number {
  const sign = bits >> 15 === 0 ? 1 : -1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25);
}

/** `tensor` in JSON, flat. */
export function encodeTensorJson(tensor: Tensor): TensorJson {
  const { name, datatype, shape, data } = tensor;
  if (datatype === "BYTES") {
    const elements = bytesElements(tensor);
    const texts = elements.map(parseUtf8);
    return texts.includes(undefined)
      ? { name, datatype, shape, parameters: { content_type: "base64" }, data: elements.map(base64) }
      : { name, datatype, shape, data: texts };
  }
  const read = READERS[datatype];
  const width = DATATYPES[datatype];
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  return { name, datatype, shape, data: Array.from({ length: data.length / width }, (_, i) => read(view, i * width)) };
}
