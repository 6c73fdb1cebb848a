import { expect, test } from "vitest";
import { fuzz } from "../fuzz/fuzz.ts";
import { CHAT_MODEL, CREDIT, startFuzzedNetwork } from "../fuzz/network.ts";
import { creditInput } from "../network.ts";

const COUNT = 2_000;
const POST = { method: "POST" };
/** What a longer run was answered with 5xx for. */
const FOUND: [path: string, members: object][] = [
  ["/v1/responses", { input: "Hi", n: 0 }],
  ["/v1/embeddings", { input: [-1, "b"] }],
];
const SEED = 20_261_122;

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
