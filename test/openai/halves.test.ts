/** What requesters that sign their own half do with it: use it twice, at once or later, for something else, or as strangers. */
import { request } from "node:http";
import { createKey } from "@tallystick/client";
import type { JsonObject } from "@tallystick/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { sendStream } from "../mock-upstream.ts";
import { openSigning, type Signing } from "./half.ts";
import { HELLO, MODEL, type RelayedNetwork, startRelayed } from "./network.ts";

let relayed: RelayedNetwork;
let signing: Signing;
beforeAll(async () => {
  relayed = await startRelayed((response) => sendStream(response, ...HELLO));
  signing = await openSigning(relayed.network, MODEL);
});
afterAll(() => relayed[Symbol.asyncDispose]());

const PATH = "/v1/chat/completions";
const ASK = { model: MODEL, messages: [{ role: "user", content: "Say hello" }] };

/** Sends a half without any API key. */
async function send(headers: Record<string, string>, body: JsonObject): Promise<{ status: number; text: string }> {
  const answer = await relayed.network.fetch(PATH, { method: "POST", headers, body: JSON.stringify(body) });
  return { status: answer.status, text: await answer.text() };
}

test.each([
  ["streamed", [true, true, true, true]],
  ["whole", [false, false, false, false]],
  ["one streamed, others whole", [true, false, false, false]],
])("one half sent four times at once, %s: one is served, with the only receipt", async (_, streams) => {
  const { id, headers } = await signing.sign("chat", ASK);
  const before = relayed.upstream.asked.length;
  const answers = await Promise.all(streams.map((stream) => send(headers, { ...ASK, stream })));
  expect(answers.map(({ status }) => status).sort()).toEqual([200, 409, 409, 409]);
  expect(relayed.upstream.asked.length - before).toBe(1);
  expect(answers.find(({ status }) => status === 200)?.text).toContain(id);
  for (const stream of [true, false]) expect((await send(headers, { ...ASK, stream })).status).toBe(409);
  await relayed.network.idle();
  expect((await send(headers, ASK)).status).toBe(409);
  expect(relayed.upstream.asked.length - before).toBe(1);
});

test("a half is good for the call that it commits to, of the model that it names, signed by the key of its session", async () => {
  const before = relayed.upstream.asked.length;
  const { headers } = await signing.sign("chat", ASK);
  const other = { ...ASK, messages: [{ role: "user", content: "Say something else" }] };
  expect((await send(headers, other)).status).toBe(400);
  const misnamed = await send(headers, { ...ASK, model: "wisconsin/breast-cancer" });
  expect(misnamed.status).toBe(400);
  expect(misnamed.text).toContain('"param":"model"');
  const stranger = (await createKey()).signer;
  expect((await send((await signing.sign("chat", ASK, {}, stranger)).headers, ASK)).status).toBe(403);
  const { "x-tally-salt": _, ...unsalted } = headers;
  expect((await send(unsalted, ASK)).status).toBe(400);
  expect(relayed.upstream.asked.length).toBe(before);
  // None of that used it up.
  expect((await send(headers, ASK)).status).toBe(200);
});

test("the body of a stranger's half is not waited for", async () => {
  const { headers } = await signing.sign("chat", ASK, {}, (await createKey()).signer);
  const status = await new Promise((resolve, reject) => {
    const sent = request(`${relayed.network.url}${PATH}`, {
      method: "POST",
      headers: { ...headers, "content-type": "application/json", "content-length": 8_000_000 },
    });
    sent.on("response", (response) => {
      resolve(response.statusCode);
      sent.destroy();
    });
    sent.on("error", reject);
    sent.flushHeaders();
  });
  expect(status).toBe(403);
});
