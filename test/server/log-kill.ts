/** Kills a process around a log, under load, again and again; what it had acknowledged must be there each time. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { Log } from "../../packages/server/src/log/service.ts";
import { Random } from "../simulation/random.ts";
import {
  type Acknowledged,
  bundleLogProcess,
  checkFiles,
  checkOpens,
  logOptions,
  startLogProcess,
} from "./log-processes.ts";

/** Acknowledgements after which a process may be killed: from its first write to some tiles later. */
const ACKNOWLEDGED_MOST = 1_500;

/** Kills `count` processes on one log, each after as many acknowledgements as `seed` says; gives how many there were in all. */
export async function killUnderLoad(count: number, seed: number): Promise<number> {
  const random = new Random(seed);
  const root = await mkdtemp(join(tmpdir(), "log-kill-"));
  try {
    const script = bundleLogProcess(root);
    await Log.create(await logOptions(root));
    const all: Acknowledged = new Map();
    let last = -1;
    for (let life = 0; life < count; life++) {
      const after = random.below(ACKNOWLEDGED_MOST);
      const line = [script, root, "load", String(life)];
      const logProcess = startLogProcess(
        [process.execPath],
        line,
        (acknowledged) => acknowledged > after && logProcess.kill(),
      );
      const { signal, stderr, openedSize = -1, acknowledged } = await logProcess.ended;
      expect([signal, stderr], `life ${life}`).toEqual(["SIGKILL", ""]);
      expect(openedSize, `life ${life} opens with all`).toBeGreaterThan(last);
      for (const [index, entry] of acknowledged) {
        last = Math.max(last, index);
        expect(all.has(index), `index ${index} is given out twice`).toBe(false);
        all.set(index, entry);
      }
      // Every other time the next process finds it as it was left.
      if (life % 2 === 0) await checkOpens(root, acknowledged);
    }
    await checkOpens(root, all);
    await checkFiles(root);
    return all.size;
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}
