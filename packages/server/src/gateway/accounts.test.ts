import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { closeDatabase, openDatabase } from "../platform/database.ts";
import { createSystemRandom } from "../platform/random.ts";
import { createAccounts } from "./accounts.ts";

const NOW = 1_790_000_000;
const random = createSystemRandom();

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
  expect(accounts.find(apiKey)).toEqual(account);
  expect(accounts.find(`${apiKey}x`)).toBe(undefined);
  closeDatabase(database);
  expect(await readdir(folder)).toEqual(["keys"]);
  const file = await readFile(path, "latin1");
  expect(file).toContain(account.payerTag);
  expect(file).not.toContain(apiKey);
  const again = openDatabase(path);
  expect(createAccounts(again, random).find(apiKey)).toEqual(account);
  closeDatabase(again);
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
    .prepare("SELECT (SELECT count(*) FROM accounts) - (SELECT count(*) FROM api_keys) AS halves")
    .get([]);
  expect(counts).toMatchObject({ halves: 0 });
  const { account, apiKey } = accounts.create("after", NOW);
  expect(accounts.find(apiKey)).toEqual(account);
  closeDatabase(database);
});
