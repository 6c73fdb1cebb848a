import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { floatTensor, hex, type Tensor, utf8 } from "@tallystick/protocol";
import { afterEach, describe, expect, test } from "vitest";
import { logisticGraph, modelFile, oneOperator, revisionOf, swellingGraph } from "../../../../test/graphs.ts";
import type { Execution } from "./call.ts";
import { type ExecutionOptions, type ExecutionPool, openExecution } from "./pool.ts";

const adapters = new URL("../../../../test/adapters.mjs", import.meta.url);
const STACK = { name: "rows", version: 1, options: '{"stack":true}' };
const PLAIN = { name: "rows", version: 1, options: "{}" };
const logistic = revisionOf(modelFile(logisticGraph()), STACK);
const swelling = revisionOf(modelFile(swellingGraph(200)), PLAIN);
const PATIENT = { deadlineMs: 30_000 };

let pool: ExecutionPool;
let logged: Record<string, unknown>[];
afterEach(() => pool[Symbol.asyncDispose]());

async function open(options: Partial<ExecutionOptions> = {}): Promise<void> {
  logged = [];
  const log = (message: string, details: object) => void logged.push({ message, ...details });
  pool = await openExecution({ judgeWorkerCount: 1, adapters, log, ...options });
}

/** A row of 30 numbers, another for each seed. */
function row(seed: number): Tensor {
  return floatTensor(
    "x",
    [1, 30],
    Float32Array.from({ length: 30 }, (_, i) => Math.sin(seed * 31 + i)),
  );
}

/** A call that does something to its worker. */
function trouble(kind: string): Tensor[] {
  const data = utf8(kind);
  return [row(0), { name: "trouble", datatype: "UINT8", shape: [data.length], data }];
}

/** A call that takes as much of a worker as a square of `side` does. */
function swell(side: number): Tensor[] {
  const data = new Uint8Array(BigInt64Array.of(BigInt(side), BigInt(side)).buffer);
  return [floatTensor("x", [1], [0.001]), { name: "shape", datatype: "INT64", shape: [2], data }];
}

const ask = (seed: number) => pool.run(logistic.digest, [row(seed)], PATIENT);

/** The bytes of an answer. */
function bytesOf(execution: Execution): string {
  if (execution.kind !== "answered") throw new Error(`not an answer: ${JSON.stringify(execution)}`);
  return execution.outputs.map(({ data }) => hex(data)).join();
}

const unitsOf = (execution: Execution) => (execution.kind === "answered" ? execution.unitCount : 0);

describe("answers", () => {
  for (const engine of ["judge", "native"] as const) {
    test(`a thousand calls at once each get their own answer, bit for bit as alone, from the ${engine} engine`, async () => {
      await open({ judgeWorkerCount: 2, limits: { batchMs: 60_000 } });
      const revision = revisionOf(modelFile(logisticGraph()), STACK, engine);
      await pool.load(revision);
      const run = (seed: number) => pool.run(revision.digest, [row(seed)], PATIENT);
      const alone: string[] = [];
      for (let seed = 0; seed < 50; seed++) alone.push(bytesOf(await run(seed)));
      expect(new Set(alone).size).toBe(50);
      const together = await Promise.all(Array.from({ length: 1000 }, (_, i) => run(i % 50)));
      expect(together.map(bytesOf)).toEqual(Array.from({ length: 1000 }, (_, i) => alone[i % 50]));
      // The adapter counts the calls it was given together.
      expect(Math.max(...together.map(unitsOf))).toBeGreaterThan(10);
      expect(pool.profile(revision.digest).exactness).toBe(engine === "judge" ? "exact" : "tolerant");
    });
  }

  test("an answer says what ran it", async () => {
    await open();
    await pool.load(logistic);
    expect(await ask(1)).toMatchObject({
      kind: "answered",
      profile: { runtime: expect.stringMatching(/^onnxruntime-web@1\.30\.0\//), exactness: "exact" },
    });
  });

  test("what the adapter refuses is the caller's fault, and so is a tensor that is none", async () => {
    await open();
    const strict = revisionOf(modelFile(logisticGraph()), { name: "strict", version: 1, options: "{}" });
    await pool.load(strict);
    const refused = { kind: "refused", message: "nothing is good enough for this adapter" };
    expect(await pool.run(strict.digest, [row(1)], PATIENT)).toEqual(refused);
    const short = { ...row(1), shape: [2, 30] };
    expect(await pool.run(strict.digest, [short], PATIENT)).toMatchObject({
      kind: "refused",
      message: expect.stringMatching("240 bytes, not 120"),
    });
  });

  test("more models than a worker holds take turns in it", async () => {
    const graphs = ["Abs", "Neg", "Floor", "Ceil"].map((operator) => oneOperator(operator, { shape: [1] }));
    const revisions = graphs.map((graph) => revisionOf(modelFile(graph), PLAIN));
    await open({ limits: { loadedBytes: 200 } });
    for (const revision of revisions) await pool.load(revision);
    for (let round = 0; round < 2; round++)
      for (const [i, { digest }] of revisions.entries()) {
        const y = await pool.run(digest, [floatTensor("x", [1], [-1.5])], PATIENT);
        expect(y).toMatchObject({ outputs: [floatTensor("y", [1], [[1.5, 1.5, -2, -1][i] ?? 0])] });
      }
  });
});

describe("limits", () => {
  test("a call that takes minutes ends at its deadline, and those behind it are answered", async () => {
    await open();
    await pool.load(swelling);
    await pool.load(logistic);
    const slow = pool.run(swelling.digest, swell(2000), { deadlineMs: 500 });
    const behind = [1, 2, 3].map(ask);
    expect(await slow).toMatchObject({
      kind: "failed",
      reason: "deadline",
      message: expect.stringContaining("500 ms"),
    });
    for (const execution of await Promise.all(behind)) expect(execution.kind).toBe("answered");
  });

  test("a native call that takes minutes ends at its deadline, and the next is answered", async () => {
    await open();
    const native = revisionOf(modelFile(swellingGraph(200)), PLAIN, "native");
    await pool.load(native);
    const slow = pool.run(native.digest, swell(3000), { deadlineMs: 500 });
    expect(await slow).toMatchObject({ kind: "failed", reason: "deadline" });
    expect((await pool.run(native.digest, swell(3), PATIENT)).kind).toBe("answered");
  });

  test("a call that waits past its deadline fails, and the one it waited for is answered", async () => {
    await open();
    await pool.load(swelling);
    const first = pool.run(swelling.digest, swell(250), PATIENT);
    const second = pool.run(swelling.digest, swell(1), { deadlineMs: 20 });
    expect(await second).toMatchObject({ kind: "failed", reason: "deadline" });
    expect((await first).kind).toBe("answered");
    expect(logged).toEqual([]);
  });

  test("a call that takes more memory than a worker has fails, and the next is answered", async () => {
    await open({ limits: { judgeMemoryBytes: 256 * 1024 * 1024 } });
    await pool.load(swelling);
    expect(await pool.run(swelling.digest, swell(10_000), PATIENT)).toMatchObject({ kind: "failed", reason: "memory" });
    expect((await pool.run(swelling.digest, swell(10), PATIENT)).kind).toBe("answered");
  });

  test("beyond the calls that may wait, one is told so at once", async () => {
    await open({ limits: { pendingCalls: 3 } });
    await pool.load(logistic);
    const kinds = (await Promise.all([1, 2, 3, 4].map(ask))).map(({ kind }) => kind);
    expect(kinds).toEqual(["answered", "answered", "answered", "overloaded"]);
    expect((await ask(5)).kind).toBe("answered");
  });

  test("beyond the bytes that may wait, a call is told so at once", async () => {
    await open({ limits: { pendingBytes: 250 } });
    await pool.load(logistic);
    const kinds = (await Promise.all([1, 2, 3].map(ask))).map(({ kind }) => kind);
    expect(kinds).toEqual(["answered", "answered", "overloaded"]);
  });

  test("a revision larger than a worker may hold is not loaded", async () => {
    await open({ limits: { loadedBytes: 100 } });
    await expect(pool.load(logistic)).rejects.toThrow("a worker may hold 100: raise loadedBytes");
  });
});

describe("culprits", () => {
  // From Node 24 on, V8 does not hold a thread to its heap (execution/README.md): nothing here would end a hoard.
  const hoard = Number(process.versions.node.split(".")[0]) < 24 ? ["hoard"] : [];

  test.each(["throw", "exit", ...hoard])(
    "of a batch in which one call makes its worker %s, only that call fails",
    async (kind) => {
      await open({ limits: { batchMs: 60_000, heapBytes: 64 * 1024 * 1024 } });
      await pool.load(logistic);
      const alone = bytesOf(await ask(1));
      const all = await Promise.all([ask(1), ask(1), pool.run(logistic.digest, trouble(kind), PATIENT), ask(1)]);
      expect(logged[0]).toMatchObject({ message: "a batch failed; its calls run alone", calls: 4 });
      const [culprit] = all.splice(2, 1);
      const reason = { throw: "engine", exit: "crashed", hoard: "memory" }[kind];
      expect(culprit).toMatchObject({ kind: "failed", reason });
      expect(all.map(bytesOf)).toEqual([alone, alone, alone]);
    },
  );

  test("of a batch in which one call hangs, the others are answered within the deadline that all have", async () => {
    await open({ limits: { batchMs: 60_000 } });
    await pool.load(logistic);
    await ask(1);
    const options = { deadlineMs: 12_000 };
    const run = (inputs: Tensor[]) => pool.run(logistic.digest, inputs, options);
    const all = await Promise.all([run([row(1)]), run(trouble("spin")), run([row(2)]), run([row(3)])]);
    expect(logged[0]).toMatchObject({ message: "a batch failed; its calls run alone", calls: 4, reason: "deadline" });
    expect(all.map(({ kind }) => kind)).toEqual(["answered", "failed", "answered", "answered"]);
    expect(all[1]).toMatchObject({ reason: "deadline" });
  });

  test("of a batch in which one call kills its native child, only that call fails", async () => {
    await open({ limits: { batchMs: 60_000 } });
    const native = revisionOf(modelFile(logisticGraph()), STACK, "native");
    await pool.load(native);
    const run = (inputs: Tensor[]) => pool.run(native.digest, inputs, PATIENT);
    await run([row(1)]);
    const all = await Promise.all([run([row(1)]), run(trouble("kill")), run([row(2)])]);
    expect(all.map(({ kind }) => kind)).toEqual(["answered", "failed", "answered"]);
    expect(all[1]).toMatchObject({ reason: "crashed", message: expect.stringContaining("SIGKILL") });
  });
});

describe("loading", () => {
  test("a revision with a changed file is not loaded", async () => {
    await open();
    const file = modelFile(logisticGraph());
    file[100] = (file[100] ?? 0) ^ 1;
    const changed = { ...logistic, files: new Map([["model.onnx", file]]) };
    await expect(pool.load(changed)).rejects.toThrow("fetch it again");
    await expect(pool.run(changed.digest, [row(1)], PATIENT)).rejects.toThrow("is not loaded");
    await pool.load(logistic);
    expect((await ask(1)).kind).toBe("answered");
  });

  test("a graph that no engine opens is known when it is loaded", async () => {
    await open();
    const strange = revisionOf(modelFile(oneOperator("NoSuchOperator", { shape: [1] })), PLAIN);
    await expect(pool.load(strange)).rejects.toThrow(/test\/model 1 does not open: .*NoSuchOperator/s);
  });

  test("loading twice is loading once", async () => {
    await open();
    await Promise.all([pool.load(logistic), pool.load(logistic)]);
    await pool.load(logistic);
    expect((await ask(1)).kind).toBe("answered");
  });

  test("a revision that was unloaded takes no calls, and those that waited fail", async () => {
    await open();
    await pool.load(swelling);
    await pool.load(logistic);
    const running = pool.run(swelling.digest, swell(300), PATIENT);
    const waiting = ask(1);
    await pool.unload(logistic.digest);
    expect(await waiting).toMatchObject({ kind: "failed", message: "this revision was unloaded" });
    expect((await running).kind).toBe("answered");
    await expect(ask(2)).rejects.toThrow("is not loaded");
    await pool.load(logistic);
    expect((await ask(1)).kind).toBe("answered");
  });

  test("a revision for an engine without workers here is not loaded", async () => {
    await open({ nativeWorkerCount: 0 });
    const native = revisionOf(modelFile(logisticGraph()), STACK, "native");
    await expect(pool.load(native)).rejects.toThrow("wants the native engine, which has no workers here");
  });
});

describe("the end", () => {
  test("what is under way when the pool closes fails, and no more is taken", async () => {
    await open();
    await pool.load(swelling);
    await pool.load(logistic);
    const calls = [pool.run(swelling.digest, swell(2000), PATIENT), ask(1)];
    await pool[Symbol.asyncDispose]();
    for (const execution of await Promise.all(calls))
      expect(execution).toMatchObject({ kind: "failed", reason: "crashed" });
    await expect(ask(2)).rejects.toThrow("this pool is closed");
  });

  test("a revision that waits to be opened when the pool closes, or comes after it, does not open", async () => {
    await open();
    await pool.load(swelling);
    void pool.run(swelling.digest, swell(2000), PATIENT);
    await new Promise((resolve) => setImmediate(resolve)); // The only worker is taken.
    const one = revisionOf(modelFile(logisticGraph()), STACK);
    const other = revisionOf(modelFile(logisticGraph()), PLAIN);
    const waiting = expect(pool.load(one)).rejects.toThrow("this pool is closed");
    await new Promise((resolve) => setImmediate(resolve));
    await pool[Symbol.asyncDispose]();
    await waiting;
    await expect(pool.load(other)).rejects.toThrow("this pool is closed");
  });

  test.each(["judge", "native"] as const)(
    "a process that closed its pool of %s workers ends by itself",
    async (engine) => {
      await open();
      const { digest, manifest, files } = revisionOf(modelFile(logisticGraph()), STACK, engine);
      // A digest does not survive JSON; the manifest's own is set where it is used.
      const [artifact] = manifest.artifacts;
      const script = `
      import { openExecution } from ${JSON.stringify(new URL("../../dist/execution/pool.js", import.meta.url).href)};
      const bytes = (text) => new Uint8Array(Buffer.from(text, "hex"));
      const [manifest, model, adapters, revision, file] = process.argv.slice(1);
      const parsed = JSON.parse(manifest);
      parsed.artifacts[0].digest = bytes(file);
      const pool = await openExecution({ judgeWorkerCount: 2, adapters: new URL(adapters), log: () => {} });
      const files = new Map([["model.onnx", bytes(model)]]);
      await pool.load({ digest: bytes(revision), manifest: parsed, files });
      const x = { name: "x", datatype: "FP32", shape: [1, 30], data: new Uint8Array(120) };
      const calls = Array.from({ length: 20 }, () => pool.run(bytes(revision), [x], { deadlineMs: 30_000 }));
      console.log((await Promise.all(calls)).map(({ kind }) => kind).join());
      await pool[Symbol.asyncDispose]();
    `;
      const model = hex(files.get("model.onnx") ?? new Uint8Array());
      const inputs = [
        JSON.stringify(manifest),
        model,
        adapters.href,
        hex(digest),
        hex(artifact?.digest ?? new Uint8Array()),
      ];
      const run = promisify(execFile);
      const { stdout } = await run(process.execPath, ["--input-type=module", "-e", script, ...inputs], {
        timeout: 30_000,
      });
      expect(stdout).toBe(`${Array(20).fill("answered").join()}\n`);
    },
  );
});
