/**
 * Analytics at size: closed days of a million real receipts made into segments, beside the rate at which the log makes the same
 * entries durable; and what a dashboard asks of the rollups of them, of a hundred times as many rows as well.
 */
import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { deserialize, serialize } from "node:v8";
import { DuckDBInstance } from "@duckdb/node-api";
import { buildSegments, writeDay } from "@tallystick/client/analytics";
import {
  applyEntry,
  applyToRows,
  closedRows,
  createFold,
  createRowFold,
  parseBundle,
  parseCheckpoint,
  parseEntry,
  signaturesOf,
  TILE_WIDTH,
  tileWidth,
  verifyEs256,
} from "@tallystick/protocol";
import { folderSource } from "../packages/client/src/cli/folder-source.ts";
import { openTree } from "../packages/client/src/log/tree.ts";
import { openEmptyLog } from "./bench-log.ts";
import { writeLongLog } from "./long-log.ts";
import type { Row } from "./ratio.ts";

const RECEIPTS = 1_000_000;
/** Rows that the rollup is made of: the real ones again and again, each time as the days after. */
const REPLICATED = [1_000_000, 10_000_000, 100_000_000];
const APPENDED = 50_000;
const CLIENTS = 64;
const ASKED = 200;

/** What the first page asks: a month by day, its best models, one model by hour, shares by publisher. */
const DASHBOARD = [
  "SELECT day, sum(gross), sum(valid), sum(organic), sum(floor) FROM rollup WHERE day > last_day() - 30 GROUP BY day ORDER BY day",
  "SELECT model, sum(valid) AS valid, sum(organic) FROM rollup WHERE day > last_day() - 30 GROUP BY model ORDER BY valid DESC, model LIMIT 10",
  "SELECT hour, gross, valid, organic FROM rollup WHERE model = 'bench/model-7' AND day > last_day() - 7 ORDER BY hour",
  "SELECT publisher, sum(valid) FROM rollup WHERE day > last_day() - 30 GROUP BY publisher",
];

export async function benchAnalytics(): Promise<Row[]> {
  const folder = await mkdtemp(join(tmpdir(), "tallystick-bench-"));
  try {
    const log = join(folder, "log");
    await writeLongLog(log, RECEIPTS, availableParallelism());
    return await measureAnalytics(log, folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** What there is to measure of the log whose tiles lie in `log`. */
export async function measureAnalytics(log: string, folder: string): Promise<Row[]> {
  const segments = join(folder, "segments");
  const appends = await readEntries(log);
  // In turns, so that what else the machine does falls on both alike.
  const before = await measureAppend(appends, join(folder, "appended before"));
  const ingest = await measureIngest(log, segments);
  const after = await measureAppend(appends, join(folder, "appended after"));
  const rebuild = await measureRebuild(log, join(folder, "rebuilt"), segments);
  const bare = (before.bare + after.bare) / 2;
  const admitted = (before.admitted + after.admitted) / 2;
  return [
    {
      name: "receipts/s into segments as days close, of baseline",
      value: ingest.perSecond / bare,
      unit: "×",
      bound: { atLeast: 1 },
      baseline: `the same entries appended and synced and nothing else, ${CLIENTS} in flight, before and after`,
    },
    { name: "receipts/s into segments as days close", value: ingest.perSecond, unit: "/s" },
    { name: "of that, the main thread as a day closes", value: ingest.takenUs, unit: "µs a receipt" },
    { name: "of the processor's time, in all", value: ingest.cpuUs, unit: "µs a receipt" },
    { name: "entries/s appended and synced", value: bare, unit: "/s" },
    { name: "entries/s verified, folded and appended", value: admitted, unit: "/s" },
    {
      name: "entries/s of a rebuild: replayed, judged and written, of baseline",
      value: rebuild / admitted,
      unit: "×",
      bound: { atLeast: 1 },
      baseline: `the same entries verified, folded and appended, ${CLIENTS} in flight`,
    },
    { name: "entries/s of a rebuild", value: rebuild, unit: "/s" },
    { name: "a receipt in a day's files", value: ingest.bytesPerRow, unit: "bytes" },
    ...(await measureDashboard(segments)),
  ];
}

async function treeOf(log: string) {
  const source = folderSource(log);
  return openTree(source, parseCheckpoint(await source.checkpoint()));
}

/**
 * Makes the segments of days as a network does: the fold that it has anyway takes each day down as it closes, another process
 * gets that, and makes the files. All of it is done here, one after another and at this process's own priority.
 */
async function measureIngest(log: string, segments: string) {
  const tree = await treeOf(log);
  const { size } = tree.head;
  const rows = createRowFold();
  let [receipts, takenMs, madeMs, cpuUs] = [0, 0, 0, 0];
  for (let bundle = 0; bundle * TILE_WIDTH < size; bundle++)
    for (const bytes of parseBundle(await tree.bundle(bundle), tileWidth("entries", bundle, size))) {
      const open = new Map(rows.open);
      applyToRows(rows, parseEntry(bytes));
      for (const { day, checkpoint } of rows.closed.values()) {
        const before = process.cpuUsage();
        const started = performance.now();
        const taken = closedRows(rows.fold, day, checkpoint, open.get(day) ?? []);
        takenMs += performance.now() - started;
        await writeDay(tree, segments, deserialize(serialize(taken)));
        madeMs += performance.now() - started;
        const { user, system } = process.cpuUsage(before);
        cpuUs += user + system;
        receipts += taken.receipts.id.length;
      }
      rows.closed.clear();
    }
  const files = await Promise.all(
    (await readdir(segments)).map(async (name) => (await stat(join(segments, name))).size),
  );
  return {
    perSecond: (1_000 * receipts) / madeMs,
    takenUs: (1_000 * takenMs) / receipts,
    cpuUs: cpuUs / receipts,
    bytesPerRow: files.reduce((sum, one) => sum + one, 0) / receipts,
  };
}

/** Entries a second of a rebuild from the first entry on, whose files are to the byte those of `segments`. */
async function measureRebuild(log: string, rebuilt: string, segments: string): Promise<number> {
  const tree = await treeOf(log);
  const started = performance.now();
  await buildSegments(tree, rebuilt);
  const perSecond = (1_000 * tree.head.size) / (performance.now() - started);
  const names = await readdir(segments);
  for (const name of new Set([...names, ...(await readdir(rebuilt))])) {
    const [made, again] = await Promise.all([readFile(join(segments, name)), readFile(join(rebuilt, name))]);
    if (!made.equals(again)) throw new Error(`${name} is another file when it is rebuilt`);
  }
  return perSecond;
}

/** The log's first entries. */
async function readEntries(log: string): Promise<Uint8Array[]> {
  const source = folderSource(log);
  const entries: Uint8Array[] = [];
  for (let index = 0; entries.length < APPENDED; index++) {
    const bundle = await source.findTile({ level: "entries", index, width: TILE_WIDTH });
    if (bundle === undefined) break;
    entries.push(...parseBundle(bundle, TILE_WIDTH));
  }
  return entries;
}

/** Entries a second that a log makes durable when 64 clients append them: as they are, and verified and folded first, as at its door. */
async function measureAppend(
  entries: readonly Uint8Array[],
  folder: string,
): Promise<{ bare: number; admitted: number }> {
  const log = await openEmptyLog(folder);
  const bare = await perSecond(entries, (entry) => log.append(entry));
  const fold = createFold();
  const admitted = await perSecond(entries, async (bytes) => {
    const entry = parseEntry(bytes);
    const signatures = signaturesOf(fold, entry);
    if (!signatures.ok) throw new Error(signatures.detail);
    applyEntry(fold, entry); // In their order: what comes next is signed by whom this enrols.
    const hold = await Promise.all(signatures.jobs.map((job) => verifyEs256(job.spki, job.message, job.signature)));
    if (hold.includes(false)) throw new Error("a good signature does not hold");
    await log.append(bytes);
  });
  await log.close();
  return { bare, admitted };
}

async function perSecond(
  entries: readonly Uint8Array[],
  append: (entry: Uint8Array) => Promise<unknown>,
): Promise<number> {
  let next = 0;
  const client = async () => {
    for (let entry = entries[next++]; entry !== undefined; entry = entries[next++]) await append(entry);
  };
  const started = performance.now();
  await Promise.all(Array.from({ length: CLIENTS }, client));
  return (1_000 * entries.length) / (performance.now() - started);
}

async function measureDashboard(segments: string): Promise<Row[]> {
  const names = await readdir(segments);
  const files = names.filter((name) => name.endsWith(".receipts.parquet")).map((name) => `'${join(segments, name)}'`);
  const instance = await DuckDBInstance.create(":memory:", { threads: "2", memory_limit: "1GiB", temp_directory: "" });
  const connection = await instance.connect();
  const rows: Row[] = [];
  const latencies: number[] = [];
  try {
    await connection.run(`CREATE VIEW receipts AS SELECT * FROM read_parquet([${files.join(", ")}])`);
    const counted = await connection.runAndReadAll(
      "SELECT count(*)::DOUBLE, count(DISTINCT day)::DOUBLE FROM receipts",
    );
    const [real = 0, days = 0] = (counted.getRowsJson()[0] ?? []).map(Number);
    for (const size of REPLICATED) {
      const copies = Math.max(1, Math.round(size / real));
      const started = performance.now();
      await connection.run(`CREATE OR REPLACE TABLE rollup AS
        SELECT hour + INTERVAL 1 DAY * (copy * ${days}) AS hour, (day + (copy * ${days})::INTEGER) AS day,
          revision, model, version, category, publisher, count(*) AS gross,
          count(*) FILTER (stratum <> 'gross') AS valid, count(*) FILTER (stratum IN ('organic', 'floor')) AS organic,
          count(*) FILTER (stratum = 'floor') AS floor
        FROM receipts, range(${copies}) copies(copy) GROUP BY ALL ORDER BY day, hour`);
      const perSecond = (copies * real) / ((performance.now() - started) / 1_000);
      await connection.run("CREATE OR REPLACE MACRO last_day() AS (SELECT max(day) FROM rollup)");
      const latencyMs = await p95(connection);
      latencies.push(latencyMs);
      const of = `${(copies * real).toExponential(0)} rows of rollup input, ${real} real ones replicated`;
      rows.push({ name: `a dashboard query, p95, of ${of}`, value: latencyMs, unit: "ms", bound: { atMost: 100 } });
      rows.push({ name: `rows/s into the rollup of ${of}`, value: perSecond, unit: "/s" });
    }
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
  const growth = (latencies.at(-1) ?? 0) / (latencies[0] ?? 1);
  return [
    ...rows,
    {
      name: "a dashboard query of 10⁸, of baseline",
      value: growth,
      unit: "×",
      bound: { atMost: 3 },
      baseline: "of 10⁶",
    },
  ];
}

async function p95(connection: Awaited<ReturnType<DuckDBInstance["connect"]>>): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < ASKED; i++) {
    const started = performance.now();
    await connection.runAndReadAll(DASHBOARD[i % DASHBOARD.length] ?? "");
    times.push(performance.now() - started);
  }
  return times.sort((a, b) => a - b)[Math.floor(0.95 * times.length)] ?? Number.NaN;
}
