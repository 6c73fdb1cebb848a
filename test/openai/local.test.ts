/** The language model that ships with the project, asked as OpenAI's clients ask. */
import { ChunkedAnswer, isJsonObject, type JsonObject } from "@tallystick/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startNetwork, type TestNetwork } from "../network.ts";

const MODEL = "tallystick/state-of-the-union";
let network: TestNetwork;
beforeAll(async () => {
  network = await startNetwork({ models: ["state-of-the-union", "use-lite"] });
});
afterAll(() => network[Symbol.asyncDispose]());

const post = (path: string, body: unknown, headers: Record<string, string> = {}) =>
  network.fetch(path, {
    method: "POST",
    headers: { authorization: `Bearer ${network.apiKey}`, "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  });

const ASK = { model: MODEL, messages: [{ role: "user", content: "The state of our Union" }], max_tokens: 24 };

async function contentOf(response: Response): Promise<unknown> {
  const body: unknown = await response.json();
  const [choice] = isJsonObject(body) && Array.isArray(body.choices) ? body.choices : [];
  return isJsonObject(choice) && isJsonObject(choice.message) ? choice.message.content : body;
}

/** The JSON of each frame, in order, without comments and the end. */
const eventsIn = (text: string): JsonObject[] =>
  text.split("\n\n").flatMap((frame) => {
    const data = /^(?:event: .*\n)?data: (\{.*\})$/s.exec(frame)?.[1];
    return data === undefined ? [] : [JSON.parse(data) as JsonObject];
  });

test("a seed gives the same words again, streamed or whole; without one they come of the receipt's id", async () => {
  const seeded = { ...ASK, seed: 7 };
  const whole = await contentOf(await post("/v1/chat/completions", seeded));
  const events = eventsIn(await (await post("/v1/chat/completions", { ...seeded, stream: true })).text());
  const answer = new ChunkedAnswer("chat");
  for (const event of events) answer.add(event);
  expect(answer.answer({})).toMatchObject({ choices: [{ message: { content: whole } }] });
  const others = await Promise.all([1, 2, 3].map(async () => contentOf(await post("/v1/chat/completions", ASK))));
  expect(new Set([whole, ...others]).size).toBe(4);
});

test("a stream begins by saying whose turn it is, and its pieces come in order", async () => {
  const greedy = { ...ASK, temperature: 0 };
  const whole = await contentOf(await post("/v1/chat/completions", greedy));
  const events = eventsIn(await (await post("/v1/chat/completions", { ...greedy, stream: true })).text());
  const deltas = events
    .flatMap(({ choices }) => (Array.isArray(choices) ? choices : []))
    .map((choice) => (isJsonObject(choice) && isJsonObject(choice.delta) ? choice.delta : {}));
  expect(deltas[0]).toEqual({ role: "assistant", content: "" });
  expect(deltas.map(({ content = "" }) => content).join("")).toBe(whole);
});

test("the events of a response are numbered in order, and the last of them has the whole answer and its receipt", async () => {
  const response = await post("/v1/responses", {
    model: MODEL,
    input: "Our people",
    max_output_tokens: 16,
    stream: true,
  });
  const events = eventsIn(await response.text());
  expect(events.map(({ sequence_number }) => sequence_number)).toEqual(events.map((_, i) => i));
  expect(events[0]?.type).toBe("response.created");
  const said = events.filter(({ type }) => type === "response.output_text.delta").map(({ delta }) => delta);
  expect(events.at(-1)).toMatchObject({
    type: "response.incomplete",
    response: {
      status: "incomplete",
      incomplete_details: { reason: "max_output_tokens" },
      output: [{ type: "message", content: [{ type: "output_text", text: said.join("") }] }],
      receipt: { id: response.headers.get("x-receipt-id") },
    },
  });
});

test("logprobs come where they are asked for, and n gives as many choices", async () => {
  const body = await (
    await post("/v1/chat/completions", { ...ASK, max_tokens: 4, n: 2, logprobs: true, top_logprobs: 2 })
  ).json();
  expect(body).toMatchObject({
    choices: [0, 1].map((index) => ({ index, logprobs: { content: Array(4).fill({ top_logprobs: [{}, {}] }) } })),
    usage: { completion_tokens: 8 },
  });
});

test.each([
  ["tools", { tools: [{ type: "function", function: { name: "f", parameters: {} } }] }],
  ["response_format", { response_format: { type: "json_schema", json_schema: { name: "s", schema: {} } } }],
  ["logit_bias", { logit_bias: { "5": 1 } }],
  [
    "messages[0].content",
    { messages: [{ role: "user", content: [{ type: "image_url", image_url: { url: "data:," } }] }] },
  ],
  ["temperature", { temperature: 3 }],
  ["stream_options", { stream_options: { include_usage: true } }],
])("%s is refused by name, and leaves no receipt", async (param, changes) => {
  const response = await post("/v1/chat/completions", { ...ASK, ...changes });
  expect(response.status).toBe(400);
  expect(await response.json()).toMatchObject({ error: { type: "invalid_request_error", param } });
  expect(response.headers.get("x-receipt-id")).toBeNull();
});

test("embeddings come as floats or as base64 of the same numbers", async () => {
  const ask = { model: "google/use-lite", input: ["a cat on a mat", "the market fell"] };
  const floats = await (await post("/v1/embeddings", ask)).json();
  const packed = await (await post("/v1/embeddings", { ...ask, encoding_format: "base64" })).json();
  const numbersOf = (embedding: string) => [
    ...new Float32Array(new Uint8Array(Buffer.from(embedding, "base64")).buffer),
  ];
  expect(packed.data.map((row: { embedding: string }) => numbersOf(row.embedding))).toEqual(
    floats.data.map((row: { embedding: number[] }) => row.embedding),
  );
  expect(floats.data.map((row: { embedding: number[] }) => row.embedding.length)).toEqual([512, 512]);
});

test("two keys of an idempotent stream: the second reading is the first again, and one receipt is in the log", async () => {
  const headers = { "idempotency-key": "stream-1" };
  const ask = { ...ASK, stream: true };
  const first = await (await post("/v1/chat/completions", ask, headers)).text();
  const second = await (await post("/v1/chat/completions", ask, headers)).text();
  expect(second).toBe(first);
});

test("the model list names every model as OpenAI's does, and a model is found by its name", async () => {
  const list = await (await network.fetch("/v1/models")).json();
  expect(list).toMatchObject({ object: "list" });
  expect(list.data).toContainEqual(expect.objectContaining({ id: MODEL, object: "model", owned_by: "tallystick" }));
  for (const row of list.data) expect(Number.isInteger(row.created)).toBe(true);
  for (const path of [MODEL, encodeURIComponent(MODEL)])
    expect(await (await network.fetch(`/v1/models/${path}`)).json()).toMatchObject({ id: MODEL });
});
