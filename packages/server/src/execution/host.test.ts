import { execFile } from "node:child_process";
import { once } from "node:events";
import { floatTensor, hex } from "@tallystick/protocol";
import { afterEach, expect, test } from "vitest";
import { endlessGraph, logisticGraph, modelFile, revisionOf, swellingGraph } from "../../../../test/graphs.ts";
import { compiled, saidBy } from "../../../../test/own-process.ts";
import { type Host, startChild, startThread } from "./host.ts";
import { pack } from "./packing.ts";
import { readJudge } from "./profile.ts";

const MIB = 1024 * 1024;
const adapters = new URL("../../../../test/adapters.mjs", import.meta.url).href;
const ADAPTER = { name: "rows", version: 1, options: "{}" };
const { module } = await readJudge();

let host: Host | undefined;
afterEach(() => host?.end());

const start = {
  judge: () => startThread({ adapters, module, memoryBytes: 256 * MIB }, 128 * MIB),
  native: () => startChild({ adapters, memoryBytes: 400 * MIB }, 128 * MIB),
};

/** Straight to the worker, past the gate, which would stop some of these. */
async function load(to: Host, file: Uint8Array): Promise<string> {
  const { digest, manifest, files } = revisionOf(file, ADAPTER);
  const revision = hex(digest);
  expect(await to.ask({ kind: "load", revision, manifest, files })).toEqual({ kind: "done" });
  return revision;
}

const shape = (...sizes: number[]) => {
  const data = new Uint8Array(BigInt64Array.from(sizes, BigInt).buffer);
  return { name: "shape", datatype: "INT64" as const, shape: [sizes.length], data };
};
const x = floatTensor("x", [1], [1]);

for (const engine of ["judge", "native"] as const) {
  test(`an endless loop in a ${engine} worker ends when the worker is told to`, async () => {
    host = start[engine]();
    const revision = await load(host, modelFile(endlessGraph()));
    const reply = host.ask({ kind: "run", revision, calls: pack([[x]]) });
    expect(await Promise.race([reply, once(AbortSignal.timeout(300), "abort")])).toMatchObject([{ type: "abort" }]);
    await host.end();
    expect(await reply).toMatchObject({ kind: "fault", reason: "crashed" });
    expect(await host.ask({ kind: "unload", revision })).toMatchObject({ kind: "fault", reason: "crashed" });
  });

  test(`a graph that swells beyond the memory of a ${engine} worker fails with that reason`, async () => {
    host = start[engine]();
    const revision = await load(host, modelFile(swellingGraph(1)));
    const run = (...sizes: number[]) => host!.ask({ kind: "run", revision, calls: pack([[x, shape(...sizes)]]) });
    expect(await run(100, 100)).toMatchObject({ kind: "answers" });
    // 400 MB for the first tensor alone.
    expect(await run(10_000, 10_000)).toMatchObject({ kind: "fault", reason: "memory" });
  });

  test(`a tensor whose size is beyond counting fails in a ${engine} worker, which goes on`, async () => {
    host = start[engine]();
    const revision = await load(host, modelFile(swellingGraph(0)));
    const run = (...sizes: number[]) => host!.ask({ kind: "run", revision, calls: pack([[x, shape(...sizes)]]) });
    expect(await run(2 ** 31, 2 ** 31)).toMatchObject({ kind: "fault", reason: "memory" });
    expect(await run(10, 10)).toMatchObject({ kind: "answers" });
  });
}

test("a judge goes on after it refused memory", async () => {
  host = start.judge();
  const revision = await load(host, modelFile(swellingGraph(1)));
  const run = (...sizes: number[]) => host!.ask({ kind: "run", revision, calls: pack([[x, shape(...sizes)]]) });
  for (let i = 0; i < 3; i++) {
    expect(await run(10_000, 10_000)).toMatchObject({ kind: "fault", reason: "memory" });
    expect(await run(50, 50)).toMatchObject({ kind: "answers" });
  }
});

// From Node 24 on, V8 does not hold a thread to its heap (execution/README.md).
const holdsHeap = Number(process.versions.node.split(".")[0]) < 24;

test.skipIf(!holdsHeap)("an adapter that fills the JavaScript heap ends its thread and no more", async () => {
  host = start.judge();
  const revision = await load(host, modelFile(logisticGraph()));
  const trouble = { name: "trouble", datatype: "UINT8" as const, shape: [5], data: Buffer.from("hoard") };
  const reply = await host.ask({ kind: "run", revision, calls: pack([[trouble]]) });
  expect(reply).toMatchObject({
    kind: "fault",
    reason: "memory",
    message: "this call took more than 128 MiB of memory",
  });
});

test("a revision for an adapter that is not there is a fault that names it", async () => {
  host = start.judge();
  const { manifest, files } = revisionOf(modelFile(logisticGraph()), { ...ADAPTER, version: 9 });
  const reply = await host.ask({ kind: "load", revision: "r", manifest, files });
  expect(reply).toMatchObject({
    kind: "fault",
    reason: "engine",
    message: expect.stringContaining("no adapter rows@9"),
  });
});

test.skipIf(process.platform === "win32")(
  "a native child whose parent is killed ends too, in the middle of a call",
  async () => {
    // The child holds on to the pipe; that it closes says that both are gone.
    const script = `
    import { startChild } from ${JSON.stringify(new URL("../../dist/execution/host.js", import.meta.url).href)};
    import { pack } from ${JSON.stringify(new URL("../../dist/execution/packing.js", import.meta.url).href)};
    const manifest = JSON.parse(process.argv[1]);
    const files = new Map([["model.onnx", Buffer.from(process.argv[2], "base64")]]);
    const host = startChild({ adapters: process.argv[3], memoryBytes: ${400 * MIB} }, ${128 * MIB});
    await host.ask({ kind: "load", revision: "r", manifest, files });
    const x = { name: "x", datatype: "FP32", shape: [1], data: new Uint8Array(4) };
    void host.ask({ kind: "run", revision: "r", calls: pack([[x]]) });
    console.log("runs");
  `;
    const { manifest, files } = revisionOf(modelFile(endlessGraph()), ADAPTER);
    const model = Buffer.from(files.get("model.onnx") ?? []).toString("base64");
    const parent = execFile(process.execPath, [
      "--input-type=module",
      "-e",
      script,
      JSON.stringify(manifest),
      model,
      adapters,
    ]);
    const closed = once(parent, "close");
    const [line] = await once(parent.stdout!, "data");
    expect(String(line)).toBe("runs\n");
    parent.kill("SIGKILL");
    expect(await closed).toEqual([null, "SIGKILL"]);
  },
);

test.skipIf(process.platform === "win32")(
  "a native child that the system does not start is a fault, and ending it ends nothing",
  async () => {
    const script = `
      import { startChild } from ${compiled("server/dist/execution/host.js")};
      const start = () => startChild({ adapters: "none", memoryBytes: ${400 * MIB} }, ${128 * MIB});
      const feed = starve();
      const host = start();
      const reply = await host.ask({ kind: "unload", revision: "r" });
      await host.end();
      feed();
      const next = start();
      await next.end();
      say([reply, await host.gone, await next.gone].map(({ message }) => message));
    `;
    const notStarted = expect.stringContaining("no process could be started");
    expect(await saidBy(script)).toEqual([notStarted, notStarted, expect.stringContaining("SIGKILL")]);
  },
);
