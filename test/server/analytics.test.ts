import { readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readMetadata } from "../../packages/client/src/analytics/database.ts";
import { createTestClock, creditInput, startNetwork } from "../network.ts";

const DAY_MS = 86_400_000;

/** A network with a day that is closed, and its clock. */
async function withClosedDay(settings: Parameters<typeof startNetwork>[0] = {}) {
  const clock = createTestClock();
  const network = await startNetwork({ clock, ...settings });
  await network.infer("statlog/credit-default", [creditInput()]);
  await network.infer("statlog/credit-default", [creditInput(7_000)]);
  await network.closeEpoch();
  clock.advance(3 * DAY_MS);
  await network.infer("statlog/credit-default", [creditInput()]); // Of a day that stays open.
  await network.closeEpoch();
  await network.segmented();
  return { network, clock };
}

test("as a day closes its receipts become a file that anybody fetches, and the operator asks of them in SQL", async () => {
  const { network } = await withClosedDay();
  await using _ = network;
  const file = await network.fetch("/v1/usage/days/2026-11-22/receipts.parquet");
  expect([file.status, file.headers.get("content-type")]).toEqual([200, "application/vnd.apache.parquet"]);
  const path = join(network.data, "fetched.parquet");
  await writeFile(path, new Uint8Array(await file.arrayBuffer()));
  expect((await readMetadata(path)).get("tallystick.origin")).toBe(network.origin);
  const metric = await network.fetch("/v1/usage/inferences?by=model&from=2026-11-22&to=2026-11-22&format=parquet");
  await writeFile(path, new Uint8Array(await metric.arrayBuffer()));
  const said = await readMetadata(path);
  expect([metric.status, said.get("tallystick.metric")]).toEqual([200, "inferences"]);
  expect(said.get("tallystick.checkpoint")).toContain(`${network.origin}\n${said.get("tallystick.size")}\n`);
  const sql = "SELECT model, count(*), count(*) FILTER (stratum <> 'gross') FROM receipts GROUP BY model";
  const asked = await network.operate("POST", "/v1/query", { sql });
  expect([asked.status, await asked.json()]).toMatchObject([
    200,
    { rows: [["statlog/credit-default", 2, 2]], truncated: false },
  ]);
  expect((await network.fetch("/v1/usage/days/2026-11-23/receipts.parquet")).status).toBe(404);
  const refusals = ["..%2F..%2Fkeys/receipts.parquet", "2026-02-30/receipts.parquet"];
  for (const query of ["rule=x", "rules=a&rules=b", "format=csv"])
    refusals.push(`2026-11-22/receipts.parquet?${query}`);
  for (const path of refusals) {
    const refused = await network.fetch(`/v1/usage/days/${path}`);
    expect([refused.status, await refused.json()], path).toMatchObject([400, { error: { code: "invalid_request" } }]);
  }
});

test("who is not the operator asks nothing, unless the operator opened it; and what is refused says why", async () => {
  const { network } = await withClosedDay();
  await using _ = network;
  const body = JSON.stringify({ sql: "SELECT count(*) FROM receipts" });
  const ask = (init: RequestInit = {}) => network.fetch("/v1/query", { method: "POST", body, ...init });
  expect((await ask()).status).toBe(403);
  expect((await ask({ headers: { authorization: `Bearer ${network.apiKey}` } })).status).toBe(403);
  const refused = await network.operate("POST", "/v1/query", { sql: "SELECT * FROM read_csv('/etc/passwd')" });
  expect([refused.status, await refused.json()]).toMatchObject([400, { error: { code: "invalid_request" } }]);
  expect((await network.operate("POST", "/v1/query", { query: "SELECT 1" })).status).toBe(400);
  await using open = await startNetwork({ openQuery: true });
  const anybody = await open.fetch("/v1/query", { method: "POST", body });
  expect(await anybody.json()).toMatchObject({ rows: [[0]] });
});

test("segments that were deleted are made again at the next start, and are the same", async () => {
  const { network } = await withClosedDay();
  await using _ = network;
  const folder = join(network.data, "usage", "segments");
  const names = await readdir(folder);
  const sql = "SELECT * FROM receipts ORDER BY index";
  const before = await (await network.operate("POST", "/v1/query", { sql })).json();
  await network.restart(() => rm(folder, { recursive: true }));
  await network.segmented();
  expect(await readdir(folder)).toEqual(names);
  expect(await (await network.operate("POST", "/v1/query", { sql })).json()).toEqual(before);
  expect(network.reported.filter(({ event }) => event === "segments were not made")).toEqual([]);
});

test("heavy questions of strangers wait in a short line, and the network serves meanwhile; with who asked, the questions are gone", async () => {
  const { network } = await withClosedDay({ openQuery: true });
  await using _ = network;
  const sql = "SELECT count(*) FROM range(1000000000000) a(i) WHERE i % 7 = 3";
  const gone = new AbortController();
  const refusals: unknown[] = [];
  const asked = Array.from({ length: 20 }, async () => {
    const init = { method: "POST", body: JSON.stringify({ sql }), signal: gone.signal };
    const answer = await network.fetch("/v1/query", init);
    if (refusals.push([answer.status, await answer.json()]) === 4) gone.abort();
  });
  const ended = Promise.allSettled(asked);
  await network.infer("statlog/credit-default", [creditInput()]);
  const figure = "/v1/usage/inferences?by=model&from=2026-11-22&to=2026-11-22&format=parquet";
  expect((await network.fetch(figure)).status).toBe(200);
  await ended;
  expect(refusals.length).toBe(4);
  for (const refusal of refusals)
    expect(refusal).toMatchObject([503, { detail: expect.stringContaining("questions wait") }]);
  const small = await network.operate("POST", "/v1/query", { sql: "SELECT count(*) FROM receipts" });
  expect(await small.json()).toMatchObject({ rows: [[2]] });
});
