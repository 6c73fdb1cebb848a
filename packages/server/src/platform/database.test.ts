import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { closeDatabase, openDatabase, transact } from "./database.ts";
import { OperatorError } from "./errors.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "database-"));
});
afterAll(() => rm(folder, { recursive: true }));

const rowsOf = (database: ReturnType<typeof openDatabase>) =>
  (database.prepare("SELECT x FROM t").all([]) as { x: number }[]).map(({ x }) => x);

test("one at a time has it open, and closing gives it up although statements live on", () => {
  const path = join(folder, "locked");
  const first = openDatabase(path);
  first.exec("CREATE TABLE t (x INTEGER) STRICT");
  const insert = first.prepare("INSERT INTO t VALUES (?)");
  insert.run([1]);
  expect(() => openDatabase(path)).toThrow(/another tallyd is running on this data folder/);
  insert.run([2]);
  closeDatabase(first);
  const second = openDatabase(path);
  expect(rowsOf(second)).toEqual([1, 2]);
  closeDatabase(second);
});

test("a transaction that fails leaves nothing behind, and the next one works", () => {
  const database = openDatabase(join(folder, "transact"));
  database.exec("CREATE TABLE t (x INTEGER PRIMARY KEY) STRICT");
  const insert = (...values: number[]) => {
    for (const value of values) database.prepare("INSERT INTO t VALUES (?)").run([value]);
  };
  transact(database, () => insert(1));
  expect(() => transact(database, () => insert(2, 1))).toThrow(/UNIQUE/);
  expect(() =>
    transact(database, () => {
      insert(3);
      throw new Error("of our own");
    }),
  ).toThrow("of our own");
  transact(database, () => insert(4));
  expect(rowsOf(database)).toEqual([1, 4]);
  closeDatabase(database);
});

test("a file that is no database is one sentence for the operator", async () => {
  const path = join(folder, "text");
  await writeFile(path, "a text that is longer than the header of a database file is ".repeat(9));
  expect(() => openDatabase(path)).toThrow(OperatorError);
  expect(() => openDatabase(path)).toThrow(/is damaged: restore it from a backup/);
});
