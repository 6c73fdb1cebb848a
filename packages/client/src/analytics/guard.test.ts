import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Columns } from "@tallystick/protocol";
import { expect, test } from "vitest";
import { temporaryFolder } from "../../../../test/folder.ts";
import { answerQuery, writeParquet } from "./database.ts";
import { AnalyticsError } from "./errors.ts";
import { QUERY_LENGTH } from "./guard.ts";
import { parseResult } from "./result.ts";

const COLUMNS = { number: "integer", word: "text", amount: "amount", at: "time", day: "day", flag: "flag" } as const;
const LIMITS = { rows: 10, resultBytes: 10_000 };

async function written(folder: string): Promise<string> {
  const path = join(folder, "numbers.parquet");
  const rows = Array.from({ length: 5_000 }, (_, number) => ({
    ...{ number, word: number % 2 === 0 ? "even" : null, amount: 10n ** 19n, at: 1_795_348_800 + number },
    ...{ day: "2026-11-22", flag: number === 0 },
  }));
  await writeParquet(path, { columns: COLUMNS, rows, metadata: { "it's": 'a "key"' } });
  return path;
}

const asking =
  (path: string, columns: Columns = COLUMNS) =>
  async (sql: string, limits = LIMITS) =>
    parseResult(
      await answerQuery(
        [{ name: "numbers", files: [path], columns }],
        { few: "SELECT * FROM numbers WHERE number < 3" },
        sql,
        limits,
      ),
    );

test("a table is asked in SQL, and its values come back as they were written", async () => {
  await using folder = await temporaryFolder();
  const ask = asking(await written(folder.path));
  expect(await ask("SELECT * FROM few WHERE number < 2")).toEqual({
    columns: [
      { name: "number", type: "BIGINT" },
      { name: "word", type: "VARCHAR" },
      { name: "amount", type: "DECIMAL(38,0)" },
      { name: "at", type: "TIMESTAMP" },
      { name: "day", type: "DATE" },
      { name: "flag", type: "BOOLEAN" },
    ],
    rows: [
      [0, "even", "10000000000000000000", "2026-11-22 12:00:00", "2026-11-22", true],
      [1, null, "10000000000000000000", "2026-11-22 12:00:01", "2026-11-22", false],
    ],
    truncated: false,
  });
  for (const sql of [
    "SELECT count(*) FROM numbers",
    "FROM numbers SELECT count(*)",
    "/* a comment; */ WITH all_of AS (SELECT * FROM numbers) SELECT count(*) FROM ALL_OF;",
    "SELECT (SELECT count(*) FROM numbers)",
    "SELECT count(*) FROM numbers n JOIN range(1) r(i) ON i = 0",
  ])
    expect((await ask(sql)).rows, sql).toEqual([[5_000]]);
});

test("more rows than the limit are cut off, and the result says so", async () => {
  await using folder = await temporaryFolder();
  const ask = asking(await written(folder.path));
  expect(await ask("SELECT number FROM numbers ORDER BY number DESC")).toMatchObject({ truncated: true });
  expect((await ask("SELECT number FROM numbers")).rows.length).toBe(LIMITS.rows);
  expect(await ask("SELECT * FROM numbers LIMIT 10")).toMatchObject({ truncated: false });
  await expect(ask("SELECT repeat('x', 20000)")).rejects.toThrow("is larger than 10000 bytes");
});

test("the bound on an answer is on its bytes, and the names and types of its columns are among them", async () => {
  await using folder = await temporaryFolder();
  const ask = asking(await written(folder.path));
  const larger = { failure: "limit", message: expect.stringContaining("is larger than 10000 bytes") };
  await expect(ask("SELECT repeat('€', 4000)")).rejects.toMatchObject(larger);
  expect((await ask("SELECT repeat('x', 4000)")).rows[0]?.[0]).toHaveLength(4_000);
  // Each step doubles the type, and no row has it.
  const steps = Array.from(
    { length: 9 },
    (_, i) => `a${i + 1} AS (SELECT {'${"n".repeat(99)}': x, b: x} x FROM a${i})`,
  );
  await expect(ask(`WITH a0 AS (SELECT 1 x), ${steps.join(", ")} SELECT x FROM a9 WHERE false`)).rejects.toMatchObject(
    larger,
  );
});

test("a query is one SELECT over the tables: nothing is written, no file is read, no setting is seen or changed", async () => {
  await using folder = await temporaryFolder();
  const path = await written(folder.path);
  const secret = join(folder.path, "secret");
  await writeFile(secret, "a,b\n1,2\n");
  const ask = asking(path);
  for (const sql of [
    `COPY numbers TO '${folder.path}/out.csv'`,
    `COPY numbers TO '${path}'`,
    `SELECT * FROM read_csv('${secret}')`,
    `SELECT * FROM '${secret}'`,
    `SELECT (SELECT max(content) FROM read_text('${secret}'))`,
    `SELECT * FROM numbers WHERE EXISTS (SELECT * FROM read_blob('${secret}'))`,
    `SELECT * FROM read_parquet('${path}')`,
    `SELECT * FROM glob('${folder.path}/*')`,
    `ATTACH '${folder.path}/other.db'`,
    "INSTALL httpfs",
    "LOAD httpfs",
    "PRAGMA version",
    "PRAGMA memory_limit='8GB'",
    "SET threads = 8",
    "RESET memory_limit",
    "CALL pragma_version()",
    "SELECT 1; SELECT 2",
    "SELECT 1; DROP VIEW numbers",
    "CREATE TABLE t AS SELECT 1",
    "INSERT INTO numbers VALUES (1)",
    "DROP VIEW numbers",
    "EXPORT DATABASE 'x'",
    "EXPLAIN SELECT 1",
    "CHECKPOINT",
    "BEGIN",
    "PREPARE p AS SELECT 1",
    "SELECT * FROM query('SELECT 1')",
    "SELECT * FROM query_table('numbers')",
    "SELECT * FROM enable_profiling(save_location = 'x')",
    "SELECT * FROM enable_logging(storage = 'file', storage_path = 'x')",
    "SELECT * FROM json_execute_serialized_sql('x')",
    "SELECT * FROM duckdb_settings()",
    "SELECT * FROM pg_catalog.pg_settings",
    "SELECT * FROM pg_settings",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM duckdb_views",
    "SELECT sql FROM duckdb_views WHERE EXISTS (WITH duckdb_views AS (SELECT 1) SELECT 1)",
    "SELECT * FROM pg_settings, (WITH PG_settings AS (SELECT 1) SELECT 1) t",
    "FROM (SHOW ALL TABLES)",
    "FROM (DESCRIBE receipts)",
    "SELECT current_setting('allowed_paths')",
    `SELECT "Current_Setting"('allowed_paths')`,
    "SELECT json_serialize_plan('SELECT * FROM numbers')",
    "SELECT json_serialize_plan('SELECT current_setting(''allowed_paths'')', optimize := true)",
    "SELECT json_deserialize_sql(json_serialize_sql('SELECT * FROM numbers'))",
    "SELECT DISTINCT pg_get_viewdef(o) FROM range(30000) t(o)",
    "SELECT o.pg_get_viewdef() FROM range(9) t(o)",
    "SELECT main.pg_get_viewdef(1)",
    "SELECT count(*) FILTER (getvariable('x') IS NULL) FROM numbers",
    "SELECT format_type(1, 1)",
    "SELECT get_block_size('memory')",
    "SELECT error('x')",
    "SELECT version()",
    "SELECT sleep_ms(1)",
    "SELECT write_log('x')",
    "WITH t AS (SELECT 1) SELECT * FROM main.t, duckdb_settings()",
    "SELECT 1e400",
    `SELECT -${"9".repeat(400)}`,
    "selct 1",
    "SELECT",
    "",
    `SELECT ${"1,".repeat(QUERY_LENGTH)} 1`,
  ]) {
    const refused = await ask(sql).catch((error: unknown) => error);
    expect(refused, sql).toBeInstanceOf(AnalyticsError);
    expect(refused, sql).toMatchObject({
      failure: "refused",
      message: expect.stringMatching(/^a query is one select over numbers, few: /),
    });
  }
});

test("functions that compute of what they are given are allowed, however they are spelt", async () => {
  await using folder = await temporaryFolder();
  const ask = asking(await written(folder.path));
  for (const sql of [
    "SELECT abs(-1)",
    "SELECT count(*) - 4999 FROM numbers",
    "SELECT max(CASE WHEN word ILIKE 'EV%' ESCAPE '!' THEN 1 END) FROM numbers",
    "SELECT row_number() OVER (ORDER BY number) FROM few LIMIT 1",
    "SELECT extract(day FROM day)::INT - 21 FROM few LIMIT 1",
    "SELECT [x + 1 FOR x IN [0]][1]",
    "SELECT list_transform([0], lambda x: x + 1)[1]",
    "SELECT '{\"a\": 1}'->'a'",
    "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY number) - 2498.5 FROM numbers",
    "SELECT (current_date > DATE '2020-01-01')::INT",
    "SELECT count(DISTINCT \"at\" AT TIME ZONE 'UTC') FROM numbers WHERE number = ANY([7])",
    "SELECT ARRAY(SELECT 1)[1]",
    "SELECT trim(BOTH 'x' FROM 'x1x')",
    "SELECT 5 // 4",
  ])
    expect(
      (await ask(sql)).rows.map(([cell]) => Number(cell)),
      sql,
    ).toEqual([1]);
});

test("a failure that names a file is the file's where that cannot be read, and else the question's, and neither shows where it lies", async () => {
  await using folder = await temporaryFolder();
  const path = await written(folder.path);
  const ask = (sql: string) => asking(path)(sql).catch((error: unknown) => error);
  const naming = `SELECT CAST('${path}' AS INT)`;
  const refused = await ask(naming);
  expect(refused).toMatchObject({ failure: "refused", message: expect.stringContaining("numbers.parquet") });
  expect(String(refused)).not.toContain(folder.path);
  const whole = await readFile(path);
  const all = 'SELECT max(number), sum(hash(word, "at", flag)) FROM numbers';
  for (const [start, end] of [
    [4, 40], // The engine names no file.
    [whole.length - 1_500, whole.length - 1_400], // It does.
  ]) {
    await writeFile(path, Buffer.from(whole).fill(0, start, end));
    for (const sql of [all, naming]) {
      const crashed = await ask(sql);
      expect(crashed, sql).toMatchObject({ failure: "crashed" });
      expect(String(crashed)).not.toContain(folder.path);
    }
  }
});

test("what the engine cannot answer it says in a sentence", async () => {
  await using folder = await temporaryFolder();
  const path = await written(folder.path);
  const views = (sql: string) =>
    answerQuery([{ name: "numbers", files: [path], columns: COLUMNS }], {}, sql, LIMITS).catch(
      (error: Error) => error.message,
    );
  expect(await views("SELECT no_such_column FROM numbers")).toMatch(/no_such_column/);
  expect(await views("SELECT $1 FROM numbers")).toMatch(/./);
});
