/** What calls cost that are paid by the token: what was allowed covers all that they may come to, or they are not served. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { sendStream } from "../mock-upstream.ts";
import { openSigning } from "./half.ts";
import { HELLO, MODEL, type RelayedNetwork, startRelayed } from "./network.ts";

let relayed: RelayedNetwork;
beforeAll(async () => {
  relayed = await startRelayed((response) => sendStream(response, ...HELLO), {
    prices: { unitPrice: "1000000", outputUnitPrice: "1000000" },
  });
  await relayed.network.topUp(1_000_000n);
});
afterAll(() => relayed[Symbol.asyncDispose]());

const PATH = "/v1/chat/completions";
const ASK = { model: MODEL, messages: [{ role: "user", content: "Say hello" }], max_tokens: 10 };

test.each(["0", "1", "1000"])(
  "a call that is allowed %s units, and may come to more, is refused before it is run",
  async (most) => {
    const before = relayed.upstream.asked.length;
    for (const stream of [false, true]) {
      const answer = await relayed.post(PATH, { ...ASK, stream }, { "x-tally-max-price": most });
      expect(answer.status).toBe(402);
      expect(await answer.json()).toMatchObject({ error: { code: "price_over_maximum" } });
    }
    const { headers } = await (await openSigning(relayed.network, MODEL)).sign("chat", ASK, { maxPrice: BigInt(most) });
    const own = await relayed.network.fetch(PATH, { method: "POST", headers, body: JSON.stringify(ASK) });
    expect(own.status).toBe(402);
    expect(relayed.upstream.asked.length).toBe(before);
  },
);

test("a call that is allowed what it may come to is served, and pays what it came to", async () => {
  for (const headers of [{}, { "x-tally-max-price": "9000" }] as const) {
    const answer = await relayed.post(PATH, ASK, headers);
    expect(answer.status).toBe(200);
  }
  await relayed.network.idle();
  const headers = { authorization: `Bearer ${relayed.network.apiKey}` };
  const { available } = await (await relayed.network.fetch("/v1/balance", { headers })).json();
  expect(available).toBe(String(1_000_000 - 2 * 8));
});
