import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hex } from "@tallystick/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { closeDatabase, type Database, openDatabase } from "../platform/database.ts";
import { createSystemRandom } from "../platform/random.ts";
import { type Accounts, createAccounts } from "./accounts.ts";

const NOW = 1_790_000_000;
const THIRTY_DAYS = 30 * 86_400;
const random = createSystemRandom();
const sealingKey = random(32);

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "accounts-"));
});
afterAll(() => rm(folder, { recursive: true }));

type Opened = { accounts: Accounts; database: Database.Database; reported: string[]; close(): void };

function open(name: string, key = sealingKey): Opened {
  const database = openDatabase(join(folder, name));
  const reported: string[] = [];
  const report = (event: string) => void reported.push(event);
  const accounts = createAccounts({ database, sealingKey: key, random, report });
  return {
    accounts,
    database,
    reported,
    close() {
      accounts.flush();
      closeDatabase(database);
    },
  };
}

const salts = () => ({ request: random(32), response: random(32) });

async function contentOf(name: string): Promise<string> {
  const names = (await readdir(folder)).filter((file) => file.startsWith(name));
  return (await Promise.all(names.map((file) => readFile(join(folder, file), "latin1")))).join();
}

test("an account is found by its API key alone, also after a restart, and neither key nor salts are in the files", async () => {
  const first = open("keys");
  const { account, apiKey } = first.accounts.create("lender", NOW);
  const kept = salts();
  first.accounts.keepOpening("r1", account.payerTag, kept, NOW);
  expect(first.accounts.find(apiKey)).toEqual(account);
  expect(first.accounts.find(`${apiKey}x`)).toBe(undefined);
  first.close();
  const files = await contentOf("keys");
  expect(files).toContain(account.payerTag);
  expect(files).not.toContain(apiKey);
  for (const salt of [kept.request, kept.response]) expect(files).not.toContain(Buffer.from(salt).toString("latin1"));
  const again = open("keys");
  expect(again.accounts.find(apiKey)).toEqual(account);
  expect(again.accounts.findOpening("r1", account.payerTag, NOW)).toEqual(kept);
  again.close();
});

test("an opening is there for its account from the moment it is kept, and for nobody else", () => {
  const { accounts, close } = open("openings");
  const [mine, other] = [accounts.create("mine", NOW).account.payerTag, accounts.create("other", NOW).account.payerTag];
  const kept = { request: random(32) };
  accounts.keepOpening("r1", mine, kept, NOW);
  for (const _ of ["waiting", "written"]) {
    expect(accounts.findOpening("r1", mine, NOW)).toEqual(kept);
    expect(accounts.findOpening("r1", other, NOW)).toBe(undefined);
    accounts.flush();
  }
  expect(accounts.destroyOpening("r1", other)).toBe(false);
  expect(accounts.findOpening("r1", mine, NOW)).toEqual(kept);
  close();
});

test("a destroyed opening is gone, whether it waited or was written, and nothing of its row is left in the files", async () => {
  const { accounts, close } = open("destroyed");
  const { payerTag } = accounts.create("mine", NOW).account;
  const ids = ["a", "b", "c"].map((letter) => letter.repeat(64));
  for (const id of ids) accounts.keepOpening(id, payerTag, salts(), NOW);
  expect(accounts.destroyOpening(ids[0] ?? "", payerTag)).toBe(true);
  accounts.flush();
  expect(accounts.destroyOpening(ids[1] ?? "", payerTag)).toBe(true);
  expect(accounts.destroyOpening(ids[1] ?? "", payerTag)).toBe(false);
  expect(ids.map((id) => accounts.findOpening(id, payerTag, NOW) !== undefined)).toEqual([false, false, true]);
  const files = await contentOf("destroyed");
  expect(ids.map((id) => files.includes(id))).toEqual([false, false, true]);
  close();
});

test("an opening is kept for thirty days, and then neither served nor stored", async () => {
  const { accounts, close } = open("expired");
  const { payerTag } = accounts.create("mine", NOW).account;
  accounts.keepOpening("d".repeat(64), payerTag, salts(), NOW);
  accounts.flush();
  expect(accounts.findOpening("d".repeat(64), payerTag, NOW + THIRTY_DAYS)).toBeDefined();
  expect(accounts.findOpening("d".repeat(64), payerTag, NOW + THIRTY_DAYS + 1)).toBe(undefined);
  accounts.keepOpening("e".repeat(64), payerTag, salts(), NOW + THIRTY_DAYS + 1);
  close();
  const files = await contentOf("expired");
  expect([files.includes("d".repeat(64)), files.includes("e".repeat(64))]).toEqual([false, true]);
});

test("the database opens nothing without its sealing key, and a sealed row opens for no other receipt", () => {
  const { accounts, database, close } = open("sealed");
  const { payerTag } = accounts.create("mine", NOW).account;
  accounts.keepOpening("r1", payerTag, salts(), NOW);
  accounts.flush();
  database.exec("INSERT INTO openings SELECT 'r2', payer_tag, sealed, expires_seconds FROM openings");
  expect(() => accounts.findOpening("r2", payerTag, NOW)).toThrow();
  close();
  const stranger = open("sealed", random(32));
  expect(() => stranger.accounts.findOpening("r1", payerTag, NOW)).toThrow();
  stranger.close();
});

test("where the disk is full, openings are served from memory and written later, and accounts are refused whole", () => {
  const { accounts, database, reported, close } = open("full");
  const { payerTag } = accounts.create("mine", NOW).account;
  accounts.flush();
  const pages = (database.pragma("page_count") as { page_count: number }[])[0]?.page_count ?? 0;
  database.pragma(`max_page_count = ${pages}`);
  const all = Array.from({ length: 200 }, (_, i) => ({ id: hex(random(32)), kept: salts(), i }));
  for (const { id, kept } of all) accounts.keepOpening(id, payerTag, kept, NOW);
  expect(() => accounts.flush()).toThrow(/its operator must look at the disk/);
  for (const { id, kept } of all) expect(accounts.findOpening(id, payerTag, NOW)).toEqual(kept);
  const create = () => Array.from({ length: 100 }, (_, i) => accounts.create(`account ${i}`, NOW));
  expect(create).toThrow(expect.objectContaining({ code: "unavailable" }));
  database.pragma("max_page_count = 100000");
  accounts.flush();
  expect(accounts.create("after", NOW).account.name).toBe("after");
  for (const { id, kept } of all) expect(accounts.findOpening(id, payerTag, NOW)).toEqual(kept);
  expect(reported).toEqual([]);
  close();
});

test("openings that the disk refuses in the background stay, and the operator is told", async () => {
  const { accounts, database, reported, close } = open("background");
  const { payerTag } = accounts.create("mine", NOW).account;
  const pages = (database.pragma("page_count") as { page_count: number }[])[0]?.page_count ?? 0;
  database.pragma(`max_page_count = ${pages}`);
  const kept = salts();
  for (let i = 0; i < 200; i++) accounts.keepOpening(i === 0 ? "r0" : hex(random(32)), payerTag, kept, NOW);
  await expect.poll(() => reported, { interval: 1 }).toEqual(["openings are not written"]);
  expect(accounts.findOpening("r0", payerTag, NOW)).toEqual(kept);
  database.pragma("max_page_count = 100000");
  close();
  const again = open("background");
  expect(again.accounts.findOpening("r0", payerTag, NOW)).toEqual(kept);
  again.close();
});
