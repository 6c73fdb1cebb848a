/** The entry of a native child: a process, since nothing less ends a native graph that does not end by itself. */
import { Worker } from "node:worker_threads";
import { openNative } from "./engine.ts";
import type { ChildData, Request } from "./messages.ts";
import { type Adapters, createRunner } from "./runner.ts";

const { adapters, memoryBytes }: ChildData = JSON.parse(process.argv[2] ?? "");

// The terminal signals the whole group; this process ends when its parent lets go of it.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});

const busy = new Int32Array(new SharedArrayBuffer(4));
const guard = new Worker(new URL("./guard.js", import.meta.url), {
  workerData: { busy, memoryBytes, parentPid: process.ppid },
  resourceLimits: { maxOldGenerationSizeMb: 16 },
});
guard.unref();

async function openRunner() {
  const engine = await openNative();
  const { ADAPTERS }: { ADAPTERS: Adapters } = await import(adapters);
  return createRunner(engine, ADAPTERS);
}
const opening = openRunner();

process.on("message", async (request: Request) => {
  Atomics.store(busy, 0, 1);
  Atomics.notify(busy, 0);
  const reply = await (await opening)(request);
  Atomics.store(busy, 0, 0);
  process.send?.(reply);
});
