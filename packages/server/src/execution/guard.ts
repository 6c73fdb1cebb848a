/**
 * The guard of a native child: a thread of it, awake while the main thread cannot be asked anything. It ends the process
 * when that holds more memory than it may, or when the parent is gone and nobody waits for the answer.
 */
import { workerData } from "node:worker_threads";
import { MEMORY_SIGNAL } from "./messages.ts";

const SAMPLE_MS = 20;
const { busy, memoryBytes, parentPid }: { busy: Int32Array; memoryBytes: number; parentPid: number } = workerData;

for (;;) {
  Atomics.wait(busy, 0, 0);
  Atomics.wait(busy, 0, 1, SAMPLE_MS);
  if (process.memoryUsage.rss() > memoryBytes) process.kill(process.pid, MEMORY_SIGNAL);
  if (process.ppid !== parentPid) process.kill(process.pid, "SIGKILL");
}
