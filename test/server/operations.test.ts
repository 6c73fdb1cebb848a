import { readFile } from "node:fs/promises";
import { request } from "node:http";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { creditInput, startNetwork, type TestNetwork } from "../network.ts";

const MODEL = "statlog/credit-default";
const lines: Record<string, unknown>[] = [];
let network: TestNetwork;

beforeAll(async () => {
  network = await startNetwork({ requestLog: (level, line) => void lines.push({ level, ...line }) });
});
afterAll(() => network[Symbol.asyncDispose]());

/** What `/metrics` answers, by headers that `fetch` does not let through. */
async function ask(headers: Record<string, string>): Promise<{ status: number; text: string; type: string }> {
  return new Promise((resolve, reject) => {
    const asking = request(`${network.url}/metrics`, { headers }, (answer) => {
      let text = "";
      answer.on("data", (bytes) => {
        text += bytes;
      });
      answer.on("end", () =>
        resolve({ status: answer.statusCode ?? 0, text, type: answer.headers["content-type"] ?? "" }),
      );
    });
    asking.on("error", reject).end();
  });
}

test("metrics are for programs on this machine, and elsewhere for who has the admin token", async () => {
  const authorization = `Bearer ${(await readFile(join(network.data, "keys", "admin-token"), "utf8")).trim()}`;
  expect((await ask({})).status).toBe(200);
  expect((await ask({ "x-forwarded-for": "192.0.2.1" })).status).toBe(403);
  expect((await ask({ host: "rebound.example" })).status).toBe(403);
  expect((await ask({ host: "rebound.example", authorization: "Bearer no" })).status).toBe(403);
  const { status, type } = await ask({ host: "rebound.example", authorization });
  expect([status, type]).toEqual([200, "text/plain; version=0.0.4; charset=utf-8"]);
});

test("behind a proxy every peer is of this machine, and only the admin token opens them", async () => {
  await using proxied = await startNetwork({ models: ["credit-default"], behindTlsProxy: true });
  expect((await proxied.fetch("/metrics")).status).toBe(403);
});

test("calls, refusals and the log's sizes are counted, by names of routes and of published models alone", async () => {
  const { receiptId = "" } = await network.infer(MODEL, [creditInput()]);
  await network.idle();
  await network.fetch(`/v1/receipts/${receiptId}`);
  await network.fetch("/v2/models/no/such-model/infer", { method: "POST", body: "{}" });
  await network.fetch(`/v2/models/${MODEL}/infer`, { method: "POST", body: "{}" });
  const { text } = await ask({});
  const infer = 'http_request_method="POST",http_route="/v2/models/:path{.+}"';
  expect(text).toContain(
    `tally_requests_total{${infer},http_response_status_code="200",gen_ai_request_model="${MODEL}"} 1`,
  );
  expect(text).toContain(`tally_requests_total{${infer},http_response_status_code="404",gen_ai_request_model=""} 1`);
  expect(text).toContain('tally_receipts_total{status="ok"} 1');
  expect(text).toMatch(/gen_ai_server_request_duration_seconds_count\{gen_ai_operation_name="infer",.*\} 1\n/);
  for (const state of ["integrated", "published", "witnessed"]) {
    const size = new RegExp(`tally_log_size\\{state="${state}"\\} (\\d+)`).exec(text)?.[1];
    expect(Number(size), state).toBeGreaterThan(5);
  }
  for (const name of ["nodejs_eventloop_lag_p99_seconds", "process_resident_memory_bytes", "tally_log_queue_entries"])
    expect(text).toMatch(new RegExp(`^${name} [0-9.e-]+$`, "m"));
  for (const secret of [receiptId, network.apiKey, "such-model", "127.0.0.1"]) expect(text).not.toContain(secret);
  for (const line of text.trimEnd().split("\n"))
    expect(line).toMatch(/^(# (HELP|TYPE) .+|[a-z_0-9]+(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? [0-9.e+-]+)$/);
});

test("the log of requests has the receipt, and neither key nor content", async () => {
  lines.length = 0;
  const { receiptId } = await network.infer(MODEL, [creditInput(123_456)]);
  await network.fetch("/healthz");
  await expect.poll(() => lines).toHaveLength(2);
  expect(lines).toMatchObject([
    {
      level: "info",
      "http.route": "/v2/models/:path{.+}",
      "http.response.status_code": 200,
      "gen_ai.request.model": MODEL,
      "tally.receipt.id": receiptId,
    },
    { level: "debug", "http.route": "/healthz" },
  ]);
  expect(JSON.stringify(lines)).not.toMatch(new RegExp(`${network.apiKey}|123456|127\\.0\\.0\\.1`));
});

test("it says that it lives and that it is ready", async () => {
  const asked = async (path: string) => {
    const answer = await network.fetch(path);
    return [answer.status, await answer.json()];
  };
  expect(await asked("/healthz")).toEqual([200, { live: true }]);
  expect(await asked("/readyz")).toEqual([200, { ready: true }]);
});
