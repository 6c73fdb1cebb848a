import { expect, test } from "vitest";
import { fuzz } from "../fuzz/fuzz.ts";
import { CHAT_MODEL, CREDIT, startFuzzedNetwork } from "../fuzz/network.ts";
import { createFuzzing } from "../fuzz/random.ts";
import { honestRequest } from "../fuzz/requests.ts";
import { creditInput } from "../network.ts";

const COUNT = 2_000;
const POST = { method: "POST" };
/** What a longer run was answered with 5xx for. */
const FOUND: [path: string, members: object][] = [
  ["/v1/responses", { input: "Hi", n: 0 }],
  ["/v1/embeddings", { input: [-1, "b"] }],
];
/** What is sent there is well-formed, and no good: a session's key that nobody has, a payee who has earned nothing. */
const REFUSED = {
  ...{ "/v1/sessions": 400, "/v1/nodes/attestation": 400, "/v2/repository/models/:path{.+}": 400 },
  ...{ "/v1/settlements/refunds": 404, "/v1/settlements/payouts": 409 },
  ...{ "/witnesses/witness-1/add-checkpoint": 409, "/witnesses/witness-2/add-checkpoint": 409 },
};
const SEED = 20_261_122;

test("every route of the server is in what is fuzzed, and each body would be let in if nothing were wrong with it", async () => {
  await using place = await startFuzzedNetwork();
  const { network, target } = place;
  const taking = target.routes.filter(({ method, path }) => ["POST", "ALL"].includes(method) && path !== "/*");
  expect([...target.bodies.keys()].sort()).toEqual(taking.map(({ path }) => path).sort());
  const fuzzing = createFuzzing(SEED);
  const statuses: Record<string, number> = {};
  for (const route of target.bodies.keys()) {
    const { method, path, headers, body } = await honestRequest(fuzzing, target, route);
    statuses[route] = (await network.fetch(path, { method, headers, body: body as Uint8Array<ArrayBuffer> })).status;
  }
  const refused = Object.entries(statuses).filter(([, status]) => status >= 300);
  expect(Object.fromEntries(refused)).toEqual(REFUSED);
}, 120_000);

test("of two thousand malformed requests over all routes none is answered with 5xx, none hangs, and a call then is served", async () => {
  await using place = await startFuzzedNetwork();
  const { network, target } = place;
  const headers = { authorization: `Bearer ${network.apiKey}` };
  const { failures, statuses } = await fuzz(network.url, target, { count: COUNT, seed: SEED });
  expect({ failures, reported: network.reported.filter(({ event }) => event !== "a content is not kept") }).toEqual({
    failures: [],
    reported: [],
  });
  // What is sent is near enough to what is right that each kind of refusal is met, and calls are.
  for (const status of [200, 400, 401, 403, 404, 405, 413]) expect([...statuses.keys()]).toContain(status);
  for (const [path, members] of FOUND) {
    const answer = await network.fetch(path, {
      ...POST,
      headers,
      body: JSON.stringify({ model: CHAT_MODEL, ...members }),
    });
    expect(answer.status, JSON.stringify(members)).toBe(400);
  }
  expect((await network.infer(CREDIT, [creditInput()])).status).toBe(200);
  const body = JSON.stringify({ model: CHAT_MODEL, messages: [{ role: "user", content: "Hello" }] });
  expect((await network.fetch("/v1/chat/completions", { method: "POST", headers, body })).status).toBe(200);
  expect(await network.audit()).toMatchObject({ findings: [], differences: [] });
}, 240_000);
