import { type Note, parseCheckpoint, parseEntry, signEntry, utf8 } from "@tallystick/protocol";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { fixedSigner } from "../../../../test/fixed-keys.ts";
import { LogInMemory } from "../../../../test/log-in-memory.ts";
import { type Epochs, startEpochs } from "./epochs.ts";
import type { Signed } from "./service.ts";

const INTERVAL_MS = 10_000;
const log = new LogInMemory();
let note: Note;
let appended: Uint8Array[];
let isBroken: boolean;
let isWitnessed: boolean;
let isDayDue: boolean;
let epochs: Epochs | undefined;

beforeEach(() => {
  vi.useFakeTimers();
  log.entries.length = 0;
  note = log.checkpoint(1_790_000_000);
  appended = [];
  isBroken = false;
  isWitnessed = true;
  isDayDue = false;
});
afterEach(() => {
  epochs?.close();
  vi.useRealTimers();
});

function start(uncovered = false): Epochs {
  epochs = startEpochs({
    signer: fixedSigner("log"),
    intervalMs: INTERVAL_MS,
    witnessed: () => (isWitnessed ? { size: log.entries.length, note } : undefined),
    async append(entry) {
      if (isBroken) throw new Error("the disk is full");
      return appended.push(entry) - 1;
    },
    coveredSize: 0,
    othersEnd: uncovered ? log.entries.length : 0,
    isDayDue: () => isDayDue,
  });
  return epochs;
}

/** Publishes `entry` to its followers. */
async function publish(entry: Uint8Array): Promise<void> {
  log.append(entry);
  note = log.checkpoint(1_790_000_000);
  const state: Signed = { size: log.entries.length, root: log.root(), note };
  await epochs?.follow([entry], state);
}

const intervals = (count: number) => vi.advanceTimersByTimeAsync(count * INTERVAL_MS);
const anEntry = async () => {
  const says = { version: 1, receipt: new Uint8Array(32) } as const;
  return (await signEntry(fixedSigner("relier"), "reliance", says)).signed.bytes;
};

test("while nothing is published no epoch is written, however long", async () => {
  start();
  await intervals(1_000);
  expect(appended).toEqual([]);
});

test("an epoch carries the last checkpoint, and is not itself a reason for another", async () => {
  start();
  await publish(await anEntry());
  await intervals(1);
  expect(appended).toHaveLength(1);
  const epoch = parseEntry(appended[0] ?? new Uint8Array(0));
  expect(epoch.kind === "epoch" && parseCheckpoint(epoch.says.checkpoint).size).toBe(1);
  await publish(appended[0] ?? utf8(""));
  await intervals(1_000);
  expect(appended).toHaveLength(1);
});

test("an idle log whose day has ended gets epochs until one closes the day, and then is still again", async () => {
  start();
  await publish(await anEntry());
  await intervals(1);
  await publish(appended[0] ?? utf8(""));
  isDayDue = true;
  await intervals(1);
  expect(appended).toHaveLength(2);
  // Of nothing new no epoch is written: what it said would be no news to any fold.
  await intervals(10);
  expect(appended).toHaveLength(2);
  await publish(appended[1] ?? utf8(""));
  await intervals(1);
  expect(appended).toHaveLength(3);
  isDayDue = false;
  await publish(appended[2] ?? utf8(""));
  await intervals(1_000);
  expect(appended).toHaveLength(3);
});

test("however much is published in an interval, one epoch covers it", async () => {
  start();
  for (let i = 0; i < 5; i++) await publish(await anEntry());
  await intervals(1);
  expect(appended).toHaveLength(1);
});

test("while no witness has cosigned nothing is dated, and as soon as one has, all of it is", async () => {
  start();
  isWitnessed = false;
  for (let i = 0; i < 3; i++) await publish(await anEntry());
  await intervals(100);
  expect(appended).toEqual([]);
  isWitnessed = true;
  await intervals(2);
  expect(appended).toHaveLength(1);
});

test("what an earlier process left without a day gets an epoch at the start", async () => {
  log.append(utf8("left over"));
  start(true);
  await intervals(1);
  expect(appended).toHaveLength(1);
});

test("an epoch that could not be written is written at the next interval", async () => {
  start();
  await publish(await anEntry());
  isBroken = true;
  await intervals(3);
  expect(appended).toEqual([]);
  isBroken = false;
  await intervals(2);
  expect(appended).toHaveLength(1);
});

test("closed, it writes no more", async () => {
  const closing = start();
  await publish(await anEntry());
  closing.close();
  await intervals(10);
  expect(appended).toEqual([]);
});
