import { bytesTensor, DATATYPES, type Datatype, type Tensor, textTensor } from "@tallystick/protocol";
import { afterAll, expect, test } from "vitest";
import { modelFile, oneOperator, revisionOf } from "../../../../test/graphs.ts";
import { openExecution } from "./pool.ts";

const adapters = new URL("../../../../test/adapters.mjs", import.meta.url);
const pool = await openExecution({ judgeWorkerCount: 1, adapters, log: () => {} });
afterAll(() => pool[Symbol.asyncDispose]());

/** ONNX's names for our datatypes. */
const TYPES = {
  BOOL: "BOOL", UINT8: "UINT8", UINT16: "UINT16", UINT32: "UINT32", UINT64: "UINT64", INT8: "INT8", INT16: "INT16",
  INT32: "INT32", INT64: "INT64", FP16: "FLOAT16", FP32: "FLOAT", FP64: "DOUBLE", BYTES: "STRING",
} as const satisfies Record<Datatype, string>; // biome-ignore format: a table

const names = Object.keys(DATATYPES).filter((name): name is Datatype => name in DATATYPES);

/** What a graph of `operator` makes of `x`. */
async function through(engine: "judge" | "native", operator: string, x: Tensor, shape: (number | string)[]) {
  const file = modelFile(oneOperator(operator, { type: TYPES[x.datatype], shape }));
  const revision = revisionOf(file, { name: "rows", version: 1, options: "{}" }, engine);
  await pool.load(revision);
  return pool.run(revision.digest, [x], { deadlineMs: 30_000 });
}

/** Bytes that are another value the other way round, for any width. */
function pattern(datatype: Datatype): Uint8Array {
  if (datatype === "BYTES") return textTensor("x", ["", "one", "zwölf", "😀"]).data;
  const { length } = new Uint8Array(4 * DATATYPES[datatype]);
  return Uint8Array.from({ length }, (_, i) => (datatype === "BOOL" ? i % 2 : (37 * i + 5) % 120));
}

for (const engine of ["judge", "native"] as const) {
  // Where there is a Float16Array, ONNX Runtime's own JavaScript makes one, and its native binding refuses it.
  const spoken = engine === "native" && "Float16Array" in globalThis ? names.filter((name) => name !== "FP16") : names;

  test.each(spoken)(`a tensor of %s comes through the ${engine} engine bit for bit`, async (datatype) => {
    const data = pattern(datatype);
    const x: Tensor = { name: "x", datatype, shape: [2, 2], data };
    const execution = await through(engine, "Identity", x, ["a", "b"]);
    expect(execution).toMatchObject({ kind: "answered", outputs: [{ name: "y", datatype, shape: [2, 2] }] });
    expect(execution.kind === "answered" && execution.outputs[0]?.data).toEqual(data);
  });

  test(`an INT64 means the same number to the ${engine} engine as to us`, async () => {
    const data = new Uint8Array(24);
    const view = new DataView(data.buffer);
    [2n ** 40n, -5n, 7n].forEach((value, i) => void view.setBigInt64(8 * i, value, true));
    const execution = await through(engine, "Neg", { name: "x", datatype: "INT64", shape: [3], data }, ["n"]);
    const out = execution.kind === "answered" ? execution.outputs[0]?.data : undefined;
    const negated = new DataView(out?.buffer ?? new ArrayBuffer(0), out?.byteOffset);
    expect([0, 1, 2].map((i) => negated.getBigInt64(8 * i, true))).toEqual([-(2n ** 40n), 5n, -7n]);
  });

  test(`an empty tensor comes through the ${engine} engine`, async () => {
    const x: Tensor = { name: "x", datatype: "FP32", shape: [0, 3], data: new Uint8Array() };
    expect(await through(engine, "Identity", x, ["a", 3])).toMatchObject({
      kind: "answered",
      outputs: [{ shape: [0, 3] }],
    });
  });
}

test.each([
  ["a BOOL of 2", { name: "x", datatype: "BOOL" as const, shape: [2], data: Uint8Array.of(1, 2) }, /neither 0 nor 1/],
  ["a BYTES element with a zero byte", bytesTensor("x", [Uint8Array.of(65, 0, 66)]), /UTF-8 without zero bytes/],
  ["a BYTES element that is not UTF-8", bytesTensor("x", [Uint8Array.of(0xff)]), /UTF-8 without zero bytes/],
])("%s fails, since an engine would read another value", async (_, x, message) => {
  const execution = await through("judge", "Identity", x, ["n"]);
  expect(execution).toMatchObject({ kind: "failed", reason: "engine", message: expect.stringMatching(message) });
});
