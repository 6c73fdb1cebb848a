import { mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { deserialize, serialize } from "node:v8";
import { parseResult, segmentKey, segmentPath } from "@tallystick/client/analytics";
import { applyToRows, createRowFold, hex, type RowFold, rulesDigest, WASH_RULES } from "@tallystick/protocol";
import { beforeAll, expect, test } from "vitest";
import { openSegmenting, type SegmentingParts } from "../../packages/server/src/segmenting.ts";
import { filesOf, writeLogFiles } from "../client/log-files.ts";
import { temporaryFolder } from "../folder.ts";
import { createTestClock } from "../network.ts";
import { NOON_SECONDS } from "../one-receipt.ts";
import { threeDays } from "../three-days.ts";
import { DAY, type UsageLog } from "../usage-log.ts";

const [FIRST, SECOND] = ["2026-11-22", "2026-11-23"];
const COUNT = "SELECT day, count(*) FROM receipts GROUP BY day ORDER BY day";
const COUNTED = [
  [FIRST, 5],
  [SECOND, 300],
];
const MINUTE_MS = 60_000;

let usage: UsageLog;
beforeAll(async () => {
  usage = await threeDays();
});

/** A data folder with the log's files, and what makes its segments; `rows` is a fold that has the log. */
async function open(data: string, rows: RowFold = folded(), own: Pick<SegmentingParts, "retryMs" | "asking"> = {}) {
  await writeLogFiles(join(data, "log", "tiles"), filesOf(usage.log, NOON_SECONDS + 4 * DAY));
  const folder = join(data, "usage", "segments");
  const clock = createTestClock();
  const reported: { event: string; detail: Record<string, unknown> }[] = [];
  let onBuilt = () => {};
  /** Resolves once a day became segments, which nobody asked for. */
  const nextBuilt = () => new Promise<void>((resolve) => (onBuilt = resolve));
  const segmenting = openSegmenting({
    ...{ data, folder, rows, clock },
    log: {
      get published() {
        return { size: rows.fold.size, root: new Uint8Array(32), note: NOTE };
      },
      followPublications: () => {},
    },
    report(event, detail) {
      reported.push({ event, detail });
      if (event === "days became segments") onBuilt();
    },
    ...own,
  });
  const built = () => reported.filter(({ event }) => event === "days became segments").map(({ detail }) => detail.days);
  const failed = () =>
    reported.filter(({ event }) => event === "segments were not made").map(({ detail }) => detail.error);
  const rowsOf = async (sql: string) => parseResult(await segmenting.query(sql)).rows;
  return {
    ...segmenting,
    folder,
    rows,
    rowsOf,
    clock,
    built,
    nextBuilt,
    failed,
    [Symbol.asyncDispose]: () => segmenting.close(),
  };
}
const NOTE = { text: "", signatures: [] };

/** A fold of the first `size` entries. */
function folded(size = usage.entries.length): RowFold {
  const rows = createRowFold();
  for (const entry of usage.entries.slice(0, size)) applyToRows(rows, entry);
  return rows;
}

const removeBundles = (data: string) => rm(join(data, "log", "tiles", "tile", "entries"), { recursive: true });

test("segments of days that the fold saw close are made without an entry being read again, also by a fold that was kept", async () => {
  await using place = await temporaryFolder();
  const kept: RowFold = deserialize(serialize(folded()));
  expect([...kept.closed.keys()]).toEqual([FIRST, SECOND]);
  await using segmenting = await open(place.path, kept);
  await removeBundles(place.path);
  await segmenting.idle();
  expect([segmenting.built(), segmenting.failed()]).toEqual([[[FIRST], [SECOND]], []]);
  expect(await segmenting.rowsOf(COUNT)).toEqual(COUNTED);
  expect(kept.closed.size).toBe(0);
});

test("a day that closes again after a restart leaves its files as they are, and only what is missing is made", async () => {
  await using place = await temporaryFolder();
  const times = async (folder: string) => {
    const names = (await readdir(folder)).sort();
    return Promise.all(names.map(async (name) => [name, (await stat(join(folder, name))).mtimeMs]));
  };
  let before: unknown;
  {
    await using first = await open(place.path);
    await first.idle();
    before = await times(first.folder);
  }
  // Killed: it begins with an older fold, before which both days close once more.
  await using again = await open(place.path);
  await again.idle();
  expect([again.built(), again.failed(), again.rows.closed.size]).toEqual([[], [], 0]);
  expect(await times(again.folder)).toEqual(before);
});

test("what a writer that was killed has left is no part of any answer, and the next one makes the day whole", async () => {
  await using place = await temporaryFolder();
  const segment = segmentPath(join(place.path, "usage", "segments"), FIRST, segmentKey(WASH_RULES));
  {
    await using first = await open(place.path);
    await first.idle();
  }
  const whole = await readFile(segment);
  await rm(segment); // The last of its files to be there.
  await writeFile(`${segment}.0.tmp`, whole.subarray(0, 1_000));
  const rows = folded();
  await using again = await open(place.path, { ...rows, fold: { ...rows.fold, closedDays: new Map() } });
  expect(await again.rowsOf(COUNT)).toEqual(COUNTED.slice(1));
  await using next = await open(place.path);
  await next.idle();
  expect(next.built()).toEqual([[FIRST]]);
  expect((await readFile(segment)).equals(whole)).toBe(true);
  expect((await readdir(next.folder)).filter((name) => name.includes("tmp"))).toEqual([]);
});

test("segments that are lost and that no fold saw close are made by a replay", async () => {
  await using place = await temporaryFolder();
  const rows = folded();
  rows.closed.clear();
  await using segmenting = await open(place.path, rows);
  await segmenting.idle();
  expect(segmenting.built()).toEqual([[FIRST, SECOND]]);
  expect(await segmenting.rowsOf(COUNT)).toEqual(COUNTED);
});

test("while the disk takes nothing the days wait, and a minute after it does they are made", async () => {
  await using place = await temporaryFolder();
  await mkdir(join(place.path, "usage"), { recursive: true });
  await writeFile(join(place.path, "usage", "segments"), "in the way");
  await using segmenting = await open(place.path);
  await segmenting.idle();
  expect([segmenting.failed().length, segmenting.rows.closed.size]).toEqual([1, 2]);
  await segmenting.idle();
  expect(segmenting.failed().length).toBe(1); // Not again before its time.
  await rm(segmenting.folder);
  await removeBundles(place.path);
  segmenting.clock.advance(MINUTE_MS);
  await segmenting.idle();
  expect(segmenting.built()).toEqual([[FIRST], [SECOND]]);
});

test("a failure is tried again also where nothing happens that would wake it", async () => {
  await using place = await temporaryFolder();
  await mkdir(join(place.path, "usage"), { recursive: true });
  await writeFile(join(place.path, "usage", "segments"), "in the way");
  await using segmenting = await open(place.path, folded(), { retryMs: 20 });
  await segmenting.idle();
  await rm(segmenting.folder);
  const built = segmenting.nextBuilt();
  segmenting.clock.advance(20);
  await built;
});

test("a question that takes too long or too much, that nobody waits for, or that the network's end cuts off, is each told apart", async () => {
  await using place = await temporaryFolder();
  const forever = "SELECT count(*) FROM range(1000000000000) a(i) WHERE i % 7 = 3";
  {
    await using quick = await open(place.path, createRowFold(), { asking: { timeoutMs: 1_000 } });
    await expect(quick.query(forever)).rejects.toMatchObject({ code: "deadline_exceeded" });
  }
  const segmenting = await open(place.path, createRowFold());
  const large = segmenting.query("SELECT repeat('x', 9000000)");
  await expect(large).rejects.toMatchObject({
    code: "invalid_request",
    message: expect.stringContaining("ask for less"),
  });
  const gone = new AbortController();
  const unheard = expect(segmenting.query(forever, undefined, gone.signal)).rejects.toMatchObject({
    code: "cancelled",
  });
  gone.abort();
  await unheard;
  const cutOff = expect(segmenting.query(forever)).rejects.toMatchObject({ code: "unavailable" });
  await segmenting.close();
  await cutOff;
  await expect(segmenting.query("SELECT 1")).rejects.toMatchObject({ code: "unavailable" });
});

test("what was left half made of a figure as a file is gone at the next start", async () => {
  await using place = await temporaryFolder();
  const scratch = join(place.path, "usage", "scratch");
  await mkdir(join(scratch, "tallystick-left"), { recursive: true });
  await using segmenting = await open(place.path, createRowFold());
  expect((await segmenting.parquet({ value: "integer" }, [{ value: 1 }], { a: "b" })).length).toBeGreaterThan(0);
  expect(await readdir(scratch)).toEqual([]);
});

test("questions asked while segments are written see a day whole or not at all", async () => {
  await using place = await temporaryFolder();
  await using segmenting = await open(place.path);
  let isDone = false;
  const made = segmenting.idle().then(() => {
    isDone = true;
  });
  const both = `SELECT (SELECT count(*) FROM receipts), (SELECT sum(gross)::BIGINT FROM hours), (SELECT count(DISTINCT day) FROM metrics)`;
  const seen = new Set<string>();
  while (!isDone) seen.add(JSON.stringify(await segmenting.rowsOf(both)));
  await made;
  seen.add(JSON.stringify(await segmenting.rowsOf(both)));
  expect(["[[0,null,0]]", "[[5,5,1]]", "[[305,305,2]]"]).toEqual(expect.arrayContaining([...seen]));
  expect([...seen]).toContain("[[305,305,2]]");
});

test("a folder that is removed answers as if no day were closed, a damaged file names no path, and the next close makes it all again", async () => {
  await using place = await temporaryFolder();
  const rows = createRowFold();
  const left = usage.entries[Symbol.iterator]();
  const foldUntil = (isDue: () => boolean) => {
    for (let next = left.next(); next.done !== true; next = left.next()) {
      applyToRows(rows, next.value);
      if (isDue()) return;
    }
  };
  foldUntil(() => rows.fold.closedDays.size === 1);
  await using segmenting = await open(place.path, rows);
  await segmenting.idle();
  expect(segmenting.built()).toEqual([[FIRST]]);
  const segment = segmentPath(segmenting.folder, FIRST, segmentKey(WASH_RULES));
  await writeFile(segment, (await readFile(segment)).subarray(0, 2_000));
  const damaged = await segmenting.query(COUNT).catch((error: unknown) => error);
  expect(damaged).toMatchObject({ code: "internal" });
  expect(String(damaged)).not.toContain(place.path);
  await rm(segmenting.folder, { recursive: true });
  expect(await segmenting.rowsOf(COUNT)).toEqual([]);
  foldUntil(() => false);
  await segmenting.idle();
  expect(segmenting.built()).toEqual([[FIRST], [SECOND], [FIRST]]);
  expect(await segmenting.rowsOf(COUNT)).toEqual(COUNTED);
});

test("rules that are not kept are refused by name, with those that are", async () => {
  await using place = await temporaryFolder();
  await using segmenting = await open(place.path);
  await segmenting.idle();
  const answer: unknown = JSON.parse(Buffer.from(await segmenting.query(COUNT, WASH_RULES.version)).toString());
  expect(answer).toMatchObject({
    rules: WASH_RULES.version,
    rules_digest: hex(rulesDigest(WASH_RULES)),
    rows: COUNTED,
  });
  await expect(segmenting.query(COUNT, "tallystick-organic-v0")).rejects.toMatchObject({
    code: "not_found",
    message: expect.stringContaining(WASH_RULES.version),
  });
  expect(() => segmenting.findSegment(FIRST, "tallystick-organic-v0")).toThrow("no segments are kept");
});
