/** What every child process does: answers its parent, guarded, and ends with it. */
import { Worker } from "node:worker_threads";
import type { Request } from "./messages.ts";
import type { Runner } from "./runner.ts";

export function serve(opening: Promise<Runner>, memoryBytes: number): void {
  // The terminal signals the whole group; this process ends when its parent lets go of it.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});

  const busy = new Int32Array(new SharedArrayBuffer(4));
  const guard = new Worker(new URL("./guard.js", import.meta.url), {
    workerData: { busy, memoryBytes, parentPid: process.ppid },
    resourceLimits: { maxOldGenerationSizeMb: 16 },
  });
  guard.unref();

  process.on("message", async (request: Request) => {
    Atomics.store(busy, 0, 1);
    Atomics.notify(busy, 0);
    const reply = await (await opening)(request);
    Atomics.store(busy, 0, 0);
    process.send?.(reply);
  });
}
