/** The numbers of floating-point tensors, of whatever width. */
import type { Datatype, Tensor } from "@tallystick/protocol";

export const isFloat = (datatype: Datatype): datatype is Float =>
  datatype === "FP16" || datatype === "FP32" || datatype === "FP64";

type Float = "FP16" | "FP32" | "FP64";

/** The elements of an FP16, FP32 or FP64 tensor. */
export function floatsOf({ datatype, data }: Tensor): Float64Array {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  if (datatype === "FP64")
    return Float64Array.from({ length: data.length / 8 }, (_, i) => view.getFloat64(8 * i, true));
  if (datatype === "FP32")
    return Float64Array.from({ length: data.length / 4 }, (_, i) => view.getFloat32(4 * i, true));
  return Float64Array.from({ length: data.length / 2 }, (_, i) => halfOf(view.getUint16(2 * i, true)));
}

/** The number that 16 bits of IEEE 754 binary16 say. */
function halfOf(bits: number): number {
  const sign = bits >> 15 === 0 ? 1 : -1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25);
}

/** `tensor` with every NaN as the one of IEEE 754 that is quiet, positive and empty: machines differ in a NaN's other bits. */
export function withOneNaN(tensor: Tensor): Tensor {
  const { datatype, data } = tensor;
  if (!isFloat(datatype)) return tensor;
  const { width, isNone, write } = NANS[datatype];
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  for (let at = 0; at < data.length; at += width) if (isNone(view, at)) write(view, at);
  return tensor;
}

type NaNs = { width: number; isNone(view: DataView, at: number): boolean; write(view: DataView, at: number): void };

const NANS: Record<Float, NaNs> = {
  FP16: {
    width: 2,
    isNone: (view, at) => (view.getUint16(at, true) & 0x7fff) > 0x7c00,
    write: (view, at) => view.setUint16(at, 0x7e00, true),
  },
  FP32: {
    width: 4,
    isNone: (view, at) => (view.getUint32(at, true) & 0x7fffffff) > 0x7f800000,
    write: (view, at) => view.setUint32(at, 0x7fc00000, true),
  },
  FP64: {
    width: 8,
    isNone: (view, at) => Number.isNaN(view.getFloat64(at, true)),
    write: (view, at) => view.setBigUint64(at, 0x7ff8000000000000n, true),
  },
};
