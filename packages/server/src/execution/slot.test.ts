import { expect, test } from "vitest";
import { logisticGraph, modelFile, oneOperator, revisionOf } from "../../../../test/graphs.ts";
import { startThread } from "./host.ts";
import { EXECUTION_LIMITS } from "./limits.ts";
import { readJudge } from "./profile.ts";
import { checkRevision } from "./revision.ts";
import { createSlot } from "./slot.ts";

const MIB = 1024 * 1024;
const adapters = new URL("../../../../test/adapters.mjs", import.meta.url).href;
const { module } = await readJudge();
const start = () => startThread({ adapters, module, memoryBytes: 256 * MIB }, 128 * MIB);

const NONE = new Map();
const ADAPTER = { name: "rows", version: 1, options: "{}" };
const [a, b, c] = [logisticGraph(), oneOperator("Abs", { shape: [1] }), oneOperator("Neg", { shape: [1] })].map(
  (graph) => checkRevision(revisionOf(modelFile(graph), ADAPTER)),
);

test("a worker holds no more than it may: what was used longest ago makes room", async () => {
  const loadedBytes = a!.sizeBytes + b!.sizeBytes;
  const slot = createSlot(start, () => true, { ...EXECUTION_LIMITS, loadedBytes });
  for (const revision of [b!, a!, b!]) expect(await slot.open(revision, NONE)).toBeUndefined();
  expect([a, b, c].map((one) => slot.has(one!.key))).toEqual([true, true, false]);
  expect(await slot.open(c!, NONE)).toBeUndefined();
  expect([a, b, c].map((one) => slot.has(one!.key))).toEqual([false, true, true]);
  expect(slot.loadedBytes()).toBe(b!.sizeBytes + c!.sizeBytes);
  await slot[Symbol.asyncDispose]();
});

test("what is in use is not unloaded to make room", async () => {
  const loadedBytes = a!.sizeBytes + b!.sizeBytes;
  const slot = createSlot(start, () => true, { ...EXECUTION_LIMITS, loadedBytes });
  for (const revision of [b!, a!]) await slot.open(revision, NONE);
  expect(await slot.open(c!, new Map([[b!.key, b]]))).toBeUndefined();
  expect([a, b, c].map((one) => slot.has(one!.key))).toEqual([false, true, true]);
  await slot[Symbol.asyncDispose]();
});

test("what is not wanted any more is unloaded", async () => {
  const wanted = new Set([a!.key, b!.key]);
  const slot = createSlot(start, (key) => wanted.has(key), EXECUTION_LIMITS);
  await slot.open(a!, NONE);
  await slot.open(b!, NONE);
  wanted.delete(a!.key);
  await slot.tidy();
  expect([a, b].map((one) => slot.has(one!.key))).toEqual([false, true]);
  await slot[Symbol.asyncDispose]();
});

test("a worker that was ended is replaced by one that has nothing loaded", async () => {
  const slot = createSlot(start, () => true, EXECUTION_LIMITS);
  await slot.open(a!, NONE);
  void slot.end();
  expect(slot.has(a!.key)).toBe(false);
  expect(await slot.open(a!, NONE)).toBeUndefined();
  await slot[Symbol.asyncDispose]();
});

test("a load that takes longer than it may is a fault", async () => {
  const endless = () =>
    startThread({ adapters: "data:text/javascript,for(;;);", module, memoryBytes: 256 * MIB }, 128 * MIB);
  const slot = createSlot(endless, () => true, { ...EXECUTION_LIMITS, loadTimeoutMs: 1 });
  expect(await slot.open(a!, NONE)).toMatchObject({
    kind: "fault",
    reason: "deadline",
    message: "did not load in 1 ms",
  });
  await slot[Symbol.asyncDispose]();
  expect(await slot.open(a!, NONE)).toMatchObject({ kind: "fault", reason: "crashed" });
});
