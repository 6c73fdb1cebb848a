/** How far two answers to one call are apart: bit by bit, or within the tolerance that a revision states. */
import { DATATYPES, equal, type Tensor } from "@tallystick/protocol";
import { floatsOf, isFloat } from "./floats.ts";

/** `claimed` agrees with `value` where |claimed − value| ≤ absolute + relative × |value|. */
export type Tolerance = { absolute: number; relative: number };

/** What of `claimed` is not what `value` has, in words that say nothing of either; undefined where they agree. */
export function tensorsFault(claimed: readonly Tensor[], value: readonly Tensor[], tolerance?: Tolerance) {
  if (claimed.length !== value.length) return `it has ${claimed.length} outputs, and the model gives ${value.length}`;
  for (const [i, one] of claimed.entries()) {
    const other = value[i];
    const fault = other === undefined ? "lacks" : tensorFault(one, other, tolerance);
    if (fault !== undefined) return `the output "${other?.name ?? one.name}" ${fault}`;
  }
  return undefined;
}

function tensorFault(claimed: Tensor, value: Tensor, tolerance: Tolerance | undefined): string | undefined {
  const { name, datatype, shape } = value;
  if (claimed.name !== name) return "is not at its place";
  if (claimed.datatype !== datatype || claimed.shape.join() !== shape.join()) return "has another form";
  if (equal(claimed.data, value.data)) return undefined;
  if (tolerance === undefined || !isFloat(datatype)) {
    const width = DATATYPES[datatype];
    return width === 0 ? "has other bytes" : `differs in ${differing(claimed.data, value.data, width)} elements`;
  }
  return floatsFault(floatsOf(claimed), floatsOf(value), tolerance);
}

/** What is wrong with `claimed` beside `value`, element by element. */
export function floatsFault(claimed: ArrayLike<number>, value: ArrayLike<number>, tolerance: Tolerance) {
  let count = 0;
  for (let i = 0; i < value.length; i++) if (!isWithin(claimed[i] ?? Number.NaN, value[i] ?? 0, tolerance)) count++;
  return count === 0 ? undefined : `is beyond the tolerance in ${count} of ${value.length} elements`;
}

/** Whether `claimed` is `value` as far as the tolerance asks. NaN agrees with NaN, infinity with itself. */
export function isWithin(claimed: number, value: number, { absolute, relative }: Tolerance): boolean {
  if (Object.is(claimed, value) || claimed === value) return true;
  // A comparison with NaN is false, and so is what is infinitely far off.
  return Number.isFinite(value) && Math.abs(claimed - value) <= absolute + relative * Math.abs(value);
}

function differing(a: Uint8Array, b: Uint8Array, width: number): number {
  let count = 0;
  for (let at = 0; at < b.length; at += width)
    if (!equal(a.subarray(at, at + width), b.subarray(at, at + width))) count++;
  return count;
}
