import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { serialize } from "node:v8";
import { leafHash, rootOf, TILE_WIDTH } from "@tallystick/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { UsageLog } from "../../../../test/usage-log.ts";
import { Projection, type PublishedLog } from "./service.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "usage-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** What a log of `entries` gives its projection. */
function published(entries: readonly Uint8Array[]): {
  log: PublishedLog;
  rootAt: (size: number) => Promise<Uint8Array>;
} {
  const rootAt = async (size: number) => rootOf(entries.slice(0, size).map(leafHash));
  const readBundle = async (index: number, width: number) =>
    entries.slice(index * TILE_WIDTH, index * TILE_WIDTH + width);
  return { log: { size: entries.length, root: rootOf(entries.map(leafHash)), readBundle }, rootAt };
}

async function openOn(path: string, entries: readonly Uint8Array[]): Promise<Projection> {
  const { log, rootAt } = published(entries);
  return Projection.open(path, log, rootAt);
}

/** A log of calls, reliance and epochs, longer than a bundle. */
async function busyLog(callCount: number): Promise<Uint8Array[]> {
  const usage = await UsageLog.open();
  for (let i = 0; i < callCount; i++) {
    const receipt = await usage.call();
    if (i % 7 === 0) await usage.rely(receipt);
    if (i % 50 === 49) await usage.epoch(i * 3_600);
  }
  return usage.log.entries;
}

test("from a snapshot of any prefix the figures are, to the byte, those of a replay from the first entry", async () => {
  const entries = await busyLog(300);
  const whole = JSON.stringify((await openOn(join(folder, "none"), entries)).figures());
  for (const size of [0, 1, 8, 255, 256, 257, entries.length - 1, entries.length]) {
    const path = join(folder, `prefix-${size}`);
    const prefix = await openOn(path, entries.slice(0, size));
    await prefix.save(published(entries.slice(0, size)).log.root);
    const resumed = await openOn(path, entries);
    expect(resumed.fold.size).toBe(entries.length);
    expect(JSON.stringify(resumed.figures()), `from a snapshot at ${size}`).toBe(whole);
  }
});

test("a snapshot is used: what it holds is not replayed", async () => {
  const entries = await busyLog(10);
  const path = join(folder, "used");
  await (await openOn(path, entries)).save(published(entries).log.root);
  const { log, rootAt } = published(entries);
  const readBundle = () => Promise.reject(new Error("an entry was read"));
  expect((await Projection.open(path, { ...log, readBundle }, rootAt)).fold.size).toBe(entries.length);
});

test("whichever byte of a snapshot flips, and wherever it is cut short, the figures are those of the log", async () => {
  const entries = await busyLog(5);
  const path = join(folder, "flipped");
  const projection = await openOn(path, entries);
  const figures = JSON.stringify(projection.figures());
  await projection.save(published(entries).log.root);
  const file = join(path, "fold");
  const bytes = await readFile(file);
  for (let at = 0; at < bytes.length; at += 3) {
    for (const damaged of [bytes.map((byte, i) => (i === at ? byte ^ 1 : byte)), bytes.subarray(0, at)]) {
      await writeFile(file, damaged);
      expect(JSON.stringify((await openOn(path, entries)).figures()), `byte ${at}`).toBe(figures);
    }
  }
});

/** The bytes that the projection of `entries` keeps. */
async function snapshotOf(entries: readonly Uint8Array[]): Promise<Uint8Array> {
  const path = join(folder, "kept");
  await rm(path, { recursive: true, force: true });
  await (await openOn(path, entries)).save(published(entries).log.root);
  return readFile(join(path, "fold"));
}

test("a snapshot of another log, of a later size or of another version is not used, and the figures are those of the log", async () => {
  const entries = await busyLog(5);
  const figures = JSON.stringify((await openOn(join(folder, "fresh"), entries)).figures());
  const older = serialize({ version: "tallystick-usage-v0", size: 3, root: rootOf(entries.slice(0, 3).map(leafHash)) });
  const snapshots = {
    "another log": await snapshotOf((await busyLog(6)).slice(1, entries.length + 1)),
    "a later size": await snapshotOf(await busyLog(6)),
    "another version": Buffer.concat([createHash("sha256").update(older).digest(), older]),
    "no snapshot at all": Buffer.from("figures"),
    nothing: new Uint8Array(0),
  };
  for (const [of, bytes] of Object.entries(snapshots)) {
    const path = join(folder, "other");
    await (await openOn(path, entries)).save(published(entries).log.root);
    await writeFile(join(path, "fold"), bytes);
    expect(JSON.stringify((await openOn(path, entries)).figures()), of).toBe(figures);
  }
});
