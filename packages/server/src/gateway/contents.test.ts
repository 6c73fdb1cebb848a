import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Hono } from "hono";
import { afterEach, beforeEach, expect, test } from "vitest";
import { closeDatabase, type Database, openDatabase } from "../platform/database.ts";
import { errorResponse } from "../platform/http.ts";
import { createSystemRandom } from "../platform/random.ts";
import { contentRoutes } from "./content-routes.ts";
import { type Contents, type ContentsParts, createContents } from "./contents.ts";
import { createContentsStore } from "./contents-store.ts";

const random = createSystemRandom();
const sealingKey = random(32);
const ID = `chatcmpl-${"ab".repeat(32)}`;
const CONTENT = { request: { messages: ["a secret question"] }, response: { choices: ["a secret answer"] } };

let folder: string;
let path: string;
let database: Database.Database;
let reported: string[];
let nowMs: number;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "contents-"));
  path = join(folder, "gateway.sqlite");
  database = openDatabase(path);
  reported = [];
  nowMs = Date.UTC(2026, 10, 22);
});
afterEach(async () => {
  closeDatabase(database);
  await rm(folder, { recursive: true });
});

function open(changes: Partial<ContentsParts> = {}): Contents {
  const store = createContentsStore(database);
  const clock = { nowMs: () => nowMs };
  const report = (event: string) => void reported.push(event);
  return createContents({ store, sealingKey, clock, random, report, keptDays: 30, ...changes });
}

/** All bytes that lie in the folder, the journal's among them. */
async function bytesOnDisk(): Promise<Buffer> {
  const files = [path, `${path}-wal`].map((file) => readFile(file).catch(() => Buffer.alloc(0)));
  return Buffer.concat(await Promise.all(files));
}

test("a content is found by the account that kept it and by no other, also after a start", () => {
  open().keep("payer", ID, CONTENT);
  const contents = open();
  expect(contents.find("payer", ID)).toEqual(CONTENT);
  expect(contents.find("other", ID)).toBeUndefined();
  expect(contents.destroy("other", ID)).toBe(false);
  expect(contents.find("payer", ID.replace("chatcmpl-", "resp_"))).toBeUndefined();
});

test("the disk has no word of it, and another sealing key opens nothing", async () => {
  open().keep("payer", ID, CONTENT);
  expect((await bytesOnDisk()).includes("secret")).toBe(false);
  expect(() => open({ sealingKey: random(32) }).find("payer", ID)).toThrow();
});

test("a row that was given another account's name does not unseal", () => {
  const contents = open();
  contents.keep("payer", ID, CONTENT);
  database.exec("UPDATE contents SET payer_tag = 'thief'");
  expect(() => contents.find("thief", ID)).toThrow();
});

test("of what is destroyed neither the salt nor the sealed bytes are left on the disk", async () => {
  const store = createContentsStore(database);
  const contents = open();
  contents.keep("payer", ID, CONTENT);
  const { salt, sealed } = store.find(ID, "payer")!;
  expect((await bytesOnDisk()).includes(Buffer.from(salt))).toBe(true);
  expect(contents.destroy("payer", ID)).toBe(true);
  const left = await bytesOnDisk();
  expect([left.includes(Buffer.from(salt)), left.includes(Buffer.from(sealed))]).toEqual([false, false]);
  expect(contents.find("payer", ID)).toBeUndefined();
  expect(contents.destroy("payer", ID)).toBe(false);
});

test("after its days a content is not found, and the next that is kept overwrites it", async () => {
  const contents = open({ keptDays: 2 });
  contents.keep("payer", ID, CONTENT);
  nowMs += 2 * 86_400_000;
  expect(contents.find("payer", ID)).toEqual(CONTENT);
  nowMs += 1_000;
  expect(contents.find("payer", ID)).toBeUndefined();
  contents.keep("payer", `resp_${"cd".repeat(32)}`, CONTENT);
  expect(createContentsStore(database).find(ID, "payer")).toBeUndefined();
});

test("an account over its bytes loses its oldest, and nobody else's", () => {
  const contents = open({ accountBytes: 1_000 });
  const id = (i: number) => `chatcmpl-${i}`;
  const content = { request: "x".repeat(300), response: "" };
  contents.keep("other", "chatcmpl-other", content);
  for (let i = 0; i < 4; i++) contents.keep("payer", id(i), content);
  expect([0, 1, 2, 3].filter((i) => contents.find("payer", id(i)) !== undefined)).toEqual([2, 3]);
  expect(contents.find("other", "chatcmpl-other")).toEqual(content);
  contents.keep("payer", "chatcmpl-large", { request: "x".repeat(2_000), response: "" });
  expect(reported).toEqual(["a content is not kept"]);
});

test("where there is no room, or nothing is kept at all, a call that asks for it is refused before it runs", () => {
  const contents = open({ allBytes: 100 });
  contents.checkRoom();
  contents.keep("payer", ID, CONTENT);
  expect(() => contents.checkRoom()).toThrow(/no room to keep content/);
  contents.destroy("payer", ID);
  contents.checkRoom();
  const none = open({ keptDays: 0 });
  expect(() => none.checkRoom()).toThrow(/keeps no content: leave store out/);
  none.keep("payer", ID, CONTENT);
  expect(none.find("payer", ID)).toBeUndefined();
});

test("it is read and erased where OpenAI's clients look, and the salts of its receipt go with it", async () => {
  const contents = open();
  const erased: string[] = [];
  const app = contentRoutes({
    contents,
    callerOf: (c) => ({ payerTag: c.req.header("authorization") ?? "" }),
    destroyOpening: (id, payerTag) => void erased.push(`${id} ${payerTag}`),
  });
  const root = new Hono().route("/", app).onError((error, c) => errorResponse(c, error, () => {}));
  const ask = async (method: string, id: string, authorization = "payer") => {
    const answer = await root.request(`/v1/chat/completions/${id}`, { method, headers: { authorization } });
    return [answer.status, await answer.json()];
  };
  contents.keep("payer", ID, CONTENT);
  expect(await ask("GET", ID)).toEqual([200, CONTENT.response]);
  expect(await ask("GET", ID, "other")).toMatchObject([404, {}]);
  expect(await ask("GET", "chatcmpl-x")).toMatchObject([400, {}]);
  expect(await ask("DELETE", ID, "other")).toMatchObject([404, {}]);
  expect(erased).toEqual([]);
  expect(await ask("DELETE", ID)).toEqual([200, { id: ID, object: "chat.completion.deleted", deleted: true }]);
  expect(erased).toEqual([`${"ab".repeat(32)} payer`]);
  expect(await ask("GET", ID)).toMatchObject([404, {}]);
});
