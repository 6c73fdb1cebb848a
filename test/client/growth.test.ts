import { signEntry, utf8 } from "@tallystick/protocol";
import { expect, test } from "vitest";
import { DAY_SECONDS, findEntriesADay } from "../../packages/client/src/cli/growth.ts";
import { LogInMemory } from "../log-in-memory.ts";
import { NOON_SECONDS } from "../one-receipt.ts";
import { unsignedSigner } from "../usage-log.ts";
import { filesOf, sourceOf, tampered } from "./log-files.ts";

/** A log that gets `counts[i]` entries by the end of day i, each day closed by an epoch. The others are no entries that parse. */
async function logOf(counts: readonly number[]): Promise<LogInMemory> {
  const log = new LogInMemory();
  for (const [day, count] of counts.entries()) {
    for (let i = 1; i < count; i++) log.append(utf8(`entry ${i} of day ${day}`));
    const checkpoint = utf8(log.checkpointFile(NOON_SECONDS + day * DAY_SECONDS));
    log.append((await signEntry(unsignedSigner("log"), "epoch", { version: 1, checkpoint })).signed.bytes);
  }
  return log;
}

const growthOf = (log: LogInMemory, files = filesOf(log, NOON_SECONDS)) =>
  findEntriesADay(sourceOf(files), log.entries.length);

test.each([
  { counts: Array(4).fill(10), entriesADay: 10, what: "a log younger than a week, in one bundle" },
  { counts: Array(12).fill(100), entriesADay: 100, what: "a log of several bundles, several epochs in each" },
  { counts: [...Array(5).fill(900), ...Array(8).fill(20)], entriesADay: 20, what: "a log that was busier before" },
  {
    counts: [...Array(9).fill(3), ...Array(7).fill(600)],
    entriesADay: 600,
    what: "a log with bundles without an epoch",
  },
  { counts: [5, ...Array(7).fill(7)], entriesADay: 7, what: "a log of just over a week" },
])("$what grows by $entriesADay entries a day", async ({ counts, entriesADay }) => {
  expect(await growthOf(await logOf(counts))).toBe(entriesADay);
});

test.each([{ counts: [] }, { counts: [10] }])(
  "a log of $counts.length epochs says nothing of a day",
  async ({ counts }) => {
    expect(await growthOf(await logOf(counts))).toBe(undefined);
  },
);

test("epochs less than an hour apart say nothing of a day", async () => {
  const log = new LogInMemory();
  for (const seconds of [0, 3_599]) {
    log.append(utf8("entry"));
    const checkpoint = utf8(log.checkpointFile(NOON_SECONDS + seconds));
    log.append((await signEntry(unsignedSigner("log"), "epoch", { version: 1, checkpoint })).signed.bytes);
  }
  expect(await growthOf(log)).toBe(undefined);
});

test("a bundle that is gone or damaged is passed over", async () => {
  const log = await logOf(Array(12).fill(100));
  const files = filesOf(log, NOON_SECONDS);
  for (const change of [undefined, (bytes: Uint8Array) => bytes.subarray(1)])
    expect(await growthOf(log, tampered(files, "tile/entries/002", change))).toBe(100);
});
