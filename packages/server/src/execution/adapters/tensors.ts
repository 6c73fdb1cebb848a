/**
 * `tensors@1`: the call's tensors are the graph's inputs, of the shapes that the manifest's form has already held
 * them to.
 *
 * Options: `stack` says that the graph answers each row of axis 0 by itself, so that calls which came together are
 * one run of it; `finite` refuses NaN and infinity, for graphs to which they could only be a mistake.
 */
import assert from "node:assert/strict";
import { concat, DATATYPES, type Tensor } from "@tallystick/protocol";
import type { Adapter, Kit, Outcome } from "../adapter.ts";
import { findNotFinite, floatValues } from "./numbers.ts";

const MODEL_PATH = "model.onnx";

export const tensors: Adapter = {
  name: "tensors",
  version: 1,
  async run(calls, kit) {
    const { stack, finite } = parseOptions(kit.options);
    const outcomes: Outcome[] = [];
    const groups = new Map<string, number[]>();
    for (const [at, call] of calls.entries()) {
      const message = (stack ? findRowFault(call) : undefined) ?? (finite ? findNumberFault(call) : undefined);
      if (message !== undefined) {
        outcomes[at] = { ok: false, message };
        continue;
      }
      const key = stack ? call.map(stackingKey).join() : String(at);
      const group = groups.get(key);
      if (group) group.push(at);
      else groups.set(key, [at]);
    }
    for (const group of groups.values()) {
      const answers = await runStacked(
        group.map((at) => calls[at] ?? []),
        kit,
      );
      for (const [i, at] of group.entries())
        outcomes[at] = { ok: true, outputs: answers[i] ?? [], unitCount: rowCount(calls[at] ?? []) };
    }
    return outcomes;
  },
};

function parseOptions(options: unknown): { stack: boolean; finite: boolean } {
  assert(typeof options === "object" && options !== null, "tensors@1 takes an object of options");
  const { stack = false, finite = false } = options as { stack?: unknown; finite?: unknown };
  assert(typeof stack === "boolean" && typeof finite === "boolean", "stack and finite are true or false");
  return { stack, finite };
}

function findRowFault(call: Tensor[]): string | undefined {
  const rows = rowCount(call);
  if (rows === 0) return `"${call[0]?.name}" has no rows: send at least one`;
  const odd = call.find(({ shape }) => shape[0] !== rows);
  return odd && `"${odd.name}" has ${odd.shape[0] ?? "no"} rows and "${call[0]?.name}" has ${rows}: they must agree`;
}

function findNumberFault(call: Tensor[]): string | undefined {
  for (const tensor of call) {
    if (tensor.datatype !== "FP32") continue;
    const at = findNotFinite(floatValues(tensor));
    if (at >= 0) return `"${tensor.name}" has a NaN or an infinity at element ${at}: send finite numbers`;
  }
  return undefined;
}

/** Calls of one key can lie on top of each other. */
function stackingKey({ name, datatype, shape }: Tensor): string {
  return `${name}:${datatype}:${shape.slice(1).join("x")}`;
}

function rowCount(call: Tensor[]): number {
  return call[0]?.shape[0] ?? 1;
}

/** One run of the graph for calls of one key, its outputs cut apart again by rows. */
async function runStacked(calls: Tensor[][], kit: Kit): Promise<Tensor[][]> {
  const [first = []] = calls;
  if (calls.length === 1) return [await kit.run(MODEL_PATH, first)];
  const rows = calls.map(rowCount);
  const total = rows.reduce((sum, count) => sum + count, 0);
  const feeds = first.map((tensor, i) => ({
    ...tensor,
    shape: [total, ...tensor.shape.slice(1)],
    data: concat(...calls.map((call) => call[i]?.data ?? new Uint8Array())),
  }));
  const outputs = await kit.run(MODEL_PATH, feeds);
  let start = 0;
  return rows.map((count) => {
    const end = start + count;
    const parts = outputs.map((output) => sliceRows(output, start, end, total));
    start = end;
    return parts;
  });
}

function sliceRows({ name, datatype, shape, data }: Tensor, start: number, end: number, total: number): Tensor {
  assert(shape[0] === total && DATATYPES[datatype] > 0, `output "${name}" has no row of its own for each input row`);
  const rowBytes = data.length / total;
  return {
    name,
    datatype,
    shape: [end - start, ...shape.slice(1)],
    data: data.slice(start * rowBytes, end * rowBytes),
  };
}
