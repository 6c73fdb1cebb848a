import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { deserialize, serialize } from "node:v8";
import {
  applyEntry,
  applyToRows,
  base64,
  createFold,
  createRowFold,
  hex,
  parseCheckpoint,
  type RowFold,
  rulesDigest,
  utf8,
  verifyCheckpoint,
  WASH_RULES,
  type WashRules,
} from "@tallystick/protocol";
import { beforeAll, expect, test } from "vitest";
import { readMetadata } from "../../packages/client/src/analytics/database.ts";
import { parseResult } from "../../packages/client/src/analytics/result.ts";
import { querySegments, segmentPath } from "../../packages/client/src/analytics/segment-database.ts";
import { buildSegments, segmentKey, writeDay } from "../../packages/client/src/analytics/segments.ts";
import { openTree } from "../../packages/client/src/log/tree.ts";
import { temporaryFolder } from "../folder.ts";
import { NOON_SECONDS } from "../one-receipt.ts";
import { threeDays } from "../three-days.ts";
import { DAY, tagOf, UsageLog } from "../usage-log.ts";
import { filesOf, flip, sourceOf, tampered } from "./log-files.ts";

const SEGMENT_KEY = segmentKey(WASH_RULES);
const LIMITS = { rows: 1_000, resultBytes: 1024 * 1024 };
const [FIRST, SECOND] = ["2026-11-22", "2026-11-23"];

let usage: UsageLog;
beforeAll(async () => {
  usage = await threeDays();
});

async function treeOf({ log }: UsageLog) {
  const source = sourceOf(filesOf(log, NOON_SECONDS + 4 * DAY));
  return openTree(source, parseCheckpoint(await source.checkpoint()));
}

const build = async (folder: string, of = usage) => buildSegments(await treeOf(of), folder);

async function ask(folder: string, sql: string) {
  return parseResult(await querySegments(folder, SEGMENT_KEY, sql, LIMITS)).rows;
}

/** Every row of every segment in `folder`. */
const allRows = (folder: string) => ask(folder, "SELECT * FROM receipts ORDER BY index");

test("a closed day is a segment with a row for each receipt, as it stood when the day was closed", async () => {
  await using folder = await temporaryFolder();
  expect(await build(folder.path)).toEqual({ built: [FIRST, SECOND], kept: [] });
  const columns =
    "strftime(time, '%H:%M'), status, exclusion, stratum, units, price, refunded, custody, tier_asked, acknowledged, relied, decision";
  expect(await ask(folder.path, `SELECT ${columns} FROM receipts WHERE day = '${FIRST}'`)).toEqual([
    ["12:00", "ok", null, "valid", 3, "5", "2", "wallet", "signed", false, false, null],
    ["12:00", "ok", null, "valid", 1, "5", "0", "wallet", "signed", false, false, null],
    ["12:00", "ok", "test_traffic", "gross", 1, "0", "0", "account", "signed", false, false, null],
    ["12:00", "ok", null, "valid", 1, "0", "0", "account", "reexecuted", true, true, hex(tagOf("a decision"))],
    ["13:00", "failed", "not_ok", "gross", 1, "0", "0", "account", "signed", false, false, null],
  ]);
  const byLabel =
    "SELECT day, funding, label, stratum, count(*), count(DISTINCT payer) FROM receipts WHERE exclusion IS NULL";
  expect(await ask(folder.path, `${byLabel} GROUP BY ALL ORDER BY day, funding`)).toEqual([
    [FIRST, "free", "free", "valid", 1, 1],
    [FIRST, "unattributed", "unattributed", "valid", 2, 1],
    [SECOND, "free", "free", "valid", 267, 1],
    [SECOND, "funded", null, "floor", 33, 12],
  ]);
});

test("the rows of a day add up to the fold's own figures of it, in the segment, in its rollup and in the tables made of that", async () => {
  await using folder = await temporaryFolder();
  await build(folder.path);
  const fold = createFold();
  for (const entry of usage.entries) applyEntry(fold, entry);
  const due = [...fold.closedDays.values()].map(({ day, gross, valid, revenue }) => [day, gross, valid, revenue.gross]);
  const sums = "count(*), count(*) FILTER (stratum <> 'gross'), sum(price) FILTER (stratum <> 'gross')";
  expect(await ask(folder.path, `SELECT day, ${sums} FROM receipts GROUP BY day ORDER BY day`)).toEqual(due);
  expect(await ask(folder.path, "SELECT day, gross, valid, price FROM days")).toEqual(due);
  expect(await ask(folder.path, "SELECT model, gross, valid, units FROM models")).toEqual([
    ["example/double", 305, 303, 305],
  ]);
  const figures = "inferences' AND dimension = 'network' AND per = 'day";
  const strata = "sum(gross), sum(valid), sum(organic), sum(floor)";
  expect(
    await ask(
      folder.path,
      `SELECT day, gross, valid, organic, floor FROM metrics WHERE metric = '${figures}' ORDER BY day`,
    ),
  ).toEqual(await ask(folder.path, `SELECT day, ${strata} FROM hours GROUP BY day ORDER BY day`));
});

test("a segment says of which log, checkpoint and rules it is, and the checkpoint is signed and covers every row", async () => {
  await using folder = await temporaryFolder();
  await build(folder.path);
  const said = await readMetadata(segmentPath(folder.path, FIRST, SEGMENT_KEY));
  const checkpoint = parseCheckpoint(utf8(said.get("tallystick.checkpoint") ?? ""));
  expect(await verifyCheckpoint(checkpoint, usage.log.trust)).toMatchObject({ ok: true });
  expect([said.get("tallystick.origin"), said.get("tallystick.size"), said.get("tallystick.root")]).toEqual([
    checkpoint.origin,
    String(checkpoint.size),
    base64(usage.log.root(checkpoint.size)),
  ]);
  expect(said.get("tallystick.wash_rules_digest")).toBe(hex(rulesDigest(WASH_RULES)));
  const [[last]] = (await ask(folder.path, `SELECT max(index) FROM receipts WHERE day = '${FIRST}'`)) as [[number]];
  expect(last).toBeLessThan(checkpoint.size);
});

test("what is deleted, damaged or of another log is made again, and is the same to the byte; the rest is left as it is", async () => {
  await using folder = await temporaryFolder();
  await build(folder.path);
  const names = (await readdir(folder.path)).sort();
  const bytes = () => Promise.all(names.map((name) => readFile(join(folder.path, name))));
  const [before, rows] = [await bytes(), await allRows(folder.path)];
  expect(await build(folder.path)).toEqual({ built: [], kept: [FIRST, SECOND] });
  const segment = segmentPath(folder.path, FIRST, SEGMENT_KEY);
  await writeFile(segment, (await readFile(segment)).subarray(0, -9));
  await writeFile(`${segment}.0.tmp`, "left by a writer that was killed");
  expect(await build(folder.path)).toEqual({ built: [FIRST], kept: [SECOND] });
  for (const name of names) await rm(join(folder.path, name));
  expect(await build(folder.path)).toEqual({ built: [FIRST, SECOND], kept: [] });
  expect((await readdir(folder.path)).sort()).toEqual(names);
  expect(await bytes()).toEqual(before);
  expect(await allRows(folder.path)).toEqual(rows);
  const other = await threeDays();
  await other.call();
  expect((await build(folder.path, other)).kept).toEqual([FIRST, SECOND]);
  expect((await build(folder.path, await UsageLog.open())).kept).toEqual([]);
  expect(await readdir(folder.path)).toEqual([]);
});

test("a log whose bundle is not what its checkpoint signs is in no segment", async () => {
  await using folder = await temporaryFolder();
  const files = tampered(filesOf(usage.log, NOON_SECONDS + 4 * DAY), "tile/entries/000", flip(-1));
  const source = sourceOf(files);
  const tree = await openTree(source, parseCheckpoint(await source.checkpoint()));
  await expect(buildSegments(tree, folder.path)).rejects.toThrow("does not hash to its tile");
  expect(await readdir(folder.path)).toEqual([]);
});

/** Rules by which a dozen clusters of payers are too few to judge. */
const STRICTER: WashRules = { ...WASH_RULES, version: "stricter", fewestClusters: 13 };

test("what is made as each day closes, of a fold put down and taken up at any entry, is to the byte what a rebuild makes, by each set of rules", async () => {
  await using made = await temporaryFolder();
  await using rebuilt = await temporaryFolder();
  const tree = await treeOf(usage);
  const sets = [WASH_RULES, STRICTER];
  let state: RowFold = createRowFold(createFold(sets));
  for (const [i, entry] of usage.entries.entries()) {
    applyToRows(state, entry);
    if (i % 41 === 0) state = deserialize(serialize(state));
    for (const closed of state.closed.values()) expect(await writeDay(tree, made.path, closed)).toBe(true);
    state.closed.clear();
  }
  expect(state.open.size).toBe(1);
  expect(await buildSegments(tree, rebuilt.path, () => {}, sets)).toEqual({ built: [FIRST, SECOND], kept: [] });
  const names = (await readdir(made.path)).sort();
  expect(names.length).toBe(2 * 2 * 3);
  expect((await readdir(rebuilt.path)).sort()).toEqual(names);
  for (const name of names)
    expect((await readFile(join(made.path, name))).equals(await readFile(join(rebuilt.path, name))), name).toBe(true);
});

test("each set of rules has files of its own, which say whose they are and are asked alone", async () => {
  await using folder = await temporaryFolder();
  await buildSegments(await treeOf(usage), folder.path, () => {}, [WASH_RULES, STRICTER]);
  const sql = `SELECT label, stratum, count(*) FROM receipts WHERE day = '${SECOND}' AND funding = 'funded' GROUP BY ALL`;
  const by = async (rules: WashRules) =>
    parseResult(await querySegments(folder.path, segmentKey(rules), sql, LIMITS)).rows;
  expect([await by(WASH_RULES), await by(STRICTER)]).toEqual([[[null, "floor", 33]], [["too_few", "valid", 33]]]);
  const said = await readMetadata(segmentPath(folder.path, SECOND, segmentKey(STRICTER)));
  expect([said.get("tallystick.wash_rules"), said.get("tallystick.wash_rules_digest")]).toEqual([
    "stricter",
    hex(rulesDigest(STRICTER)),
  ]);
  // A release that keeps one set of rules only has no use for the other's files.
  await build(folder.path);
  expect((await readdir(folder.path)).every((name) => name.includes(SEGMENT_KEY))).toBe(true);
});
