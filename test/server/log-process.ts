/**
 * A log as a process of its own, with nothing around it: it opens the one in its folder, appends, says each index that it
 * was given with the entry, and ends. Where it must end earlier, it says why in a sentence. Bundled by log-processes.ts.
 */
import { writeSync } from "node:fs";
import { join } from "node:path";
import { utf8 } from "@tallystick/protocol";
import { Log, type LogOptions } from "../../packages/server/src/log/service.ts";
import { NO_WITNESSES } from "../../packages/server/src/log/witnesses.ts";
import { systemClock } from "../../packages/server/src/platform/clock.ts";
import { systemDisk } from "../../packages/server/src/platform/disk.ts";
import { openNoteSigner } from "../../packages/server/src/platform/keys.ts";

const [root = "", work = "", life = ""] = process.argv.slice(2);
const WRITERS = 64;

const say = (line: string) => void writeSync(1, `${line}\n`);

async function append(log: Log, entry: string): Promise<void> {
  say(`${await log.append(utf8(entry))} ${entry}`);
}

/** The same steps each time: a log is made, grows past a tile, closes, and is opened again. */
async function once(options: LogOptions): Promise<void> {
  Object.defineProperty(process, "pid", { value: 1 }); // Files on their way are named for it.
  await Log.create(options);
  say("created");
  let count = 0;
  for (const batches of [[3, 252, 4], [2]]) {
    const log = await Log.open(options);
    try {
      for (const length of batches) {
        const entries = Array.from({ length }, () => `entry ${count++}`);
        await Promise.all(entries.map((entry) => append(log, entry)));
        await log.flush();
      }
    } finally {
      await log.close();
    }
  }
}

/** Appends until it is killed. */
async function load(options: LogOptions): Promise<void> {
  const log = await Log.open(options);
  say(`opened ${log.head.size}`);
  const writer = async (_: unknown, i: number) => {
    for (let n = 0; ; n++) await append(log, `${life} ${i} ${n} ${"x".repeat((i * 37 + n * 101) % 1_500)}`);
  };
  await Promise.all(Array.from({ length: WRITERS }, writer));
}

const options: LogOptions = {
  folder: join(root, "log"),
  signer: await openNoteSigner(join(root, "checkpoint.pem"), () => "log.example"),
  disk: systemDisk,
  clock: systemClock,
  formerKeys: [],
  witnessing: NO_WITNESSES,
  restored: false,
  integrateIntervalMs: work === "load" ? 5 : 3_600_000,
  publishIntervalMs: work === "load" ? 20 : 3_600_000,
  queueLength: 4_096,
  report: () => {},
};
await (work === "load" ? load(options) : once(options)).catch((error: unknown) => {
  writeSync(2, `log: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
