import { afterAll, beforeAll, expect, test } from "vitest";
import { CHAT_MODEL, type FuzzedNetwork, startFuzzedNetwork } from "../fuzz/network.ts";

let place: FuzzedNetwork;
beforeAll(async () => {
  place = await startFuzzedNetwork();
});
afterAll(() => place[Symbol.asyncDispose]());

const ask = (path: string, init: RequestInit = {}) =>
  place.network.fetch(path, { ...init, headers: { authorization: `Bearer ${place.network.apiKey}` } });

async function chat(members: object): Promise<{ receiptId: string; text: string }> {
  const body = JSON.stringify({ model: CHAT_MODEL, messages: [{ role: "user", content: "Hello" }], ...members });
  const answer = await ask("/v1/chat/completions", { method: "POST", body });
  expect(answer.status).toBe(200);
  return { receiptId: answer.headers.get("x-receipt-id") ?? "", text: await answer.text() };
}

test("what a call with store: true was answered is read again, and erased with the salts of its receipt", async () => {
  const { receiptId, text } = await chat({ store: true });
  const path = `/v1/chat/completions/chatcmpl-${receiptId}`;
  expect(await (await ask(path)).json()).toEqual(JSON.parse(text));
  expect((await place.network.fetch(path)).status).toBe(401);
  expect((await ask(`/v1/receipts/${receiptId}/opening`)).status).toBe(200);
  expect(await (await ask(path, { method: "DELETE" })).json()).toMatchObject({ deleted: true });
  expect((await ask(path)).status).toBe(404);
  expect((await ask(`/v1/receipts/${receiptId}/opening`)).status).toBe(404);
  await place.network.idle();
  expect((await ask(`/v1/receipts/${receiptId}`)).status, "the receipt itself stays").toBe(200);
});

test("a stream's answer is kept in whole", async () => {
  const { receiptId } = await chat({ store: true, stream: true });
  const kept = await ask(`/v1/chat/completions/chatcmpl-${receiptId}`);
  expect(await kept.json()).toMatchObject({
    object: "chat.completion",
    choices: [{ message: { content: "a" } }],
    receipt: { id: receiptId },
  });
});

test("of a call that does not ask for it nothing is kept", async () => {
  for (const members of [{}, { store: false }, { stream: true }]) {
    const { receiptId } = await chat(members);
    expect((await ask(`/v1/chat/completions/chatcmpl-${receiptId}`)).status).toBe(404);
  }
});

test("upstreams are measured by the names that their operator gave them, and calls by theirs", async () => {
  await chat({ stream: true });
  const text = await (await ask("/metrics")).text();
  expect(text).toContain('tally_upstream_breaker_open{upstream="mock"} 0');
  const of = `gen_ai_operation_name="chat",gen_ai_request_model="${CHAT_MODEL}"`;
  expect(text).toContain(`gen_ai_client_token_usage_count{${of},gen_ai_token_type="output"}`);
  expect(text).toContain(`gen_ai_server_time_to_first_token_seconds_count{${of}}`);
});
