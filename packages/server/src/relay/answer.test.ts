import { isJsonObject, type JsonObject } from "@tallystick/protocol";
import { expect, test } from "vitest";
import { eventsOf, sendJson, sendStream, startUpstream } from "../../../../test/mock-upstream.ts";
import { MESSAGES, openRelay, type TestRelay } from "../../../../test/relay-fixture.ts";
import type { Delta } from "../node/generation.ts";

const HEAD = { id: "chatcmpl-1", object: "chat.completion.chunk", created: 1_763_800_000, model: "their-model" };
const USAGE = { prompt_tokens: 5, completion_tokens: 2, total_tokens: 7 };

/** A chunk of one choice. */
const chunk = (delta: unknown, finish: unknown = null, changes: object = {}) => ({
  ...HEAD,
  choices: [{ index: 0, delta, finish_reason: finish }],
  ...changes,
});
const [HELLO, END, COUNTED] = [chunk({ content: "hello" }), chunk({}, "stop"), { ...HEAD, choices: [], usage: USAGE }];
const tool = (call: unknown) => chunk({ tool_calls: [call] });
const FIRST = { index: 0, id: "call_1", type: "function", function: { name: "f", arguments: "" } };

async function asked(body: string, ask: (relay: TestRelay) => Promise<unknown> = (relay) => relay.chat()) {
  await using upstream = await startUpstream((response) => sendStream(response, body));
  await using relay = openRelay(upstream.url);
  return { result: await ask(relay), deltas: relay.deltas, reported: relay.reported };
}

const said = (deltas: Delta[]) => deltas.map(({ content }) => content ?? "").join("");

test("without [DONE] an answer is whole that has its end and its usage", async () => {
  const { result, deltas } = await asked(eventsOf(HELLO, END, COUNTED).replace("data: [DONE]\n\n", ""));
  expect(result).toMatchObject({ kind: "answered", finishReasons: ["stop"], usage: { promptTokens: 5 } });
  expect(said(deltas)).toBe("hello");
});

test.each<[string, string, string]>([
  ["nothing", "", "truncated"],
  ["only [DONE]", eventsOf(), "truncated"],
  ["no end", eventsOf(HELLO), "truncated"],
  ["no end, and its usage", eventsOf(HELLO, COUNTED), "truncated"],
  ["no usage", eventsOf(HELLO, END), "no_usage"],
  ["usage of null", eventsOf(HELLO, END, { ...COUNTED, usage: null }), "no_usage"],
  ["half a usage", eventsOf(HELLO, END, { ...COUNTED, usage: { prompt_tokens: 5 } }), "no_usage"],
  ["usage before its end alone", eventsOf({ ...HELLO, usage: USAGE }, END), "no_usage"],
  ["usage behind [DONE]", eventsOf(HELLO, END) + eventsOf(COUNTED), "no_usage"],
  [
    "no token for what it said",
    eventsOf(HELLO, END, { ...COUNTED, usage: { ...USAGE, completion_tokens: 0 } }),
    "no_usage",
  ],
  ["tokens below zero", eventsOf(HELLO, END, { ...COUNTED, usage: { ...USAGE, prompt_tokens: -1 } }), "malformed"],
  ["half a token", eventsOf(HELLO, END, { ...COUNTED, usage: { ...USAGE, completion_tokens: 1.5 } }), "malformed"],
  ["tokens in a text", eventsOf(HELLO, END, { ...COUNTED, usage: { ...USAGE, completion_tokens: "2" } }), "malformed"],
  [
    "another id in the middle",
    eventsOf(HELLO, chunk({ content: "!" }, "stop", { id: "chatcmpl-2" }), COUNTED),
    "reordered",
  ],
  ["another model in the middle", eventsOf(HELLO, { ...END, model: "cheaper" }, COUNTED), "reordered"],
  [
    "another fingerprint in the middle",
    eventsOf({ ...HELLO, system_fingerprint: "a" }, { ...END, system_fingerprint: "b" }, COUNTED),
    "reordered",
  ],
  ["an older chunk in the middle", eventsOf(HELLO, { ...END, created: HEAD.created - 1 }, COUNTED), "reordered"],
  [
    "a choice that was not asked for",
    eventsOf(chunk({}, null, { choices: [{ index: 1, delta: {} }] }), END, COUNTED),
    "reordered",
  ],
  ["a choice without an index", eventsOf(chunk({}, null, { choices: [{ delta: {} }] }), END, COUNTED), "reordered"],
  ["half a choice's index", eventsOf(chunk({}, null, { choices: [{ index: 0.5 }] }), END, COUNTED), "reordered"],
  ["a piece behind the end", eventsOf(HELLO, END, HELLO, COUNTED), "reordered"],
  ["two ends", eventsOf(HELLO, END, chunk({}, "length"), COUNTED), "reordered"],
  ["an end that is none", eventsOf(HELLO, chunk({}, "abort"), COUNTED), "malformed"],
  ["an end named as a member of objects", eventsOf(HELLO, chunk({}, "constructor"), COUNTED), "malformed"],
  ["a number for content", eventsOf(chunk({ content: 7 }), END, COUNTED), "malformed"],
  ["a list for content", eventsOf(chunk({ content: [{ type: "text", text: "x" }] }), END, COUNTED), "malformed"],
  ["half a character in content", eventsOf(chunk({ content: "\ud83c" }), END, COUNTED), "malformed"],
  ["a delta that is none", eventsOf(chunk("hello"), END, COUNTED), "malformed"],
  ["choices that are none", eventsOf({ ...HEAD, choices: {} }, END, COUNTED), "malformed"],
  ["a chunk that is none", eventsOf([], END, COUNTED), "malformed"],
  ["a chunk that is cut", `data: {"choices":[{"ind\n\n${eventsOf(END, COUNTED)}`, "malformed"],
  ["a time that is none", eventsOf({ ...HELLO, created: "today" }, END, COUNTED), "malformed"],
  ["an id that is a number", eventsOf({ ...HELLO, id: 7 }, END, COUNTED), "malformed"],
  ["an id without an end", eventsOf({ ...HELLO, id: "x".repeat(1_025) }, END, COUNTED), "malformed"],
  ["an error in the middle", eventsOf(HELLO, { error: { message: "out of memory", code: 500 } }), "error"],
  ["an error as a text", eventsOf(HELLO, { error: "out of memory" }), "error"],
  ["an error as an event", `${eventsOf(HELLO)}`.replace("data: [DONE]", "event: error\ndata: gone"), "error"],
  ["an error in older llama.cpp's way", eventsOf(HELLO).replace("data: [DONE]", 'error: {"code":500}'), "error"],
  ["an error behind a whole answer", eventsOf(HELLO, END, COUNTED, { error: {} }), "error"],
  ["arguments before a name", eventsOf(tool({ index: 0, function: { arguments: "{}" } }), END, COUNTED), "malformed"],
  ["a tool call without an id", eventsOf(tool({ ...FIRST, id: "" }), END, COUNTED), "malformed"],
  ["a tool call out of its turn", eventsOf(tool({ ...FIRST, index: 1 }), END, COUNTED), "reordered"],
  ["a tool call without an index", eventsOf(tool({ ...FIRST, index: undefined }), END, COUNTED), "reordered"],
  [
    "another tool's name",
    eventsOf(tool(FIRST), tool({ ...FIRST, function: { name: "g" } }), END, COUNTED),
    "reordered",
  ],
  ["another call's id", eventsOf(tool(FIRST), tool({ ...FIRST, id: "call_2" }), END, COUNTED), "reordered"],
  [
    "arguments that are no text",
    eventsOf(tool(FIRST), tool({ index: 0, function: { arguments: {} } }), END, COUNTED),
    "malformed",
  ],
  [
    "more tool calls than there may be",
    eventsOf(chunk({ tool_calls: Array.from({ length: 129 }, (_, index) => ({ ...FIRST, index })) }), END, COUNTED),
    "malformed",
  ],
  [
    "a logprob that is none",
    eventsOf(
      chunk({}, null, { choices: [{ index: 0, logprobs: { content: [{ token: "a", logprob: null }] } }] }),
      END,
      COUNTED,
    ),
    "malformed",
  ],
  [
    "a logprob's byte that is none",
    eventsOf(
      chunk({}, null, { choices: [{ index: 0, logprobs: { content: [{ token: "a", logprob: -1, bytes: [256] }] } }] }),
      END,
      COUNTED,
    ),
    "malformed",
  ],
])("a stream with %s is no answer", async (_, body, outcome) => {
  const { result, reported } = await asked(body);
  expect(result).toEqual({
    kind: "failed",
    reason: "upstream",
    message: expect.stringMatching(/^the upstream/),
    attempts: [{ at: "acme", outcome, ms: expect.any(Number) }],
  });
  expect(reported).toMatchObject([{ event: "upstream gave no answer", detail: { upstream: "acme", outcome } }]);
  expect(JSON.stringify([result, reported])).not.toMatch(/secret|hello|out of memory|their-model/);
});

test("half a character in the bytes of a stream is no answer", async () => {
  await using upstream = await startUpstream((response) => {
    const [before = "", after = ""] = eventsOf(chunk({ content: "|" }), END, COUNTED).split("|");
    sendStream(response, before, Uint8Array.of(0xf0, 0x9f), after);
  });
  await using relay = openRelay(upstream.url);
  expect(await relay.chat()).toMatchObject({ kind: "failed", attempts: [{ outcome: "malformed" }] });
});

test("usage that is told twice is counted once, and of a growing count the last", async () => {
  const twice = await asked(eventsOf(HELLO, { ...END, usage: USAGE }, COUNTED));
  expect(twice.result).toMatchObject({ kind: "answered", usage: { promptTokens: 5, completionTokens: 2 } });
  const growing = [1, 2, 3].map((count) =>
    chunk({ content: "x" }, null, { usage: { ...USAGE, completion_tokens: count } }),
  );
  const last = { ...COUNTED, usage: { ...USAGE, completion_tokens: 3 } };
  const grown = await asked(eventsOf(...growing, END, last));
  expect(grown.result).toEqual({
    ...{ kind: "answered", finishReasons: ["stop"], usage: { promptTokens: 5, completionTokens: 3 } },
    ...{ upstream: { model: "their-model", responseId: "chatcmpl-1" }, attempts: [expect.anything()] },
  });
});

test("of two choices that were asked for, one is no answer", async () => {
  const { result } = await asked(eventsOf(HELLO, END, COUNTED), (relay) => relay.chat({ ...MESSAGES, n: 2 }));
  expect(result).toMatchObject({ kind: "failed", attempts: [{ outcome: "truncated" }] });
});

test("completions answer each prompt", async () => {
  const choice = (index: number) => ({ ...HEAD, choices: [{ index, text: `${index}`, finish_reason: "stop" }] });
  const { result, deltas } = await asked(eventsOf(choice(1), choice(0), COUNTED), (relay) =>
    relay.complete({ prompt: ["a", "b"] }),
  );
  expect(result).toMatchObject({ kind: "answered", finishReasons: ["stop", "stop"] });
  expect(deltas).toEqual([
    { index: 1, content: "1" },
    { index: 0, content: "0" },
  ]);
});

const WHOLE: JsonObject = {
  ...HEAD,
  object: "chat.completion",
  choices: [
    {
      index: 0,
      message: {
        role: "assistant",
        content: "hello",
        tool_calls: [{ id: "c", function: { name: "f", arguments: "{}" } }],
      },
      finish_reason: "tool_calls",
    },
  ],
  usage: USAGE,
};

test("an upstream that does not stream is asked not to, and its answer comes in one piece", async () => {
  await using upstream = await startUpstream((response) => sendJson(response, WHOLE));
  await using relay = openRelay(upstream.url, { stream: false });
  expect(await relay.chat()).toMatchObject({
    kind: "answered",
    finishReasons: ["tool_calls"],
    usage: { promptTokens: 5 },
  });
  expect(relay.deltas).toEqual([
    { index: 0, content: "hello", toolCalls: [{ index: 0, id: "c", name: "f", arguments: "{}" }] },
  ]);
  expect(upstream.asked[0]?.body).toEqual({ ...MESSAGES, model: "their-model-7b", stream: false });
});

test("an upstream that answers in one piece though it was asked for a stream is understood", async () => {
  await using upstream = await startUpstream((response) => sendJson(response, WHOLE));
  await using relay = openRelay(upstream.url);
  expect(await relay.chat()).toMatchObject({ kind: "answered" });
  expect(upstream.asked[0]?.body).toMatchObject({ stream: true, stream_options: { include_usage: true } });
});

test.each<[string, unknown]>([
  ["no usage", { ...WHOLE, usage: undefined }],
  ["no choices", { ...WHOLE, choices: [] }],
  ["an error", { error: { message: "no" } }],
  ["no object", 7],
])("of a whole answer with %s nothing is told", async (_, answer) => {
  await using upstream = await startUpstream((response) => sendJson(response, answer));
  await using relay = openRelay(upstream.url);
  expect(await relay.chat()).toMatchObject({ kind: "failed", reason: "upstream" });
  expect(relay.deltas).toEqual([]);
});

test("what the request says of the model and of streams does not reach the upstream, nor does a seed that nobody gave", async () => {
  await using upstream = await startUpstream((response) => sendStream(response, eventsOf(HELLO, END, COUNTED)));
  await using relay = openRelay(upstream.url);
  await relay.chat({ ...MESSAGES, model: "dearer", stream: false, stream_options: {}, temperature: 0.5 });
  const [asked] = upstream.asked;
  expect(asked?.path).toBe("/v1/chat/completions");
  expect(asked?.body).toEqual({
    ...{ ...MESSAGES, temperature: 0.5, model: "their-model-7b" },
    ...{ stream: true, stream_options: { include_usage: true } },
  });
  expect(isJsonObject(asked?.body) && "seed" in asked.body).toBe(false);
});
