import { join } from "node:path";
import { encodeNoteKey, hex, rulesDigest, WASH_RULES } from "@tallystick/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Ran, runTally } from "../e2e/processes.ts";
import { documentedFields } from "../e2e/reference.ts";
import { temporaryFolder } from "../folder.ts";
import { NOON_SECONDS } from "../one-receipt.ts";
import { DAY, UsageLog } from "../usage-log.ts";
import { filesOf, flip, tampered, writeLogFiles } from "./log-files.ts";

let place: Awaited<ReturnType<typeof temporaryFolder>>;
let vkey: string;
const here = (...names: string[]) => join(place.path, ...names);
const tally = (...args: string[]): Promise<Ran> => runTally(args, place.path);

beforeAll(async () => {
  place = await temporaryFolder();
  const usage = await UsageLog.open();
  for (let i = 0; i < 3; i++) await usage.call();
  await usage.epoch(NOON_SECONDS);
  await usage.epoch(NOON_SECONDS + 2 * DAY);
  const files = filesOf(usage.log, NOON_SECONDS + 2 * DAY);
  await writeLogFiles(here("log"), files);
  await writeLogFiles(
    here("forged"),
    tampered(files, [...files.keys()].find((path) => path.startsWith("tile/entries")) ?? "", flip(-1)),
  );
  vkey = encodeNoteKey(usage.log.key);
});
afterAll(() => place[Symbol.asyncDispose]());

test("from a bare copy of a log's tiles anybody makes the segments, once, and asks of them", async () => {
  const made = await tally("rows", here("log"), "--out", here("segments"), "--vkey", vkey, "--json");
  expect(JSON.parse(made.stdout)).toMatchObject({ built: ["2026-11-22"], kept: [] });
  expect(Object.keys(JSON.parse(made.stdout))).toEqual(await documentedFields("rows"));
  const again = await tally("rows", here("log"), "--out", here("segments"), "--vkey", vkey);
  expect(again).toMatchObject({ status: 0, stdout: expect.stringContaining("1 closed days in") });
  expect(again.stdout).toContain("0 written");
  const ask = (sql: string, ...options: string[]) => tally("query", "--segments", here("segments"), ...options, sql);
  const sql = "SELECT model, valid, 'a,\"b' AS odd, NULL AS none FROM models";
  expect((await ask(sql)).stdout).toBe('model           valid  odd   none\nexample/double      3  a,"b\n');
  expect((await ask(sql, "--format", "csv")).stdout).toBe('model,valid,odd,none\r\nexample/double,3,"a,""b",\r\n');
  expect((await ask(sql, "--format", "ndjson")).stdout).toBe(
    '{"model":"example/double","valid":3,"odd":"a,\\"b","none":null}\n',
  );
  const { columns, rows, ...rest } = JSON.parse((await ask(sql, "--json")).stdout);
  expect([columns[0], rows, rest]).toEqual([
    { name: "model", type: "VARCHAR" },
    [["example/double", 3, 'a,"b', null]],
    { truncated: false, rules: WASH_RULES.version, rules_digest: hex(rulesDigest(WASH_RULES)) },
  ]);
  const fields = ["columns", "rows", "truncated", "rules", "rules_digest"];
  expect(fields).toEqual(await documentedFields("query"));
});

test("what is refused says why: another statement, another format, a forged log", async () => {
  const drop = await tally("query", "--segments", here("segments"), "DROP VIEW receipts");
  expect(drop).toMatchObject({ status: 1, stderr: expect.stringContaining("a query is one select over receipts") });
  expect((await tally("query", "--segments", here("segments"), "--format", "xml", "SELECT 1")).status).toBe(2);
  const unknown = await tally("query", "--segments", here("segments"), "--rules", "mine", "SELECT 1");
  expect(unknown).toMatchObject({ status: 2, stderr: expect.stringContaining(WASH_RULES.version) });
  const forged = await tally("rows", here("forged"), "--out", here("of forged"), "--vkey", vkey);
  expect(forged).toMatchObject({ status: 3, stderr: expect.stringContaining("does not hash to its tile") });
});
