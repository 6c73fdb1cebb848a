import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checkpointText, hex, leafHash, sha256, utf8 } from "@tallystick/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { fixedNoteSigner } from "../../../../test/fixed-keys.ts";
import { closeDatabase, openDatabase } from "../platform/database.ts";
import { type Cosigned, createStore, isNewStore } from "./store.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "witness-store-"));
});
afterAll(() => rm(folder, { recursive: true }));

const witness = fixedNoteSigner("witness.example");

function cosigned(origin: string, size: number, timeSeconds = 1_795_000_000): Cosigned {
  const root = leafHash(utf8(`${origin} ${size}`));
  const text = checkpointText({ origin, size, root });
  return { origin, size, root, timeSeconds, note: { text, signatures: [witness.cosign(text, timeSeconds)] } };
}

test("what was recorded is there after the database was opened again, log by log", () => {
  const path = join(folder, "again");
  const database = openDatabase(path, "FULL");
  expect(isNewStore(database)).toBe(true);
  const store = createStore(database);
  expect(store.find("log.example/a")).toBeUndefined();
  const [a, b] = [cosigned("log.example/a", 0), cosigned("log.example/b", Number.MAX_SAFE_INTEGER)];
  expect([store.advance(0, a), store.advance(0, b)]).toEqual([true, true]);
  closeDatabase(database);

  const reopened = openDatabase(path, "FULL");
  expect(isNewStore(reopened)).toBe(false);
  const again = createStore(reopened);
  expect([again.find(a.origin), again.find(b.origin)]).toEqual([a, b]);
  expect(again.findByHash(hex(sha256(utf8(b.origin))))).toEqual(b);
  expect(again.findByHash("0".repeat(64))).toBeUndefined();
  const later = cosigned(b.origin, Number.MAX_SAFE_INTEGER, b.timeSeconds + 1);
  expect(again.advance(Number.MAX_SAFE_INTEGER, later)).toBe(true);
  expect(again.find(b.origin)).toEqual(later);
  closeDatabase(reopened);
});

test("of two that were decided on the same state only one is recorded, so that what was cosigned never shrinks", () => {
  const database = openDatabase(join(folder, "race"), "FULL");
  const store = createStore(database);
  const { origin } = cosigned("log.example/race", 0);
  expect(store.advance(5, cosigned(origin, 9))).toBe(false);
  expect(store.advance(0, cosigned(origin, 9))).toBe(true);
  expect(store.advance(0, cosigned(origin, 5))).toBe(false);
  expect(store.advance(5, cosigned(origin, 12))).toBe(false);
  expect(store.find(origin)).toEqual(cosigned(origin, 9));
  expect(store.advance(9, cosigned(origin, 12))).toBe(true);
  expect(store.advance(9, cosigned(origin, 10))).toBe(false);
  expect(store.find(origin)).toEqual(cosigned(origin, 12));
  expect(() => store.advance(12, cosigned(origin, 11))).toThrow("never shrinks");
  closeDatabase(database);
});

test("a database whose commits are not synced is no store: power loss could roll back what was answered", () => {
  const database = openDatabase(join(folder, "not-synced"));
  expect(() => createStore(database)).toThrow("a witness's commits are synced");
  closeDatabase(database);
});

test("a row whose size or root is not that of its note is refused", () => {
  const database = openDatabase(join(folder, "damaged"), "FULL");
  const store = createStore(database);
  const { origin } = cosigned("log.example/damaged", 9);
  for (const change of ["size = 8", "root = zeroblob(32)", "root = x'00'"]) {
    store.advance(store.find(origin)?.size ?? 0, cosigned(origin, 9));
    database.exec(`SAVEPOINT before; UPDATE witnessed SET ${change}`);
    expect(() => store.find(origin), change).toThrow(/contradicts itself about log.example\/damaged/);
    database.exec("ROLLBACK TO before; RELEASE before");
  }
  closeDatabase(database);
});
