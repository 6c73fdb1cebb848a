import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hex } from "@tallystick/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { closeDatabase, type Database, openDatabase } from "../platform/database.ts";
import { createSystemRandom } from "../platform/random.ts";
import { createOpenings, type Openings } from "./openings.ts";

const NOW = 1_790_000_000;
const THIRTY_DAYS = 30 * 86_400;
const random = createSystemRandom();
const sealingKey = random(32);
const [MINE, OTHER] = [hex(random(16)), hex(random(16))];

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "openings-"));
});
afterAll(() => rm(folder, { recursive: true }));

type Opened = { openings: Openings; database: Database.Database; reported: string[]; close(): void };

function open(name: string, key = sealingKey): Opened {
  const database = openDatabase(join(folder, name));
  const reported: string[] = [];
  const report = (event: string) => void reported.push(event);
  const openings = createOpenings({ database, sealingKey: key, random, report });
  return {
    openings,
    database,
    reported,
    close() {
      openings.flush();
      closeDatabase(database);
    },
  };
}

const salts = () => ({ request: random(32), response: random(32) });
const place = (index: number) => ({ id: hex(random(32)), index });

async function contentOf(name: string): Promise<Buffer> {
  const names = (await readdir(folder)).filter((file) => file.startsWith(name));
  return Buffer.concat(await Promise.all(names.map((file) => readFile(join(folder, file)))));
}

function rows(database: Database.Database): { first_index: number; sealed: Buffer }[] {
  const read = database.prepare("SELECT * FROM openings ORDER BY first_index").all([]);
  return (read as { first_index: number; sealed: ArrayBuffer }[]).map((row) => ({
    ...row,
    sealed: Buffer.from(row.sealed),
  }));
}

test("an opening is there for its account from the moment it is kept, and for nobody else", () => {
  const { openings, close } = open("openings");
  const [one, unanswered] = [place(7), place(8)];
  const kept = salts();
  openings.keep(one, MINE, kept, NOW);
  openings.keep(unanswered, MINE, { request: kept.request }, NOW);
  for (const _ of ["waiting", "written"]) {
    expect(openings.find(one, MINE, NOW)).toEqual(kept);
    expect(openings.find(unanswered, MINE, NOW)).toEqual({ request: kept.request });
    expect(openings.find(one, OTHER, NOW)).toBe(undefined);
    expect(openings.find(place(7), MINE, NOW)).toBe(undefined);
    expect(openings.destroy(one, OTHER)).toBe(false);
    openings.flush();
  }
  close();
});

test("openings are found again after a restart, however they were written together, and no salt is in the files", async () => {
  const first = open("many");
  const all = Array.from({ length: 300 }, (_, i) => ({
    at: place(3 * i),
    payerTag: i % 2 ? MINE : OTHER,
    kept: salts(),
  }));
  for (const [i, { at, payerTag, kept }] of all.entries()) {
    first.openings.keep(at, payerTag, kept, NOW);
    if (i % 11 === 0) first.openings.flush();
  }
  first.close();
  const files = await contentOf("many");
  for (const { at, payerTag, kept } of all)
    for (const secret of [at.id, payerTag, hex(kept.request), hex(kept.response)])
      expect(files.includes(secret, 0, "hex")).toBe(false);
  const again = open("many");
  for (const { at, payerTag, kept } of all) expect(again.openings.find(at, payerTag, NOW)).toEqual(kept);
  again.close();
});

test("a destroyed opening is gone, whether it waited or was written, and what it was sealed in is not in the files", async () => {
  const { openings, database, close } = open("destroyed");
  const places = [10, 11, 12, 700].map(place);
  for (const at of places) openings.keep(at, MINE, salts(), NOW);
  const destroy = (i: number) => openings.destroy(places[i]!, MINE);
  expect(destroy(0)).toBe(true);
  openings.flush();
  const before = rows(database);
  expect(before.map((row) => row.first_index)).toEqual([11, 700]);
  expect([destroy(1), destroy(1), destroy(3)]).toEqual([true, false, true]);
  expect(places.map((at) => openings.find(at, MINE, NOW) !== undefined)).toEqual([false, false, true, false]);
  const files = await contentOf("destroyed");
  for (const { sealed } of before) expect(files.includes(sealed.subarray(28))).toBe(false);
  expect(rows(database).map(({ sealed }) => files.includes(sealed.subarray(28)))).toEqual([true]);
  close();
});

test("an opening is kept for thirty days, and then neither served nor stored", () => {
  const { openings, database, close } = open("expired");
  const [old, next] = [place(1), place(200)];
  openings.keep(old, MINE, salts(), NOW);
  openings.flush();
  expect(openings.find(old, MINE, NOW + THIRTY_DAYS)).toBeDefined();
  expect(openings.find(old, MINE, NOW + THIRTY_DAYS + 1)).toBe(undefined);
  openings.keep(next, MINE, salts(), NOW + THIRTY_DAYS + 1);
  openings.flush();
  expect(rows(database).map((row) => row.first_index)).toEqual([200]);
  close();
});

test("what expires goes, whatever was kept before it until later", () => {
  const { openings, database, close } = open("clocks");
  openings.keep(place(1), MINE, salts(), NOW + 10 * THIRTY_DAYS); // By a clock that was wrong.
  for (const [i, nowSeconds] of [NOW, NOW + 1, NOW + THIRTY_DAYS + 1].entries()) {
    openings.flush();
    openings.keep(place(100 * (i + 1)), MINE, salts(), nowSeconds);
  }
  openings.flush();
  expect(rows(database).map((row) => row.first_index)).toEqual([1, 200, 300]);
  close();
});

test("an opening that waited for the disk expires when those do that did not", () => {
  const { openings, database, close } = open("waited");
  const [early, late] = [place(1), place(2)];
  openings.keep(early, MINE, salts(), NOW);
  openings.keep(late, MINE, salts(), NOW + 86_400);
  for (const _ of ["waiting", "written"]) {
    const served = (nowSeconds: number) => [early, late].map((at) => openings.find(at, MINE, nowSeconds) !== undefined);
    expect(served(NOW + THIRTY_DAYS)).toEqual([true, true]);
    expect(served(NOW + THIRTY_DAYS + 1)).toEqual([false, true]);
    openings.flush();
  }
  expect(rows(database)).toHaveLength(2);
  close();
});

test("a row that does not unseal keeps nobody from the others", () => {
  const { openings, database, close } = open("damaged");
  const [lost, kept] = [place(64), place(70)];
  openings.keep(lost, OTHER, salts(), NOW);
  openings.flush();
  openings.keep(kept, MINE, salts(), NOW);
  openings.flush();
  database.prepare("UPDATE openings SET sealed = ? WHERE first_index = 64").run([Buffer.alloc(200)]);
  expect(openings.find(kept, MINE, NOW)).toBeDefined();
  expect(() => openings.find(lost, OTHER, NOW)).toThrow(/near entry 64 does not unseal/);
  expect(openings.destroy(kept, MINE)).toBe(true);
  close();
});

test("the database opens nothing without its sealing key, and a row that was moved or changed opens nothing", () => {
  const { openings, database, close } = open("sealed");
  const at = place(5);
  openings.keep(at, MINE, salts(), NOW);
  openings.flush();
  const [row] = rows(database);
  const write = database.prepare("INSERT OR REPLACE INTO openings VALUES (?, ?, ?)");
  write.run([6, row!.sealed, NOW + THIRTY_DAYS]);
  expect(() => openings.find({ ...at, index: 6 }, OTHER, NOW)).toThrow();
  const changed = Buffer.from(row!.sealed);
  changed.writeUInt8(changed.readUInt8(40) ^ 1, 40);
  write.run([5, changed, NOW + THIRTY_DAYS]);
  expect(() => openings.find(at, MINE, NOW)).toThrow();
  write.run([5, row!.sealed, NOW + THIRTY_DAYS]);
  expect(openings.find(at, MINE, NOW)).toBeDefined();
  close();
  const stranger = open("sealed", random(32));
  expect(() => stranger.openings.find(at, MINE, NOW)).toThrow();
  stranger.close();
});

/** Lets the database grow no further. */
function fill(database: Database.Database): void {
  const pages = (database.pragma("page_count") as { page_count: number }[])[0]?.page_count ?? 0;
  database.pragma(`max_page_count = ${pages}`);
}

test("where the disk is full, openings are served from memory and written later", () => {
  const { openings, database, reported, close } = open("full");
  fill(database);
  const all = Array.from({ length: 200 }, (_, i) => ({ at: place(i), kept: salts() }));
  for (const { at, kept } of all) openings.keep(at, MINE, kept, NOW);
  expect(() => openings.flush()).toThrow(/its operator must look at the disk/);
  for (const { at, kept } of all) expect(openings.find(at, MINE, NOW)).toEqual(kept);
  database.pragma("max_page_count = 100000");
  openings.flush();
  for (const { at, kept } of all) expect(openings.find(at, MINE, NOW)).toEqual(kept);
  expect(reported).toEqual([]);
  close();
});

test("openings that the disk refuses in the background stay, and the operator is told", async () => {
  const { openings, database, reported, close } = open("background");
  fill(database);
  const all = Array.from({ length: 200 }, (_, i) => ({ at: place(i), kept: salts() }));
  for (const { at, kept } of all) openings.keep(at, MINE, kept, NOW);
  await expect.poll(() => reported, { interval: 1, timeout: 30_000 }).toEqual(["openings are not written"]);
  expect(openings.find(all[0]!.at, MINE, NOW)).toEqual(all[0]?.kept);
  database.pragma("max_page_count = 100000");
  close();
  const again = open("background");
  for (const { at, kept } of all) expect(again.openings.find(at, MINE, NOW)).toEqual(kept);
  again.close();
});
