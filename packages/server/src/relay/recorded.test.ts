import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { sendStream, startUpstream } from "../../../../test/mock-upstream.ts";
import { MESSAGES, openRelay } from "../../../../test/relay-fixture.ts";
import type { Delta, Generated } from "../node/generation.ts";
import { createAnswer, type Whole } from "./answer.ts";
import { createSseReader } from "./sse.ts";

const recorded = (name: string) => new Uint8Array(readFileSync(join(import.meta.dirname, "recorded", `${name}.sse`)));

type Read = Omit<Extract<Generated, { kind: "answered" }>, "kind" | "attempts"> & { deltas: Delta[] };

const EXPECTED: Record<string, Read> = {
  openai: {
    deltas: ["Grüße", ", 世界", " 🌍"].map((content) => ({ index: 0, content })),
    finishReasons: ["stop"],
    usage: { promptTokens: 1117, completionTokens: 46, cachedTokens: 1024, reasoningTokens: 12 },
    upstream: { model: "gpt-4o-2024-08-06", responseId: "chatcmpl-B1", fingerprint: "fp_07871e2ad8" },
  },
  "openai-n2": {
    deltas: [
      {
        index: 1,
        content: "no",
        logprobs: [
          {
            token: "no",
            logprob: -0.5,
            bytes: [110, 111],
            top_logprobs: [
              { token: "no", logprob: -0.5, bytes: [110, 111] },
              { token: "é", logprob: -1.25, bytes: [195, 169] },
            ],
          },
        ],
      },
      {
        index: 0,
        content: "yes",
        logprobs: [{ token: "yes", logprob: -0.75, bytes: [121, 101, 115], top_logprobs: [] }],
      },
    ],
    finishReasons: ["stop", "length"],
    usage: { promptTokens: 9, completionTokens: 2 },
    upstream: { model: "gpt-4o-2024-08-06", responseId: "chatcmpl-B1", fingerprint: "fp_07871e2ad8" },
  },
  azure: {
    deltas: [{ index: 0, content: "Hello" }],
    finishReasons: ["stop"],
    usage: { promptTokens: 8, completionTokens: 1 },
    upstream: { model: "gpt-4o-2024-08-06", responseId: "chatcmpl-Az", fingerprint: "fp_07871e2ad8" },
  },
  vllm: {
    deltas: [
      { index: 0, reasoning: "They greet." },
      { index: 0, content: "Hello" },
      { index: 0, content: " there" },
    ],
    finishReasons: ["stop"],
    usage: { promptTokens: 14, completionTokens: 7 },
    upstream: { model: "Qwen/Qwen3-8B", responseId: "chatcmpl-5f2a" },
  },
  "vllm-tools": {
    deltas: [
      { index: 0, toolCalls: [{ index: 0, id: "chatcmpl-tool-1", name: "weather" }] },
      { index: 0, toolCalls: [{ index: 0, arguments: '{"city": ' }] },
      { index: 0, toolCalls: [{ index: 0, arguments: '"Zürich"}' }] },
      { index: 0, toolCalls: [{ index: 1, id: "chatcmpl-tool-2", name: "time" }] },
      { index: 0, toolCalls: [{ index: 1, arguments: "{}" }] },
    ],
    finishReasons: ["tool_calls"],
    usage: { promptTokens: 120, completionTokens: 31 },
    upstream: { model: "Qwen/Qwen3-8B", responseId: "chatcmpl-5f2a" },
  },
  "llama-cpp": {
    deltas: [
      { index: 0, reasoning: "I need a tool." },
      { index: 0, toolCalls: [{ index: 0, id: "k9PzNnYb1xq", name: "weather", arguments: "{" }] },
      { index: 0, toolCalls: [{ index: 0, arguments: '"city":"Bern"' }] },
      { index: 0, toolCalls: [{ index: 0, arguments: "}" }] },
    ],
    finishReasons: ["tool_calls"],
    usage: { promptTokens: 161, completionTokens: 21 },
    upstream: {
      model: "qwen2.5-7b-instruct-q4_k_m",
      responseId: "chatcmpl-X6urH4f6",
      fingerprint: "b6097-9515c613",
    },
  },
  ollama: {
    deltas: [
      { index: 0, reasoning: "Short." },
      { index: 0, content: "Salut" },
      { index: 0, content: " !" },
    ],
    finishReasons: ["stop"],
    usage: { promptTokens: 0, completionTokens: 6 },
    upstream: { model: "qwen3:4b", responseId: "chatcmpl-417", fingerprint: "fp_ollama" },
  },
  openrouter: {
    deltas: [{ index: 0, content: "Hi" }],
    finishReasons: ["stop"],
    usage: { promptTokens: 5, completionTokens: 2 },
    upstream: { model: "meta-llama/llama-3.1-8b-instruct", responseId: "gen-1763800000-a1" },
  },
  completion: {
    deltas: [
      {
        index: 0,
        content: "once",
        logprobs: [
          {
            token: "once",
            bytes: null,
            logprob: -0.25,
            top_logprobs: [
              { token: "once", bytes: null, logprob: -0.25 },
              { token: "Once", bytes: null, logprob: -2 },
            ],
          },
        ],
      },
      { index: 0, content: " upon", logprobs: [{ token: " upon", bytes: null, logprob: -0.5, top_logprobs: [] }] },
    ],
    finishReasons: ["length"],
    usage: { promptTokens: 3, completionTokens: 2 },
    upstream: { model: "Qwen/Qwen3-8B", responseId: "cmpl-7a" },
  },
};
const NAMES = Object.keys(EXPECTED);

/** The chunks of a stream, put together without a network. */
function assemble(name: string, ...chunks: Uint8Array[]): Whole & { deltas: Delta[] } {
  const reader = createSseReader();
  const answer = createAnswer(name === "completion" ? "completion" : "chat", EXPECTED[name]?.finishReasons.length ?? 1);
  const events = [...chunks.flatMap((chunk) => reader.push(chunk)), ...reader.end()];
  const deltas = events.flatMap(({ data }) => (data === "[DONE]" ? [] : answer.take(JSON.parse(data))));
  return { deltas, ...answer.end() };
}

test.each(NAMES)("the stream of %s is read over a connection as it is recorded", async (name) => {
  await using upstream = await startUpstream((response) => sendStream(response, recorded(name)));
  await using relay = openRelay(upstream.url);
  const n = EXPECTED[name]?.finishReasons.length ?? 1;
  const answered = await (name === "completion" ? relay.complete() : relay.chat({ ...MESSAGES, n }));
  const { deltas, ...whole } = EXPECTED[name] ?? { deltas: [] };
  expect(answered).toEqual({
    kind: "answered",
    ...whole,
    attempts: [{ at: "acme", outcome: "answered", ms: expect.any(Number) }],
  });
  expect(relay.deltas).toEqual(deltas);
});

/** As `assemble`, in one text, which is faster to compare; undefined where it is no answer. */
function outcome(name: string, ...chunks: Uint8Array[]): string | undefined {
  try {
    return JSON.stringify(assemble(name, ...chunks));
  } catch {
    return undefined;
  }
}

test.each(NAMES)("the stream of %s says the same wherever it is cut in two, and in single bytes", (name) => {
  const bytes = recorded(name);
  expect(assemble(name, bytes)).toEqual(EXPECTED[name]);
  const whole = outcome(name, bytes);
  const cuts = Array.from(bytes, (_, cut) => [bytes.subarray(0, cut), bytes.subarray(cut)]);
  expect(cuts.filter((chunks) => outcome(name, ...chunks) !== whole)).toEqual([]);
  expect(outcome(name, ...Array.from(bytes, (byte) => Uint8Array.of(byte)))).toBe(whole);
});

test.each(NAMES)("the stream of %s, cut off anywhere, is the whole answer or none", (name) => {
  const bytes = recorded(name);
  const whole = outcome(name, bytes);
  const outcomes = Array.from(bytes, (_, end) => outcome(name, bytes.subarray(0, end)));
  expect(new Set(outcomes)).toEqual(new Set([undefined, whole]));
  const lastChunk = Buffer.from(bytes).lastIndexOf("\n\ndata:"); // Behind it comes the end alone.
  expect(outcomes[lastChunk]).toBe(whole);
  if (name !== "vllm") expect(outcomes.indexOf(whole)).toBe(lastChunk); // vLLM has told all with the chunk before.
});
