import { type DaySummary, type Entry, hex, parseEntry } from "@tallystick/protocol";
import { expect, test } from "vitest";
import { fixedSigner } from "../../../../test/fixed-keys.ts";
import { LogInMemory } from "../../../../test/log-in-memory.ts";
import { startSnapshots } from "./snapshots.ts";

const HEAD = { size: 0, root: new Uint8Array(32), note: new LogInMemory().checkpoint(1_790_000_000) };

function day(date: string, rules = 1): DaySummary {
  return { day: date, size: 7, rules: new Uint8Array(32).fill(rules), result: new Uint8Array(32).fill(9) };
}

function start(days: DaySummary[]) {
  const appended: Entry[] = [];
  const log = { isBroken: false, appended };
  const snapshots = startSnapshots({
    signer: fixedSigner("log"),
    due: () => days,
    async append(entry) {
      if (log.isBroken) throw new Error("the disk is full");
      return appended.push(parseEntry(entry)) - 1;
    },
  });
  const publish = async () => {
    await snapshots.follow([], HEAD);
    await snapshots.written();
  };
  return { log, publish, snapshots };
}

const said = (entries: readonly Entry[]) =>
  entries.map((entry) => (entry.kind === "snapshot" ? `${entry.says.day} ${hex(entry.says.rules).slice(0, 2)}` : ""));

test("each closed day gets one snapshot for each version of the rules, however often the log is published before it is folded", async () => {
  const days = [day("2026-11-20"), day("2026-11-20", 2)];
  const { log, publish } = start(days);
  await publish();
  await publish();
  days.push(day("2026-11-21"));
  await publish();
  expect(said(log.appended)).toEqual(["2026-11-20 01", "2026-11-20 02", "2026-11-21 01"]);
});

test("days that were closed when nobody was there to say so are said at the start", async () => {
  const { log, snapshots } = start([day("2026-11-20")]);
  await snapshots.written();
  expect(said(log.appended)).toEqual(["2026-11-20 01"]);
});

test("a snapshot that could not be written is written with the next state of the log", async () => {
  const { log, publish } = start([day("2026-11-20"), day("2026-11-21")]);
  log.isBroken = true;
  await publish();
  expect(log.appended).toEqual([]);
  log.isBroken = false;
  await publish();
  expect(said(log.appended)).toEqual(["2026-11-20 01", "2026-11-21 01"]);
});
