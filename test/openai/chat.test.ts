import {
  ChunkedAnswer,
  chatAnswerOf,
  commit,
  encodeJsonAnswer,
  extendStream,
  hex,
  isJsonObject,
  type JsonObject,
  openStream,
  parseEntry,
  parseReceiptMember,
  RECEIPT_CLOSERS,
  utf8,
  withoutReceipt,
} from "@tallystick/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { sendStream } from "../mock-upstream.ts";
import { HELLO, MODEL, type RelayedNetwork, startRelayed, USAGE } from "./network.ts";

let network: RelayedNetwork;
beforeAll(async () => {
  network = await startRelayed((response) => sendStream(response, ...HELLO));
});
afterAll(() => network[Symbol.asyncDispose]());

const ASK = { model: MODEL, messages: [{ role: "user", content: "Say hello" }] };

async function jsonOf(response: Response): Promise<JsonObject> {
  const body: unknown = await response.json();
  if (!isJsonObject(body)) throw new Error("no object");
  return body;
}

function receiptIn(value: unknown) {
  const member = parseReceiptMember(value);
  const entry = parseEntry(member.entry);
  if (entry.kind !== "receipt") throw new Error("no receipt");
  return { member, says: entry.says };
}

test("a whole answer carries the receipt that commits to it", async () => {
  const response = await network.post("/v1/chat/completions", ASK);
  const body = await jsonOf(response);
  expect(response.status, JSON.stringify(body)).toBe(200);
  const { member, says } = receiptIn(body.receipt);
  expect(response.headers.get("x-receipt-id")).toBe(hex(member.id));
  expect(body).toMatchObject({
    id: `chatcmpl-${hex(member.id)}`,
    object: "chat.completion",
    model: MODEL,
    choices: [{ index: 0, finish_reason: "stop", message: { role: "assistant", content: "Hello world" } }],
    usage: { prompt_tokens: 5, completion_tokens: 3, total_tokens: 8 },
  });
  expect(says.response).toEqual(commit("response", member.responseSalt, encodeJsonAnswer(chatAnswerOf(body))));
  expect(says).toMatchObject({
    status: "ok",
    provenance: "relayed",
    upstream: { name: "acme" },
    units: 6,
    outputUnits: 3,
  });
});

/** The frames of a stream, each with the blank line that ends it. */
const framesIn = (text: string) => text.split(/(?<=\n\n)/);

test("a stream's chunks put together are the answer that its receipt commits to, and its chain is over their bytes", async () => {
  const response = await network.post("/v1/chat/completions", { ...ASK, stream: true });
  expect(response.headers.get("content-type")).toContain("text/event-stream");
  const frames = framesIn(await response.text());
  expect(frames.at(-1)).toBe("data: [DONE]\n\n");
  const last = frames.findIndex((frame) => frame.includes('"receipt":'));
  const chunks = frames.slice(0, last + 1).map((frame) => JSON.parse(frame.slice(6)) as JsonObject);
  const { member, says } = receiptIn(chunks.at(-1)?.receipt);
  const answer = new ChunkedAnswer("chat");
  for (const one of chunks) answer.add(one);
  expect(says.response).toEqual(commit("response", member.responseSalt, encodeJsonAnswer(answer.answer(member.usage))));
  let state = openStream(member.id, member.responseSalt);
  for (const frame of frames.slice(0, last)) state = extendStream(state, utf8(frame));
  state = extendStream(state, utf8(withoutReceipt(frames[last] ?? "", RECEIPT_CLOSERS.chat)));
  expect(says.stream).toEqual(state);
});

test("include_usage gives the usage once, whole, in a frame of its own", async () => {
  const response = await network.post("/v1/chat/completions", {
    ...ASK,
    stream: true,
    stream_options: { include_usage: true },
  });
  const frames = framesIn(await response.text());
  const withUsage = frames.filter((frame) => frame.includes('"usage":'));
  expect(withUsage).toHaveLength(1);
  expect(JSON.parse(withUsage[0]?.slice(6) ?? "")).toMatchObject({ choices: [], usage: USAGE });
  expect(frames.indexOf(withUsage[0] ?? "")).toBe(frames.length - 2);
});

test("what no model can honour is refused by name", async () => {
  const response = await network.post("/v1/chat/completions", { ...ASK, frobnicate: 1 });
  expect(response.status).toBe(400);
  expect(await response.json()).toMatchObject({ error: { param: "frobnicate", type: "invalid_request_error" } });
});
