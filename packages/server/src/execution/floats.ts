/** The numbers of floating-point tensors, of whatever width. */
import type { Datatype, Tensor } from "@tallystick/protocol";

export const isFloat = (datatype: Datatype) => datatype === "FP16" || datatype === "FP32" || datatype === "FP64";

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
