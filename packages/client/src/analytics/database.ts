/** The embedded engine (DuckDB), and every line of SQL that is given to it: Parquet files written, and questions asked of them. */
import { randomUUID } from "node:crypto";
import { open, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setImmediate } from "node:timers/promises";
import type { DuckDBConnection, DuckDBInstance, DuckDBResultReader, Json } from "@duckdb/node-api";
import type { Columns, ColumnValues, RowOf } from "@tallystick/protocol";
import { AnalyticsError } from "./errors.ts";
import { checkQuery } from "./guard.ts";
import { encodeResult } from "./result.ts";

const MIB = 1024 * 1024;
/** What the engine may take. It is kept to it by itself; the process that it runs in is kept to more by whoever started it. */
export const ENGINE = { memoryBytes: 512 * MIB, threads: 2, writingThreads: 1 };
/** Rows of one batch: the size of DuckDB's own vectors. */
const BATCH_ROWS = 2_048;

const SQL_TYPES: Record<keyof ColumnValues, string> = {
  integer: "BIGINT",
  number: "DOUBLE",
  amount: "DECIMAL(38, 0)",
  text: "VARCHAR",
  flag: "BOOLEAN",
  day: "DATE",
  time: "TIMESTAMP",
};
/** What a column is handed over as, which is what JavaScript has it as; the rest is the engine's to convert, all at once. */
const HANDED_TYPES: Record<keyof ColumnValues, "DOUBLE" | "HUGEINT" | "VARCHAR" | "BOOLEAN"> = {
  integer: "DOUBLE",
  number: "DOUBLE",
  amount: "HUGEINT",
  text: "VARCHAR",
  flag: "BOOLEAN",
  day: "VARCHAR",
  time: "DOUBLE",
};

/** The engine's library, which is large: a busy machine takes seconds to load it. */
export async function loadDuckdb(): Promise<typeof import("@duckdb/node-api")> {
  try {
    return await import("@duckdb/node-api");
  } catch (cause) {
    throw new AnalyticsError(
      "missing",
      "analytics need DuckDB, which is not installed here or not made for this machine: npm install @duckdb/node-api@1.5.6-r.1",
      { cause },
    );
  }
}

/** Opens an engine in memory, runs `use` on it, and closes it. What does not fit goes into `spillFolder`, where there is one. */
async function withEngine<T>(
  use: (connection: DuckDBConnection) => Promise<T>,
  { threads, spillFolder = "" }: { threads: number; spillFolder?: string } = ENGINE,
): Promise<T> {
  const { DuckDBInstance } = await loadDuckdb();
  const instance: DuckDBInstance = await DuckDBInstance.create(":memory:", {
    memory_limit: `${ENGINE.memoryBytes / MIB}MiB`,
    threads: String(threads),
    temp_directory: spillFolder,
    autoinstall_known_extensions: "false",
    autoload_known_extensions: "false",
  });
  try {
    const connection = await instance.connect();
    try {
      return await use(connection);
    } finally {
      connection.closeSync();
    }
  } finally {
    instance.closeSync();
  }
}

/** Tables on their way into Parquet files. */
export type Writer = {
  /** Makes a table of rows, in place of one of that name. */
  load<C extends Columns>(name: string, columns: C, rows: Iterable<RowOf<C>>): Promise<void>;
  /** Writes what a SELECT over the tables gives into a file, which says `metadata` of itself. */
  copy(select: string, path: string, metadata: Readonly<Record<string, string>>): Promise<void>;
};

/** Writes Parquet files: each aside, and once all are there and on the disk, each in its place, in the order of their copies. */
export async function writeFiles<T>(folder: string, use: (writer: Writer) => Promise<T>): Promise<T> {
  const suffix = `.${randomUUID()}.tmp`;
  const written: string[] = [];
  const spillFolder = join(folder, `spill${suffix}`);
  try {
    // A second thread would be half as much again of the processor, which whoever appends wants.
    const writing = { threads: ENGINE.writingThreads, spillFolder };
    const result = await withEngine(
      (connection) =>
        use({
          load: (name, columns, rows) => load(connection, name, columns, rows),
          async copy(select, path, metadata) {
            const pairs = Object.entries(metadata).map(([key, value]) => `${quoted(key)}: ${text(value)}`);
            const options = `FORMAT parquet, COMPRESSION zstd, KV_METADATA {${pairs.join(", ")}}`;
            written.push(path);
            await connection.run(`COPY (${select}) TO ${text(path + suffix)} (${options})`);
          },
        }),
      writing,
    );
    for (const path of written) await sync(path + suffix);
    for (const path of written) await rename(path + suffix, path);
    await sync(folder);
    return result;
  } finally {
    for (const path of written) await rm(path + suffix, { force: true });
    await rm(spillFolder, { recursive: true, force: true });
  }
}

/** Writes one Parquet file of rows, in their order. */
export async function writeParquet<C extends Columns>(
  path: string,
  { columns, rows, metadata }: { columns: C; rows: Iterable<RowOf<C>>; metadata: Readonly<Record<string, string>> },
): Promise<void> {
  await writeFiles(dirname(path), async ({ load, copy }) => {
    await load("rows", columns, rows);
    await copy("SELECT * FROM rows", path, metadata);
  });
}

/** A name that is durable may not be that of bytes that are not. */
async function sync(path: string): Promise<void> {
  const handle = await open(path);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function load<C extends Columns>(
  connection: DuckDBConnection,
  name: string,
  columns: C,
  rows: Iterable<RowOf<C>>,
): Promise<void> {
  const { DuckDBDataChunk, HUGEINT, BOOLEAN, DOUBLE, VARCHAR } = await loadDuckdb();
  const types = { HUGEINT, BOOLEAN, DOUBLE, VARCHAR };
  const entries = Object.entries(columns);
  const handed = `handed ${name}`;
  const defined = entries.map(([column, kind]) => `${quoted(column)} ${HANDED_TYPES[kind]}`);
  const made = entries.map(([column, kind]) => `${fromHanded(column, kind)} AS ${quoted(column)}`);
  await connection.run(`CREATE OR REPLACE TABLE ${quoted(handed)} (${defined.join(", ")})`);
  await connection.run(`CREATE OR REPLACE VIEW ${quoted(name)} AS SELECT ${made.join(", ")} FROM ${quoted(handed)}`);
  const appender = await connection.createAppender(handed);
  for (const batch of batchesOf(rows)) {
    const chunk = DuckDBDataChunk.create(entries.map(([, kind]) => types[HANDED_TYPES[kind]]));
    chunk.setColumns(entries.map(([column]) => batch.map((row) => row[column] ?? null)));
    appender.appendDataChunk(chunk);
    await setImmediate(); // What a chunk took is given back only between two turns of the event loop.
  }
  appender.closeSync();
}

function* batchesOf<Row>(rows: Iterable<Row>): Generator<Row[]> {
  let batch: Row[] = [];
  for (const row of rows) {
    batch.push(row);
    if (batch.length < BATCH_ROWS) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

function fromHanded(name: string, kind: keyof ColumnValues): string {
  const column = quoted(name);
  if (kind === "time") return `make_timestamp(CAST(${column} AS BIGINT) * 1000000)`;
  return SQL_TYPES[kind] === HANDED_TYPES[kind] ? column : `CAST(${column} AS ${SQL_TYPES[kind]})`;
}

/** What each of some files says of itself; nothing of one that is not there or damaged. */
export function readMetadataOf(paths: readonly string[]): Promise<Map<string, string>[]> {
  return withEngine(async (connection) => {
    const said: Map<string, string>[] = [];
    for (const path of paths) {
      const sql = `SELECT decode(key) AS key, decode(value) AS value FROM parquet_kv_metadata(${text(path)})`;
      const read = await connection.runAndReadAll(sql).catch(() => undefined);
      said.push(new Map((read?.getRowsJson() ?? []).map(([key, value]) => [String(key), String(value)])));
    }
    return said;
  });
}

/** What a file says of itself. */
export async function readMetadata(path: string): Promise<Map<string, string>> {
  const [said = new Map<string, string>()] = await readMetadataOf([path]);
  return said;
}

/** A table that questions may be asked of: its files, what it is without any, and what it is made of them. */
export type Table = { name: string; files: readonly string[]; columns: Columns };
export type QueryLimits = { rows: number; resultBytes: number };

/**
 * Answers one SELECT over `tables` and the views that are made of them, as the JSON of a QueryResult; it can read no other file,
 * and write none.
 */
export function answerQuery(
  tables: readonly Table[],
  views: Readonly<Record<string, string>>,
  sql: string,
  limits: QueryLimits,
): Promise<Uint8Array<ArrayBuffer>> {
  return withEngine(async (connection) => {
    for (const table of tables) await connection.run(`CREATE VIEW ${quoted(table.name)} AS ${selectOf(table)}`);
    for (const [name, select] of Object.entries(views))
      await connection.run(`CREATE VIEW ${quoted(name)} AS ${select}`);
    const paths = tables.flatMap((table) => table.files.map(text));
    await connection.run(`SET allowed_paths = [${paths.join(", ")}]`);
    await connection.run("SET enable_external_access = false");
    await connection.run("SET lock_configuration = true");
    const asked = await connection.runAndReadAll("SELECT json_serialize_sql($1::VARCHAR)", [sql]);
    const names = [...tables.map(({ name }) => name), ...Object.keys(views)];
    checkQuery(sql, String(asked.getRowsJson()[0]?.[0]), names);
    try {
      return resultOf(await connection.streamAndReadUntil(sql, limits.rows + 1), limits);
    } catch (cause) {
      if (cause instanceof AnalyticsError) throw cause;
      const files = tables.flatMap((table) => table.files);
      if (await isOfFile(cause, files))
        throw new AnalyticsError("crashed", "a file of the segments cannot be read", { cause });
      // Where the files lie is nobody's business.
      const said = files.reduce((sentence, file) => sentence.replaceAll(dirname(file), "…"), sentenceOf(cause));
      throw new AnalyticsError("refused", said, { cause });
    }
  });
}

function resultOf(reader: DuckDBResultReader, limits: QueryLimits): Uint8Array<ArrayBuffer> {
  const types: string[] = [];
  // One by one: what all types come to is bounded as it is written.
  function* columns() {
    for (const [i, name] of reader.deduplicatedColumnNames().entries()) {
      const type = String(reader.columnType(i));
      types.push(type);
      yield { name, type };
    }
  }
  function* rows() {
    for (const row of reader.getRowsJson().slice(0, limits.rows))
      yield row.map((cell, i) => cellOf(cell, types[i] ?? ""));
  }
  const truncated = reader.currentRowCount > limits.rows;
  return encodeResult({ columns: columns(), rows: rows(), truncated }, limits.resultBytes);
}

function selectOf({ files, columns }: Table): string {
  if (files.length > 0) return `SELECT * FROM read_parquet([${files.map(text).join(", ")}])`;
  const empty = Object.entries(columns).map(([name, kind]) => `NULL::${SQL_TYPES[kind]} AS ${quoted(name)}`);
  return `SELECT ${empty.join(", ")} WHERE false`;
}

/** Counts as numbers where a number holds them; money and what is larger stays a text. */
function cellOf(cell: Json, type: string): Json {
  if (typeof cell !== "string" || !/^(BIGINT|HUGEINT|UBIGINT)$/.test(type)) return cell;
  return Number.isSafeInteger(Number(cell)) ? Number(cell) : cell;
}

/** What the engine calls its failures where no question is at fault. The kind comes first, and nobody who asks writes before it. */
const NOT_OF_QUESTION = /^(IO|Invalid|Serialization|INTERNAL) Error: /;

/** Whether it was a file that failed: one that was removed or damaged is not the question's fault. */
async function isOfFile(error: unknown, files: readonly string[]): Promise<boolean> {
  const said = error instanceof Error ? error.message : String(error);
  if (NOT_OF_QUESTION.test(said)) return true;
  // A question can name a file as well as the engine can: whether the file is whole decides.
  for (const file of files) if (said.includes(file) && !(await isReadable(file))) return true;
  return false;
}

function isReadable(file: string): Promise<boolean> {
  const everything = `SELECT bit_xor(hash(r)) FROM read_parquet(${text(file)}) r`;
  return withEngine((connection) => connection.run(everything)).then(
    () => true,
    () => false,
  );
}

/** What the engine says, without its drawing of where. */
function sentenceOf(error: unknown): string {
  const [said = ""] = (error instanceof Error ? error.message : String(error)).split("\n");
  return said.slice(0, 500);
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

function text(value: string): string {
  return `'${value.replaceAll("'", "''")}'`;
}
