/**
 * Tensors as the Open Inference Protocol v2 names them, their data always in its binary form:
 * row-major, little-endian; a BYTES element is a 4-byte little-endian length and that many bytes.
 */
import { parseUtf8, utf8 } from "../bytes.ts";

/** Bytes of one element; 0 where the element says its own length. */
export const DATATYPES = {
  BOOL: 1,
  UINT8: 1,
  UINT16: 2,
  UINT32: 4,
  UINT64: 8,
  INT8: 1,
  INT16: 2,
  INT32: 4,
  INT64: 8,
  FP16: 2,
  FP32: 4,
  FP64: 8,
  BYTES: 0,
} as const;

export type Datatype = keyof typeof DATATYPES;

/** A named array: `data` holds product(shape) elements of `datatype`. */
export type Tensor = { name: string; datatype: Datatype; shape: number[]; data: Uint8Array };

/** How many elements a shape has; the empty shape has one. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((count, size) => count * size, 1);
}

/** What is wrong with `tensor`, in words for its sender, or undefined when its data fits its shape and datatype. */
export function tensorFault({ name, datatype, shape, data }: Tensor): string | undefined {
  const count = elementCount(shape);
  if (!Number.isSafeInteger(count)) return `"${name}" has a shape of more elements than can be counted`;
  const width = DATATYPES[datatype];
  if (width > 0)
    return data.length === count * width
      ? undefined
      : `"${name}" of ${datatype} with shape [${shape}] takes ${count * width} bytes, not ${data.length}`;
  let found = 0;
  let at = 0;
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  while (at + 4 <= data.length && found < count) {
    at += 4 + view.getUint32(at, true);
    found++;
  }
  return found === count && at === data.length
    ? undefined
    : `"${name}" of BYTES with shape [${shape}] takes ${count} length-prefixed elements in ${data.length} bytes`;
}

/** A BYTES tensor of `elements`, one-dimensional unless a shape is given. */
export function bytesTensor(name: string, elements: Uint8Array[], shape: number[] = [elements.length]): Tensor {
  const data = new Uint8Array(elements.reduce((size, element) => size + 4 + element.length, 0));
  const view = new DataView(data.buffer);
  let at = 0;
  for (const element of elements) {
    view.setUint32(at, element.length, true);
    data.set(element, at + 4);
    at += 4 + element.length;
  }
  return { name, datatype: "BYTES", shape, data };
}

/** A BYTES tensor of the UTF-8 of `texts`. */
export function textTensor(name: string, texts: string[], shape?: number[]): Tensor {
  return bytesTensor(name, texts.map(utf8), shape);
}

/** The elements of a BYTES tensor whose form `tensorFault` found good. */
export function bytesElements({ data }: Tensor): Uint8Array[] {
  const elements: Uint8Array[] = [];
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  for (let at = 0; at < data.length; ) {
    const length = view.getUint32(at, true);
    elements.push(data.subarray(at + 4, at + 4 + length));
    at += 4 + length;
  }
  return elements;
}

/** The elements of a BYTES tensor as texts; undefined when one is not UTF-8. */
export function textElements(tensor: Tensor): string[] | undefined {
  const texts: string[] = [];
  for (const element of bytesElements(tensor)) {
    const text = parseUtf8(element);
    if (text === undefined) return undefined;
    texts.push(text);
  }
  return texts;
}

/** An FP32 tensor of `values`. */
export function floatTensor(name: string, shape: number[], values: ArrayLike<number>): Tensor {
  const data = new Uint8Array(values.length * 4);
  const view = new DataView(data.buffer);
  for (let i = 0; i < values.length; i++) view.setFloat32(4 * i, values[i] ?? 0, true);
  return { name, datatype: "FP32", shape, data };
}

/** The values of an FP32 tensor. */
export function floats({ data }: Tensor): Float32Array {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  return Float32Array.from({ length: data.length / 4 }, (_, i) => view.getFloat32(4 * i, true));
}
