/** A caller who goes away before the end pays nothing; what was worked for it counts against its key's tokens a minute. */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Behaviour } from "../mock-upstream.ts";
import { createTestClock } from "../network.ts";
import { chunk, MODEL, type RelayedNetwork, startRelayed } from "./network.ts";

const PIECES = 40;
const LIMIT = 10_000;
/** A machine that has other work is slow. */
const WITHIN = { timeout: 30_000 };

let behave: Behaviour;
let relayed: RelayedNetwork;
beforeAll(async () => {
  // It stands still, so that no bucket fills.
  relayed = await startRelayed((...asked) => behave(...asked), { clock: createTestClock() });
});
afterAll(() => relayed[Symbol.asyncDispose]());

const ASK = { model: MODEL, messages: [{ role: "user", content: "Say hello" }], max_tokens: 500 };
/** Four bytes are taken for a token. */
const estimateOf = (body: object) => Math.ceil(Buffer.byteLength(JSON.stringify(body)) / 4);

async function receiptCount(): Promise<number> {
  await relayed.network.idle();
  const usage = (await (await relayed.network.fetch("/v1/usage")).json()) as { totals: { gross: number } };
  return usage.totals.gross;
}

/** A key of its own, and what is left to it when it begins its next call. */
async function openKey() {
  const { network } = relayed;
  const { accounts } = (await (await network.operate("GET", "/v1/accounts")).json()) as {
    accounts: { payerTag: string }[];
  };
  const terms = { name: "left", scopes: ["infer"], unitsPerMinute: LIMIT };
  const made = await network.operate("POST", `/v1/keys?account=${accounts[0]?.payerTag}`, terms);
  const { apiKey } = (await made.json()) as { apiKey: string };
  const headers = { authorization: `Bearer ${apiKey}` };
  const left = async () => {
    behave = (response) => response.writeHead(400, { "content-type": "application/json" }).end("{}");
    const asked = await relayed.post("/v1/chat/completions", ASK, headers);
    await asked.text();
    return Number(asked.headers.get("x-ratelimit-remaining-tokens")) + estimateOf(ASK) + ASK.max_tokens;
  };
  return { headers, left };
}

test("a stream that is left counts as its question and what went out of its answer", async () => {
  const { headers, left } = await openKey();
  expect(await left()).toBe(LIMIT);
  behave = (response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    for (let i = 0; i < PIECES; i++) response.write(chunk({ content: `${i} ` }));
  };
  const body = { ...ASK, stream: true };
  const gone = new AbortController();
  const streamed = await relayed.post("/v1/chat/completions", body, headers, gone.signal);
  const reader = streamed.body?.pipeThrough(new TextDecoderStream()).getReader();
  for (let text = ""; !text.includes(`${PIECES - 1} `); ) text += (await reader?.read())?.value ?? "";
  gone.abort();
  // Before the call has ended its whole estimate is held.
  const taken = async () => LIMIT - (await left());
  await expect.poll(taken, WITHIN).toBeLessThan(ASK.max_tokens);
  expect(await taken()).toBeGreaterThanOrEqual(estimateOf(body) + PIECES);
  expect(await taken()).toBeLessThanOrEqual(estimateOf(body) + PIECES + 2);
});

test("an answer in one piece that is left counts as all that it might have been", async () => {
  const { headers, left } = await openKey();
  const before = await receiptCount();
  const gone = new AbortController();
  const closed = new Promise<void>((resolve) => {
    behave = (response) => {
      response.on("close", resolve);
      gone.abort();
    };
  });
  await expect(relayed.post("/v1/chat/completions", ASK, headers, gone.signal)).rejects.toThrow("abort");
  await closed;
  // It has ended once its receipt is there.
  await expect.poll(receiptCount, WITHIN).toBe(before + 1);
  expect(LIMIT - (await left())).toBe(estimateOf(ASK) + ASK.max_tokens);
});
