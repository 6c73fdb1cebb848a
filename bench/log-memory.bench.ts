/** Ten million entries appended and integrated: what the log keeps in memory must not grow with them. Takes minutes and 3 GB of disk. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { createSystemRandom } from "../packages/server/src/platform/random.ts";
import { LOG_QUEUE_LENGTH, openEmptyLog } from "./bench-log.ts";
import type { Row } from "./ratio.ts";

const MILLIONS = 10;
const MILLION = 1_000_000;
const ENTRY_SIZE_BYTES = 100;
const MIB = 1024 * 1024;
/** What is under way at a moment comes and goes by this much; eight bytes kept of each entry would be as much. */
const MARGIN_MIB = 64;

type Memory = { rssMib: number; heapMib: number };

function memoryNow(collect: () => void): Memory {
  collect();
  const { rss, heapUsed, arrayBuffers } = process.memoryUsage();
  return { rssMib: rss / MIB, heapMib: (heapUsed + arrayBuffers) / MIB };
}

export async function benchLogMemory(): Promise<Row[]> {
  setFlagsFromString("--expose-gc");
  const collect: () => void = runInNewContext("gc");
  const folder = await mkdtemp(join(tmpdir(), "tallystick-bench-"));
  const bytes = createSystemRandom()(4_096 + ENTRY_SIZE_BYTES);
  const memory: Memory[] = [];
  try {
    const log = await openEmptyLog(join(folder, "log"));
    for (let million = 1; million <= MILLIONS; million++) {
      let appended = 0;
      const client = async () => {
        while (appended < MILLION) {
          const at = appended++ % 4_096;
          await log.append(bytes.slice(at, at + ENTRY_SIZE_BYTES)); // A copy of its own: one that is kept shows.
        }
      };
      const started = performance.now();
      await Promise.all(Array.from({ length: LOG_QUEUE_LENGTH }, client));
      await log.flush();
      const now = memoryNow(collect);
      memory.push(now);
      const seconds = (performance.now() - started) / 1000;
      const { rssMib, heapMib } = now;
      console.log(
        `     ${million} million: RSS ${rssMib.toFixed(0)} MiB, heap and buffers ${heapMib.toFixed(1)} MiB, ${seconds.toFixed(0)} s`,
      );
    }
    await log.close();
  } finally {
    await rm(folder, { recursive: true });
  }
  const [second, last] = [memory[1], memory.at(-1)];
  if (second === undefined || last === undefined) throw new Error("there was nothing to compare");
  const since = `from two to ${MILLIONS} million entries`;
  const bound = { atMost: MARGIN_MIB };
  return [
    { name: `RSS grew ${since}`, value: last.rssMib - second.rssMib, unit: "MiB", bound },
    { name: `heap and buffers grew ${since}`, value: last.heapMib - second.heapMib, unit: "MiB", bound },
    { name: "RSS at the end", value: last.rssMib, unit: "MiB" },
    { name: "heap and buffers at the end", value: last.heapMib, unit: "MiB" },
  ];
}
