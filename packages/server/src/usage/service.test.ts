import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { serialize } from "node:v8";
import {
  ASKED_MOST,
  applyEntry,
  bytesOf,
  createFold,
  drawnFor,
  keyOf,
  leafHash,
  revealDue,
  rootOf,
  TILE_WIDTH,
} from "@tallystick/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { NOON_SECONDS } from "../../../../test/one-receipt.ts";
import { DAY, HOUR, JUDGE, UsageLog } from "../../../../test/usage-log.ts";
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

/** A log in which lots are drawn, checked, missed and disputed, keys and judges revoked, over three days. */
async function verifiedLog(): Promise<UsageLog> {
  const usage = await UsageLog.open();
  for (const verifier of ["one", "two"]) {
    await usage.enrol(verifier, "verifier");
    await usage.commitLot(verifier, 40);
  }
  await usage.enrol("referee", "referee");
  await usage.appraise("one", "node", { expiry: NOON_SECONDS + 3 * DAY });
  await usage.reference("publisher");
  let timeSeconds = NOON_SECONDS;
  await usage.epoch(timeSeconds);
  const fold = createFold();
  for (let round = 0; round < 20; round++) {
    for (let i = 0; i <= round % 5; i++) await usage.call({ authorization: { openness: "lot" } });
    // More at once than one lot draws.
    for (let i = 0; i < (round === 1 ? ASKED_MOST + 2 : 1); i++)
      await usage.call({ authorization: { openness: "lot", tier: "reexecuted" } });
    timeSeconds += round % 4 === 3 ? 30 * HOUR : HOUR;
    await usage.epoch(timeSeconds);
    if (round === 2) await usage.commitLot("two", 30);
    if (round === 15) await usage.revoke("judge", JUDGE, NOON_SECONDS + DAY);
    if (round === 17) await usage.revoke("key", usage.idOf("one"), NOON_SECONDS + 3 * DAY);
    for (const verifier of ["one", "two"]) {
      for (const entry of usage.entries.slice(fold.size)) applyEntry(fold, entry);
      // The second is late for a while, and later away for good.
      if (verifier === "two" && (round === 5 || round > 9)) continue;
      for (const epoch of revealDue(fold, keyOf(usage.idOf(verifier)))) await usage.revealLot(verifier, epoch);
    }
    for (const verifier of ["one", "two"]) {
      for (const entry of usage.entries.slice(fold.size)) applyEntry(fold, entry);
      for (const { receipt, epoch } of drawnFor(fold, keyOf(usage.idOf(verifier)))) {
        const number = receipt.charCodeAt(0); // Any that is its own.
        if (number % 7 === 0) continue;
        const outcome = number % 5 === 0 ? "failed" : "passed";
        await usage.verify(verifier, bytesOf(receipt), { epoch, outcome });
        if (number % 5 === 0)
          await usage.resolve(
            "referee",
            await usage.dispute("one", bytesOf(receipt)),
            number % 2 === 0 ? "upheld" : "rejected",
          );
      }
    }
  }
  return usage;
}

test("a fold taken up again in the midst of a lot draws, grades and counts as one that was never put down", async () => {
  const { entries } = (await verifiedLog()).log;
  const whole = await openOn(join(folder, "never put down"), entries);
  const { totals, closedDays, verifiers } = whole.figures();
  const { checked, failures, omitted, undecided, disputesUpheld, asked } = totals.verification;
  expect(Math.min(checked, failures, omitted, undecided, disputesUpheld, closedDays.length)).toBeGreaterThan(0);
  expect(Math.min(asked.checked, asked.failures, asked.omitted, asked.waiting)).toBeGreaterThan(0);
  expect(verifiers.some(({ missingReveals }) => missingReveals > 0)).toBe(true);
  for (let size = 12; size < entries.length; size += 17) {
    const path = join(folder, `midst-${size}`);
    const prefix = await openOn(path, entries.slice(0, size));
    await prefix.save(published(entries.slice(0, size)).log.root);
    const resumed = await openOn(path, entries);
    expect(resumed.fold, `from a snapshot at ${size}`).toEqual(whole.fold);
    expect(JSON.stringify(resumed.figures())).toBe(JSON.stringify(whole.figures()));
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
