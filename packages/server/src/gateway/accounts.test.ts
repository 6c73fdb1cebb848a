import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { closeDatabase, type Database, openDatabase } from "../platform/database.ts";
import { createSystemRandom } from "../platform/random.ts";
import { createAccounts } from "./accounts.ts";
import { KeyTerms } from "./api-keys.ts";

const NOW = 1_790_000_000;
const random = createSystemRandom();

const TAG = "00".repeat(16);
const terms = (given: Record<string, unknown>) => KeyTerms.parse(given);

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "accounts-"));
});
afterAll(() => rm(folder, { recursive: true }));

test("an account is found by its API key alone, also after a restart, and the key is not in the files", async () => {
  const path = join(folder, "keys");
  const database = openDatabase(path);
  const accounts = createAccounts(database, random);
  const { account, apiKey } = accounts.create("lender", NOW);
  expect(accounts.find(apiKey, NOW)).toMatchObject(account);
  expect(accounts.find(`${apiKey}x`, NOW)).toBe(undefined);
  closeDatabase(database);
  expect(await readdir(folder)).toEqual(["keys"]);
  const file = await readFile(path, "latin1");
  expect(file).toContain(account.payerTag);
  expect(file).not.toContain(apiKey);
  const again = openDatabase(path);
  expect(createAccounts(again, random).find(apiKey, NOW)).toMatchObject(account);
  closeDatabase(again);
});

/** A database with a key as it was kept before keys had terms. */
function before(name: string, apiKey: string): Database.Database {
  const database = openDatabase(join(folder, name));
  database.exec(`
    CREATE TABLE accounts (payer_tag TEXT PRIMARY KEY, name TEXT NOT NULL, created_seconds INTEGER NOT NULL) STRICT;
    CREATE TABLE api_keys (key_hash TEXT PRIMARY KEY, payer_tag TEXT NOT NULL REFERENCES accounts) STRICT;
  `);
  database.prepare("INSERT INTO accounts VALUES (?, 'old', 7)").run([TAG]);
  const hash = createHash("sha256").update(apiKey).digest("hex");
  database.prepare("INSERT INTO api_keys VALUES (?, ?)").run([hash, TAG]);
  return database;
}

test("a key of before keys had terms goes on, may do all but manage keys, and can be revoked", () => {
  const database = before("before", "tally-old");
  const accounts = createAccounts(database, random);
  const caller = accounts.find("tally-old", NOW);
  expect(caller).toMatchObject({ payerTag: TAG, name: "old", key: { createdSeconds: 7 } });
  expect(caller?.key.terms.scopes).toEqual(["infer", "read", "sessions"]);
  expect(database.prepare("SELECT 1 FROM sqlite_master WHERE name = 'api_keys'").get([])).toBe(undefined);
  const again = createAccounts(database, random);
  expect(again.keys(TAG)).toHaveLength(1);
  again.revoke(TAG, caller?.key.id ?? "", NOW);
  expect(again.find("tally-old", NOW)).toBe(undefined);
  closeDatabase(database);
});

test("keys of one account end one by one: at once when revoked, by the clock when they expire", () => {
  const database = openDatabase(join(folder, "several"));
  const accounts = createAccounts(database, random);
  const { account, apiKey: first } = accounts.create("lender", NOW);
  const second = accounts.addKey(account.payerTag, terms({ name: "ci", expiry: NOW + 60 }), NOW);
  const third = accounts.addKey(account.payerTag, terms({ name: "app", scopes: ["infer"], models: ["a/b"] }), NOW);
  const found = () => [first, second.apiKey, third.apiKey].map((key) => accounts.find(key, NOW)?.payerTag);
  expect(found()).toEqual([account.payerTag, account.payerTag, account.payerTag]);
  expect(accounts.find(second.apiKey, NOW + 60)).toBe(undefined);
  expect(accounts.revoke(account.payerTag, third.key.id, NOW + 1)).toMatchObject({ revokedSeconds: NOW + 1 });
  expect(found()).toEqual([account.payerTag, account.payerTag, undefined]);
  expect(createAccounts(database, random).find(third.apiKey, NOW)).toBe(undefined);
  const other = accounts.create("other", NOW).account.payerTag;
  expect(() => accounts.revoke(other, second.key.id, NOW)).toThrow(/no API key/);
  expect(found()[1]).toBe(account.payerTag);
  expect(
    accounts
      .keys(account.payerTag)
      .map(({ terms: { name } }) => name)
      .sort(),
  ).toEqual(["app", "ci", "first"]);
  closeDatabase(database);
});

test("a key's last day of use is kept, the day alone", () => {
  const database = openDatabase(join(folder, "used"));
  const accounts = createAccounts(database, random);
  const { account, apiKey } = accounts.create("lender", NOW);
  const lastUsed = () => accounts.keys(account.payerTag)[0]?.lastUsedDay;
  expect(lastUsed()).toBe(undefined);
  accounts.find(apiKey, NOW);
  accounts.find(apiKey, NOW + 100);
  expect(lastUsed()).toBe(Math.floor(NOW / 86_400));
  accounts.find(apiKey, NOW + 86_400);
  expect(lastUsed()).toBe(Math.floor(NOW / 86_400) + 1);
  closeDatabase(database);
});

test("a session calls with the key that it was granted to, also after a restart, and ends with that key", () => {
  const database = openDatabase(join(folder, "sessions"));
  const accounts = createAccounts(database, random);
  const { account } = accounts.create("lender", NOW);
  const { key } = accounts.addKey(account.payerTag, terms({ name: "ci" }), NOW);
  const session = random(32);
  accounts.keepSession(session, key.id, NOW + 60, NOW);
  for (const opened of [accounts, createAccounts(database, random)])
    expect(opened.findBySession(session, account.payerTag, NOW)?.key.id).toBe(key.id);
  accounts.revoke(account.payerTag, key.id, NOW);
  for (const opened of [accounts, createAccounts(database, random)])
    expect(opened.findBySession(session, account.payerTag, NOW)).toBe(undefined);
  // A session of before keys were remembered is its account's, and ends with the last key of it.
  const [own] = accounts.keys(account.payerTag).filter(({ revokedSeconds }) => revokedSeconds === undefined);
  expect(accounts.findBySession(random(32), account.payerTag, NOW)?.key.id).toBe(own?.id);
  accounts.revoke(account.payerTag, own?.id ?? "", NOW);
  expect(accounts.findBySession(random(32), account.payerTag, NOW)).toBe(undefined);
  closeDatabase(database);
});

test("an account has a thousand keys at most, and room again once revoked ones are a month old", () => {
  const database = openDatabase(join(folder, "many"));
  const accounts = createAccounts(database, random);
  const { payerTag } = accounts.create("lender", NOW).account;
  const add = (nowSeconds: number) => accounts.addKey(payerTag, terms({ name: "one" }), nowSeconds).key;
  const added = Array.from({ length: 999 }, () => add(NOW));
  expect(() => add(NOW)).toThrow(/has 1000 keys, the most there may be/);
  accounts.revoke(payerTag, added[0]?.id ?? "", NOW);
  expect(() => add(NOW + 31 * 86_400)).toThrow(/1000 keys/);
  expect(add(NOW + 31 * 86_400 + 1).terms.name).toBe("one");
  closeDatabase(database);
});

test("where the disk is full, an account is refused whole", () => {
  const database = openDatabase(join(folder, "full"));
  const accounts = createAccounts(database, random);
  const pages = (database.pragma("page_count") as { page_count: number }[])[0]?.page_count ?? 0;
  database.pragma(`max_page_count = ${pages}`);
  const create = () => Array.from({ length: 100 }, (_, i) => accounts.create(`account ${i}`, NOW));
  expect(create).toThrow(expect.objectContaining({ code: "unavailable" }));
  database.pragma("max_page_count = 100000");
  const counts = database
    .prepare("SELECT (SELECT count(*) FROM accounts) - (SELECT count(*) FROM keys) AS halves")
    .get([]);
  expect(counts).toMatchObject({ halves: 0 });
  const { account, apiKey } = accounts.create("after", NOW);
  expect(accounts.find(apiKey, NOW)).toMatchObject(account);
  closeDatabase(database);
});
