/** API keys over HTTP: what each scope opens, what ends with a key, and that a request with an Idempotency-Key is run once. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { createClient } from "@tallystick/client";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createTestClock, creditInput, startNetwork, type TestClock, type TestNetwork, tensorOf } from "../network.ts";
import { CREDIT, changeModel, PRICED } from "./refusals.ts";

let network: TestNetwork;
let clock: TestClock;
let admin: string;
let account: string;

beforeAll(async () => {
  clock = createTestClock();
  network = await startNetwork({ clock });
  await network.restart(() => changeModel(network.models, "breast-cancer", { version: "2.0.0", price: "5" }));
  admin = (await readFile(join(network.data, "keys", "admin-token"), "utf8")).trim();
  const { accounts } = await json<{ accounts: { payerTag: string }[] }>(await ask("GET", "/v1/accounts", admin));
  account = accounts[0]?.payerTag ?? "";
});
afterAll(() => network[Symbol.asyncDispose]());

const json = async <T>(answer: Response) => (await answer.json()) as T;
type Made = { id: string; apiKey: string; scopes: string[] };
type Refused = { error: { code: string; param: string | null } };

function ask(method: string, path: string, bearer: string, body?: unknown, headers: Record<string, string> = {}) {
  const init = { method, headers: { authorization: `Bearer ${bearer}`, ...headers } };
  return network.fetch(path, body === undefined ? init : { ...init, body: JSON.stringify(body) });
}

/** A new key of the first account, made by the operator. */
async function make(terms: Record<string, unknown> = {}): Promise<Made> {
  const answer = await ask("POST", `/v1/keys?account=${account}`, admin, { name: "one", ...terms });
  expect(answer.status).toBe(201);
  return json(answer);
}

const infer = (bearer: string, headers: Record<string, string> = {}, amount = 3500, model = CREDIT) =>
  ask("POST", `/v2/models/${model}/infer`, bearer, { inputs: [creditInput(amount)] }, headers);

const receiptCount = async () => {
  await network.idle();
  return (await json<{ totals: { gross: number } }>(await network.fetch("/v1/usage"))).totals.gross;
};

test("each scope opens its own routes and no other", async () => {
  const { receiptId = "" } = await network.infer(CREDIT, [creditInput()]);
  const routes: Record<string, (key: string) => Promise<Response>> = {
    infer: (key) => infer(key),
    read: (key) => ask("GET", `/v1/receipts/${receiptId}/opening`, key),
    sessions: (key) => ask("POST", "/v1/sessions", key, {}),
    keys: (key) => ask("GET", "/v1/keys", key),
  };
  for (const scope of Object.keys(routes)) {
    const { apiKey } = await make({ scopes: [scope] });
    const statuses = await Promise.all(
      Object.entries(routes).map(async ([name, route]) => [name, (await route(apiKey)).status === 403]),
    );
    expect(Object.fromEntries(statuses)).toEqual(
      Object.fromEntries(Object.keys(routes).map((name) => [name, name !== scope])),
    );
  }
});

test("a revoked key is refused at once, and so is a session that it was granted; other keys and their sessions go on", async () => {
  const [ending, lasting] = [await make(), await make()];
  const clients = [ending, lasting].map(({ apiKey }) =>
    createClient({ url: network.url, apiKey, edges: { nowMs: clock.nowMs } }),
  );
  const call = async (i: number) => {
    const model = await clients[i]!.model(CREDIT);
    return clients[i]!.infer(model, [tensorOf(creditInput())]);
  };
  for (const i of [0, 1]) expect((await call(i)).receiptId).toMatch(/^[0-9a-f]{64}$/);
  expect((await infer(ending.apiKey)).status).toBe(200);
  const revoked = await ask("DELETE", `/v1/keys/${ending.id}?account=${account}`, admin);
  expect(await json(revoked)).toMatchObject({ id: ending.id, revoked: clock.nowMs() / 1000 });
  expect((await infer(ending.apiKey)).status).toBe(401);
  await expect(call(0)).rejects.toMatchObject({ code: "forbidden", message: expect.stringMatching(/revoked/) });
  expect((await call(1)).receiptId).toMatch(/^[0-9a-f]{64}$/);
  expect((await infer(lasting.apiKey)).status).toBe(200);
  await network.restart();
  expect((await infer(ending.apiKey)).status).toBe(401);
  expect((await infer(lasting.apiKey)).status).toBe(200);
});

test("a key is held to its models, its price and its rate, and says what is left of it", async () => {
  const bounded = await make({ models: [PRICED], maxPriceAtomic: "4" });
  expect(await json(await infer(bounded.apiKey))).toMatchObject({ code: "forbidden" });
  const priced = await ask("POST", `/v2/models/${PRICED}/infer`, bounded.apiKey, {
    inputs: [{ name: "features", datatype: "FP32", shape: [1, 30], data: Array(30).fill(1) }],
    parameters: { max_price: 9 },
  });
  expect(await json(priced)).toMatchObject({ code: "price_over_maximum" });

  const { apiKey } = await make({ requestsPerMinute: 1 });
  const served = await infer(apiKey);
  expect([served.status, served.headers.get("x-ratelimit-remaining-requests")]).toEqual([200, "0"]);
  const refused = await infer(apiKey);
  expect([refused.status, refused.headers.get("retry-after"), refused.headers.get("retry-after-ms")]).toEqual([
    429,
    "60",
    "60000",
  ]);
  expect(refused.headers.get("ratelimit")).toMatch(/^"requests";r=0;t=60, /);
  clock.advance(60_000);
  expect((await infer(apiKey)).status).toBe(200);
});

test("a key with the scope keys manages its own account's and grants no such scope; the operator names the account", async () => {
  const manager = await make({ scopes: ["keys"] });
  const made = await ask("POST", "/v1/keys", manager.apiKey, { name: "app", expiry: clock.nowMs() / 1000 + 60 });
  const { id, apiKey, scopes } = await json<Made>(made);
  expect(scopes).toEqual(["infer", "read", "sessions"]);
  expect((await infer(apiKey)).status).toBe(200);
  const listed = await (await ask("GET", "/v1/keys", manager.apiKey)).text();
  expect(listed).toContain(id);
  expect(listed).not.toContain(apiKey);
  expect(await json(await ask("GET", `/v1/keys/${id}`, manager.apiKey))).toMatchObject({
    name: "app",
    lastUsed: new Date(clock.nowMs()).toISOString().slice(0, 10),
    revoked: null,
  });
  const { payerTag: other } = await json<{ payerTag: string }>(
    await ask("POST", "/v1/accounts", admin, { name: "other" }),
  );
  const refusals: [Promise<Response>, number, string | null][] = [
    [ask("POST", "/v1/keys", manager.apiKey, { name: "more", scopes: ["keys"] }), 403, "scopes"],
    [ask("GET", `/v1/keys?account=${other}`, manager.apiKey), 403, "account"],
    [ask("GET", "/v1/keys", admin), 400, "account"],
    [ask("GET", "/v1/keys?account=00", admin), 404, null],
    [ask("GET", "/v1/accounts", manager.apiKey), 403, null],
    [ask("DELETE", `/v1/keys/${id}?account=${other}`, admin), 404, null],
    [ask("POST", "/v1/keys", manager.apiKey, { name: "x", budget: "1" }), 400, "budget"],
    [ask("POST", "/v1/keys", manager.apiKey, { name: "x", budgetAtomic: "-1" }), 400, "budgetAtomic"],
    [ask("POST", "/v1/keys", manager.apiKey, { name: "x", expiry: 1 }), 400, "expiry"],
    [ask("POST", "/v1/keys", manager.apiKey, { name: "x", scopes: ["all"] }), 400, "scopes.0"],
  ];
  for (const [answer, status, param] of refusals) {
    expect([(await answer).status, (await json<Refused>(await answer)).error.param]).toEqual([status, param]);
  }
  clock.advance(60_000);
  expect((await infer(apiKey)).status).toBe(401);
});

test("with an Idempotency-Key a call is run once and answered as often as it is sent, and after a restart named by its receipt", async () => {
  const { apiKey } = await make({ requestsPerMinute: 3 });
  const before = await receiptCount();
  const once = { "idempotency-key": "order-7" };
  const [first, second] = await Promise.all([infer(apiKey, once), infer(apiKey, once)]);
  expect([first!.status, second!.status]).toEqual([200, 200]);
  expect(await first!.json()).toEqual(await second!.json());
  const receiptId = first!.headers.get("x-receipt-id");
  expect(second!.headers.get("x-receipt-id")).toBe(receiptId);
  expect((await infer(apiKey, once, 4000)).status).toBe(422);
  for (let i = 0; i < 5; i++) expect((await infer(apiKey, once)).headers.get("idempotent-replayed")).toBe("true");
  expect(await receiptCount()).toBe(before + 1);
  await network.restart();
  const late = await infer(apiKey, once);
  expect([late.status, late.headers.get("x-receipt-id"), late.headers.get("x-should-retry")]).toEqual([
    409,
    receiptId,
    "false",
  ]);
  expect(await json(late)).toMatchObject({ code: "idempotency_conflict", receipt_id: receiptId });
  expect(await receiptCount()).toBe(before + 1);
  // Without the header each is a call of its own.
  for (let i = 0; i < 2; i++) expect((await infer(apiKey)).status).toBe(200);
  expect(await receiptCount()).toBe(before + 3);
});

test("a client that loses its connections and sends again with the same key gets every answer and no receipt twice", async () => {
  const { apiKey } = await make();
  const before = await receiptCount();
  const turns = async (count: number) => {
    for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
  };
  async function lose(key: string, after: number): Promise<void> {
    const controller = new AbortController();
    const headers = { authorization: `Bearer ${apiKey}`, "idempotency-key": key };
    const body = JSON.stringify({ inputs: [creditInput()] });
    const { signal } = controller;
    const asked = network.fetch(`/v2/models/${CREDIT}/infer`, { method: "POST", headers, body, signal });
    const outcome = asked.then((answer) => answer.text()).catch(() => undefined);
    await turns(after);
    controller.abort();
    await outcome;
  }
  const keys = Array.from({ length: 24 }, (_, i) => `flaky-${i}`);
  for (const [i, key] of keys.entries()) {
    await lose(key, i);
    await Promise.all([lose(key, (i * 7) % 24), lose(key, (i * 11) % 24)]);
    expect((await infer(apiKey, { "idempotency-key": key })).status).toBe(200);
  }
  expect(await receiptCount()).toBe(before + keys.length);
  await network.restart();
  for (const key of keys) expect((await infer(apiKey, { "idempotency-key": key })).status).toBe(409);
  expect(await receiptCount()).toBe(before + keys.length);
});

test("an app that a call names in x-tally-app is what its use is counted by in public, and a key of an app has no other", async () => {
  const [{ apiKey }, own] = [await make(), await make({ app: "example/own" })];
  const named = (app: string) => ({ "x-tally-app": app });
  for (const headers of [{}, named("example/shop"), named("example/shop"), named("example/desk")])
    expect((await infer(apiKey, headers)).status).toBe(200);
  for (const headers of [{}, named("example/own")]) expect((await infer(own.apiKey, headers)).status).toBe(200);
  const refusals: [key: string, app: string, status: number][] = [
    [own.apiKey, "example/shop", 403],
    [apiKey, "An App", 400],
    [apiKey, "x".repeat(65), 400],
  ];
  for (const [key, app, status] of refusals) {
    const answer = await infer(key, named(app));
    expect(answer.status, app).toBe(status);
    expect(await json<Refused>(answer)).toMatchObject({ code: expect.any(String) });
  }
  await network.idle();
  await network.closeEpoch();
  clock.advance(60_000); // Days that are open are judged again every few seconds.
  const { rows } = await json<{ rows: { key: string; gross: number }[] }>(
    await network.fetch("/v1/usage/inferences?by=app"),
  );
  const counts = new Map(rows.map(({ key, gross }) => [key, gross]));
  expect(["example/shop", "example/desk", "example/own"].map((key) => counts.get(key))).toEqual([2, 1, 2]);
});

test("an account's calls name a hundred apps in a day, and those that name none go on", async () => {
  const { payerTag } = await json<{ payerTag: string }>(await ask("POST", "/v1/accounts", admin, { name: "many" }));
  const made = await ask("POST", `/v1/keys?account=${payerTag}`, admin, { name: "many" });
  const { apiKey } = await json<Made>(made);
  const call = async (i: number) => (await infer(apiKey, { "x-tally-app": `many/app-${i}` })).status;
  for (let i = 0; i < 100; i += 20)
    expect(await Promise.all(Array.from({ length: 20 }, (_, at) => call(i + at)))).toEqual(Array(20).fill(200));
  expect(await call(100)).toBe(429);
  expect([await call(7), (await infer(apiKey)).status]).toEqual([200, 200]);
  clock.advance(86_401_000);
  expect(await call(100)).toBe(200);
});

test("apps are counted as they name themselves, shown as self-declared, and not in the log", async () => {
  const { apiKey } = await make();
  const named = { referer: "https://shop.example/cart/7", "x-title": "Shop" };
  for (let i = 0; i < 3; i++) expect((await infer(apiKey, named)).status).toBe(200);
  const { note, apps } = await json<{ note: string; apps: unknown[] }>(await ask("GET", "/v1/apps", apiKey));
  expect(note).toBe("self-declared, never ranked on");
  expect(apps).toMatchObject([{ origin: "https://shop.example", title: "Shop", calls: 3 }]);
  expect((await ask("GET", "/v1/apps", "nobody")).status).toBe(401);
  await network.idle();
  const names = await readdir(join(network.data, "log"), { recursive: true, withFileTypes: true });
  const files = names.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const bytes = Buffer.concat(await Promise.all(files.map((path) => readFile(path))));
  expect(bytes.length).toBeGreaterThan(10_000);
  expect(bytes.includes("shop.example")).toBe(false);
});
