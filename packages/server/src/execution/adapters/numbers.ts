/** Tensors as typed arrays, without a step per element: what adapters compute on. */
import assert from "node:assert/strict";
import type { Tensor } from "@tallystick/protocol";

assert.equal(new Uint8Array(Uint16Array.of(1).buffer)[0], 1, "tensors are little-endian, and so must this machine be");

/** The values of an FP32 tensor, as a copy. */
export function floatValues({ data }: Tensor): Float32Array {
  return new Float32Array(data.slice().buffer);
}

/** An FP32 tensor over `values` themselves. */
export function floatTensorOf(name: string, shape: number[], values: Float32Array): Tensor {
  return { name, datatype: "FP32", shape, data: new Uint8Array(values.buffer, values.byteOffset, values.byteLength) };
}

/** The values of an INT64 tensor, as a copy. */
export function integerValues({ data }: Tensor): BigInt64Array {
  return new BigInt64Array(data.slice().buffer);
}

/** An INT64 tensor of `values`. */
export function integerTensor(name: string, shape: number[], values: ArrayLike<number>): Tensor {
  const wide = new BigInt64Array(values.length);
  for (let i = 0; i < values.length; i++) wide[i] = BigInt(values[i] ?? 0);
  return { name, datatype: "INT64", shape, data: new Uint8Array(wide.buffer) };
}

/** Where the first number stands that is not finite; -1 when all are. */
export function findNotFinite(values: Float32Array): number {
  for (let i = 0; i < values.length; i++) if (!Number.isFinite(values[i])) return i;
  return -1;
}
