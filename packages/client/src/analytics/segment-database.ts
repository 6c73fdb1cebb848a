/** What is made of a day's receipts in SQL: the rollup beside each segment, and the tables that questions are asked of. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import {
  type ClosedRows,
  type Columns,
  type JudgedRows,
  METRIC_COLUMNS,
  metricRows,
  OWN_COLUMNS,
  ownRows,
  RECEIPT_COLUMNS,
  SHARED_COLUMNS,
  sharedRows,
} from "@tallystick/protocol";
import { answerQuery, type QueryLimits, type Table, writeFiles } from "./database.ts";

/** Counts that add up, by hour and model: what a chart is drawn from without reading a receipt. */
export const HOUR_COLUMNS = {
  hour: "time",
  day: "day",
  revision: "text",
  model: "text",
  version: "text",
  category: "text",
  publisher: "text",
  gross: "integer",
  valid: "integer",
  organic: "integer",
  floor: "integer",
  acknowledged: "integer",
  relied: "integer",
  units: "integer",
  output_units: "integer",
  price: "amount",
  subsidised: "amount",
  refunded: "amount",
} as const satisfies Columns;

/** Units and money are those of valid receipts, as in the figures. */
const BY_HOUR = `SELECT hour, day, revision, model, version, category, publisher,
  count(*) AS gross,
  count(*) FILTER (stratum <> 'gross') AS valid,
  count(*) FILTER (stratum IN ('organic', 'floor')) AS organic,
  count(*) FILTER (stratum = 'floor') AS floor,
  count(*) FILTER (acknowledged) AS acknowledged,
  count(*) FILTER (relied) AS relied,
  coalesce(sum(units) FILTER (stratum <> 'gross'), 0)::BIGINT AS units,
  coalesce(sum(output_units) FILTER (stratum <> 'gross'), 0)::BIGINT AS output_units,
  coalesce(sum(price) FILTER (stratum <> 'gross'), 0)::DECIMAL(38, 0) AS price,
  coalesce(sum(subsidised) FILTER (stratum <> 'gross'), 0)::DECIMAL(38, 0) AS subsidised,
  coalesce(sum(refunded) FILTER (stratum <> 'gross'), 0)::DECIMAL(38, 0) AS refunded
  FROM receipts GROUP BY ALL ORDER BY hour, revision`;

const SUMS = ["gross", "valid", "organic", "floor", "acknowledged", "relied", "units", "output_units"]
  .map((name) => `sum(${name})::BIGINT AS ${name}`)
  .concat(["price", "subsidised", "refunded"].map((name) => `sum(${name}) AS ${name}`))
  .join(", ");

const VIEWS = {
  days: `SELECT day, ${SUMS} FROM hours GROUP BY day ORDER BY day`,
  models: `SELECT revision, any_value(model) AS model, any_value(version) AS version, any_value(category) AS category,
    any_value(publisher) AS publisher, max(hour) AS last_hour, ${SUMS} FROM hours GROUP BY revision ORDER BY valid DESC, revision`,
};

/** The files of a day, by what is in them. */
const PARTS = ["hours", "metrics", "receipts"] as const;
const NAME = /^\d{4}-\d{2}-\d{2}-[0-9a-f]{16}\.(hours|metrics|receipts)\.parquet$/;

/** What is a segment's, or was left by who was killed writing one. */
export const SEGMENT_FILE = /^(\d{4}-\d{2}-\d{2}-[0-9a-f]{16}\..*parquet|spill\..*\.tmp$)/;

/** The file with one part of a day, by the rules that `key` stands for. */
export function segmentPath(
  folder: string,
  day: string,
  key: string,
  part: (typeof PARTS)[number] = "receipts",
): string {
  return join(folder, `${day}-${key}.${part}.parquet`);
}

/** All files of a day's segment, the one of receipts last. */
export function segmentFiles(folder: string, day: string, key: string): string[] {
  return PARTS.map((part) => segmentPath(folder, day, key, part));
}

/** What a day came to by one set of rules, under the key of its files, and what they say of themselves. */
export type KeyedRows = { key: string; judged: JudgedRows; metadata: Readonly<Record<string, string>> };

/** Writes the files of a day's segments, one by each set of rules. */
export function writeSegments(folder: string, closed: ClosedRows, sets: readonly KeyedRows[]): Promise<void> {
  const { day } = closed;
  const columns = Object.keys(RECEIPT_COLUMNS).join(", ");
  return writeFiles(folder, async ({ load, copy }) => {
    await load("own", OWN_COLUMNS, ownRows(closed));
    for (const { key, judged, metadata } of sets) {
      const path = (part: (typeof PARTS)[number]) => segmentPath(folder, day, key, part);
      await load("metrics", METRIC_COLUMNS, metricRows(judged.document));
      await load("shared", SHARED_COLUMNS, sharedRows(closed, judged));
      const receipts = `SELECT ${columns} FROM own JOIN shared USING (shared) ORDER BY index`;
      await copy("SELECT * FROM metrics", path("metrics"), metadata);
      await copy(`WITH receipts AS (${receipts}) ${BY_HOUR}`, path("hours"), metadata);
      // Receipts are the last to be there: a day that has them has all.
      await copy(receipts, path("receipts"), metadata);
    }
  });
}

/** Answers one SELECT over the segments in `folder` that are by the rules `key` stands for, of days that are whole: the JSON of a QueryResult. */
export async function querySegments(
  folder: string,
  key: string,
  sql: string,
  limits: QueryLimits,
): Promise<Uint8Array<ArrayBuffer>> {
  const found = await readdir(folder).catch((): string[] => []);
  const ours = found.filter((name) => NAME.test(name) && name.slice(11).startsWith(key)).sort();
  const whole = new Set(ours.filter((name) => name.endsWith(".receipts.parquet")).map((name) => name.slice(0, 10)));
  const names = ours.filter((name) => whole.has(name.slice(0, 10)));
  const files = (part: (typeof PARTS)[number]) =>
    names.filter((name) => name.endsWith(`.${part}.parquet`)).map((name) => join(folder, name));
  const tables: Table[] = [
    { name: "receipts", files: files("receipts"), columns: RECEIPT_COLUMNS },
    { name: "hours", files: files("hours"), columns: HOUR_COLUMNS },
    { name: "metrics", files: files("metrics"), columns: METRIC_COLUMNS },
  ];
  return answerQuery(tables, VIEWS, sql, limits);
}
