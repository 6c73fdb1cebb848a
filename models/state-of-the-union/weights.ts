/** What train.py wrote: its sizes, and the weights by name, read from safetensors. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** As train.py has them. */
export const SIZES = { vocabulary: 2048, width: 144, layers: 4, heads: 4, hidden: 400, context: 512 };
export const HEAD_SIZE = SIZES.width / SIZES.heads;
export const EPSILON = 1e-5;
export const THETA = 10_000;

/** A weight of 16-bit floats; `bits` are theirs. */
export type Weight = { name: string; shape: number[]; bits: Uint16Array };

/** The linear maps of a layer, each as [outputs, inputs]. */
export const LINEARS = ["query", "key", "value", "output", "gate", "up", "down"] as const;

export function readWeights(): Map<string, Weight> {
  const file = new Uint8Array(readFileSync(join(import.meta.dirname, "weights.safetensors")));
  const headerBytes = Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
  const header: Record<string, { dtype: string; shape: number[]; data_offsets: [number, number] }> = JSON.parse(
    new TextDecoder().decode(file.subarray(8, 8 + headerBytes)),
  );
  const weights = new Map<string, Weight>();
  for (const [name, { dtype, shape, data_offsets }] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    assert(dtype === "F16", `${name} is ${dtype}, and train.py writes F16`);
    const [start, end] = data_offsets.map((offset) => 8 + headerBytes + offset);
    weights.set(name, { name, shape, bits: new Uint16Array(file.slice(start, end).buffer) });
  }
  return weights;
}

export function getWeight(weights: ReadonlyMap<string, Weight>, name: string): Weight {
  const weight = weights.get(name);
  if (weight === undefined) throw new Error(`weights.safetensors has no ${name}: train the model again`);
  return weight;
}
