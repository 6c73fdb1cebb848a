import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { equal, hex, leafHash, rootOf, utf8 } from "@tallystick/protocol";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { interruptions } from "../../../../test/server/interrupted.ts";
import { systemDisk } from "../platform/disk.ts";
import { OperatorError } from "../platform/errors.ts";
import { openNoteSigner } from "../platform/keys.ts";
import { Log, type LogOptions } from "./service.ts";
import { NO_WITNESSES } from "./witnesses.ts";

vi.mock("node:fs/promises", async (importOriginal) =>
  (await import("../../../../test/server/interrupted.ts")).watched(await importOriginal()),
);
vi.mock("node:fs", async (importOriginal) =>
  (await import("../../../../test/server/interrupted.ts")).watchedDirectly(await importOriginal()),
);

let root: string;
let options: LogOptions;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "log-"));
  const signer = await openNoteSigner(join(root, "checkpoint.pem"), () => "log.example");
  options = {
    folder: join(root, "log"),
    signer,
    clock: { nowMs: () => 1_790_000_000_000 },
    integrateIntervalMs: 3_600_000,
    publishIntervalMs: 3_600_000,
    disk: systemDisk,
    formerKeys: [],
    witnessing: NO_WITNESSES,
    restored: false,
    queueLength: 8_192,
    report: () => {},
  };
});
afterAll(() => rm(root, { recursive: true }));

const entry = (index: number) => utf8(`entry ${index}`);

async function newLog(name: string, changes: Partial<LogOptions> = {}): Promise<LogOptions> {
  const own = { ...options, folder: join(root, name), ...changes };
  await Log.create(own);
  return own;
}

/** Appends entries and flushes them. */
async function fill(log: Log, count: number): Promise<void> {
  await Promise.all(Array.from({ length: count }, (_, i) => log.append(entry(i))));
  await log.flush();
}

test("killed after any step, the log starts again with every entry that it acknowledged, at the index it gave", async () => {
  const own = { ...options, folder: join(root, "killed") };
  const acknowledged = new Map<number, Uint8Array>();
  const append = async (log: Log, count: number) => {
    const first = acknowledged.size;
    const bytes = Array.from({ length: count }, (_, i) => entry(first + i));
    await Promise.all(bytes.map(async (each) => acknowledged.set(await log.append(each), each)));
  };
  let started = false;
  const see = () => ({ acknowledged: new Map(acknowledged), started });
  const moments = await interruptions(own.folder, see, async () => {
    await Log.create(own);
    started = true;
    const log = await Log.open(own);
    await append(log, 250);
    await log.flush();
    await append(log, 4);
    await append(log, 6);
    await log.flush();
    await append(log, 1);
    await log.close();
    const again = await Log.open(own);
    await append(again, 260);
    await again.close();
  });
  const last = moments.at(-1);
  expect(last?.seen.acknowledged.size).toBe(521);
  const afterStart = moments.filter(({ seen }) => seen.started);
  expect(afterStart.length).toBeGreaterThan(60);
  for (const { path, step, seen } of afterStart) {
    const log = await Log.open({ ...own, folder: path });
    const { size } = log.published;
    expect(size, `entries after ${step}`).toBeGreaterThanOrEqual(seen.acknowledged.size);
    const entries = await Promise.all(Array.from({ length: size }, (_, index) => log.tree.readEntry(index)));
    for (const [index, bytes] of seen.acknowledged)
      expect(equal(entries[index] ?? new Uint8Array(0), bytes), `entry ${index} after ${step}`).toBe(true);
    expect(hex(log.published.root), `root after ${step}`).toBe(hex(rootOf(entries.map(leafHash))));
    expect(await log.append(entry(size))).toBe(size);
    await log.close();
    await rm(path, { recursive: true });
  }
}, 240_000);

test("the index of an entry is its place in the queue, however many wait", async () => {
  const log = await Log.open(await newLog("order"));
  const indexes = await Promise.all(Array.from({ length: 3_000 }, (_, i) => log.append(entry(i))));
  expect(indexes).toEqual(Array.from({ length: 3_000 }, (_, i) => i));
  await log.close();
});

test("a follower is told of every entry once, in order, with a checkpoint that covers it", async () => {
  const log = await Log.open(await newLog("follow"));
  const told: string[] = [];
  log.follow((entries, { size }) => {
    told.push(...entries.map(hex));
    expect(told.length).toBe(size);
    expect(log.head.size, "the state that is served is of what followers know").toBe(size);
  });
  for (let i = 0; i < 5; i++) {
    await log.append(entry(i));
    if (i % 2 === 0) await log.flush();
  }
  await log.close();
  expect(told).toEqual([0, 1, 2, 3, 4].map((i) => hex(entry(i))));
});

test("more entries than the queue takes are refused as unavailable, and those before them are kept", async () => {
  const log = await Log.open(await newLog("full", { queueLength: 10 }));
  const results = await Promise.allSettled(Array.from({ length: 12 }, (_, i) => log.append(entry(i))));
  expect(results.map(({ status }) => status)).toEqual([...Array(10).fill("fulfilled"), "rejected", "rejected"]);
  expect(results[11]).toMatchObject({ reason: { code: "unavailable" } });
  await log.close();
  expect(log.published.size).toBe(10);
});

test("a log that cannot publish refuses what waits for that, says so to its operator, and still reads", async () => {
  const reported: string[] = [];
  const own = await newLog("broken", { report: (event) => void reported.push(event) });
  const log = await Log.open(own);
  await fill(log, 3);
  await rm(join(own.folder, "tiles", "tile", "entries"), { recursive: true });
  await writeFile(join(own.folder, "tiles", "tile", "entries"), "in the way");
  const index = await log.append(entry(3));
  const followed = log.followed(index);
  await Promise.all([expect(followed).rejects.toMatchObject({ code: "unavailable" }), log.flush()]);
  await expect(log.append(entry(4))).rejects.toMatchObject({ code: "unavailable" });
  await expect(log.followed(index)).rejects.toMatchObject({ code: "unavailable" });
  expect(log.published.size).toBe(3);
  expect(reported).toEqual(["the log cannot write"]);
  await log.close();
});

test("a clock that is set back does not put the next checkpoint off", async () => {
  let nowMs = 1_790_000_000_000;
  const log = await Log.open(
    await newLog("set-back", { clock: { nowMs: () => nowMs }, integrateIntervalMs: 1, publishIntervalMs: 1 }),
  );
  await fill(log, 1);
  nowMs -= 86_400_000;
  const index = await log.append(entry(1));
  await log.followed(index);
  expect(log.head.size).toBe(2);
  await log.close();
});

test("an empty log is made again, and one that has entries is not", async () => {
  const own = await newLog("again");
  await Log.create(own);
  const log = await Log.open(own);
  await fill(log, 1);
  await log.close();
  await expect(Log.create(own)).rejects.toThrow(/there already/);
});

test("a log whose checkpoint is lost, damaged or another's does not start, and says so in one sentence", async () => {
  const own = await newLog("checkpoint");
  const log = await Log.open(own);
  await fill(log, 2);
  await log.close();
  const path = join(own.folder, "tiles", "checkpoint");
  const other = await openNoteSigner(join(root, "other.pem"), () => "log.example");
  await expect(Log.open({ ...own, signer: other })).rejects.toThrow(/not signed by this log's key/);
  for (const bytes of ["", "no checkpoint\n"]) {
    await writeFile(path, bytes);
    await expect(Log.open(own)).rejects.toThrow(OperatorError);
  }
  await rm(path);
  await expect(Log.open(own)).rejects.toThrow(/has lost its checkpoint/);
});
