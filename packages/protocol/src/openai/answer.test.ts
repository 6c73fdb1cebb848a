import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { RUNS } from "../../../../test/runs.ts";
import { readVectors, type Vector } from "../../../../test/vectors.ts";
import { base64, hex } from "../bytes.ts";
import { encodeJsonAnswer } from "../call/call.ts";
import type { JsonOperation } from "../call/operation.ts";
import { Malformed } from "../cbor/bytes.ts";
import { encodeJson, type Json, type JsonObject } from "../json/canonical.ts";
import { STREAM_CHOICES, STREAM_TOOL_CALLS } from "../limits.ts";
import {
  ChunkedAnswer,
  chatAnswerOf,
  completionAnswerOf,
  embeddingAnswerOf,
  encodeVector,
  responseAnswerOf,
} from "./answer.ts";

const CANONICAL = {
  chat: chatAnswerOf,
  completion: completionAnswerOf,
  embedding: embeddingAnswerOf,
  response: responseAnswerOf,
};
const USAGE = { prompt_tokens: 3, completion_tokens: 5, total_tokens: 8 };

type BodyVector = Vector & { operation: JsonOperation; body?: JsonObject; chunks?: JsonObject[]; canonical?: Json };

test.each(readVectors<BodyVector & { hex?: string }>("call/openai-answers.json"))("$desc", (vector) => {
  const { operation, body, chunks, canonical, wantErr } = vector;
  const made = (): JsonObject => {
    if (chunks === undefined) return CANONICAL[operation](body ?? {});
    if (operation !== "chat" && operation !== "completion") throw new Error("only chunks are put together");
    const whole = new ChunkedAnswer(operation);
    for (const chunk of chunks) whole.add(chunk);
    return whole.answer();
  };
  if (wantErr) return expect(made).toThrow(Malformed);
  expect(made()).toEqual(canonical);
  expect(hex(encodeJsonAnswer(made()))).toBe(vector.hex);
});

/** `text` in pieces, of which some say nothing. */
const split = (text: string): fc.Arbitrary<string[]> =>
  fc
    .array(fc.nat(text.length), { maxLength: 4 })
    .map((cuts) => [0, ...cuts.sort((a, b) => a - b), text.length])
    .map((cuts) => cuts.slice(1).map((cut, i) => text.slice(cuts[i], cut)));

const logprob = fc.record({ token: fc.string({ maxLength: 3 }), logprob: fc.constantFrom(-1, -0.5, 0) });
const tool = fc.record({ id: fc.string({ minLength: 1 }), name: fc.string({ minLength: 1 }), args: fc.string() });
const message = fc.record({
  content: fc.option(fc.string({ unit: "grapheme" })),
  refusal: fc.option(fc.string()),
  reasoning: fc.option(fc.string()),
  tools: fc.array(tool, { maxLength: 3 }),
  logprobs: fc.option(fc.array(logprob, { minLength: 1, maxLength: 3 })),
  finish: fc.constantFrom("stop", "length", "tool_calls", "content_filter"),
});
type Message = typeof message extends fc.Arbitrary<infer T> ? T : never;

const bodyOf = (messages: Message[]): JsonObject => ({
  id: "chatcmpl-1",
  object: "chat.completion",
  created: 1,
  model: "example",
  system_fingerprint: "fp",
  choices: messages.map(({ content, refusal, reasoning, tools, logprobs, finish }, index) => ({
    index,
    message: {
      role: "assistant",
      content,
      refusal,
      ...(reasoning === null ? {} : { reasoning_content: reasoning }),
      annotations: [],
      ...(tools.length === 0
        ? {}
        : {
            tool_calls: tools.map(({ id, name, args }) => ({
              id,
              type: "function",
              function: { name, arguments: args },
            })),
          }),
    },
    logprobs: logprobs === null ? null : { content: logprobs, refusal: null },
    finish_reason: finish,
  })),
  usage: USAGE,
});

/** A choice in the pieces of a stream: in order within each kind, the kinds one after another. */
const piecesOf = ({ content, refusal, reasoning, tools, logprobs, finish }: Message, index: number) => {
  const told = (name: string, text: string | null) =>
    text === null
      ? fc.constant([])
      : split(text).map((parts) => parts.map((part): JsonObject => ({ delta: { [name]: part } })));
  const called = tools.map(({ id, name, args }, at) =>
    fc.tuple(split(args), fc.boolean()).map(([parts, again]) =>
      parts.map((part, i): JsonObject => {
        const named = i === 0 || again ? { id, type: "function" } : {};
        return {
          delta: {
            tool_calls: [{ index: at, ...named, function: { ...(i === 0 || again ? { name } : {}), arguments: part } }],
          },
        };
      }),
    ),
  );
  const measured = (logprobs ?? []).map(
    (one): JsonObject => ({ delta: {}, logprobs: { content: [one], refusal: null } }),
  );
  return fc
    .tuple(told("reasoning_content", reasoning), told("content", content), told("refusal", refusal), ...called)
    .map((parts) => [
      // Most streams begin by saying whose turn it is, with texts that say nothing.
      { delta: { role: "assistant", content: "", refusal: null } },
      ...parts.flat(),
      ...measured,
      { delta: {}, finish_reason: finish },
    ])
    .map((parts) => parts.map((part) => ({ index, finish_reason: null, ...part })));
};

/** One stream of several choices, each in its own order. */
const interleaved = (choices: JsonObject[][]): fc.Arbitrary<JsonObject[]> =>
  fc.array(fc.nat(), { minLength: 40, maxLength: 40 }).map((turns) => {
    const waiting = choices.map((pieces) => [...pieces]).filter((pieces) => pieces.length > 0);
    const chunks: JsonObject[] = [];
    for (let i = 0; waiting.length > 0; i++) {
      const at = (turns[i % turns.length] ?? 0) % waiting.length;
      const piece = waiting[at]?.shift();
      if (piece !== undefined) chunks.push({ object: "chat.completion.chunk", choices: [piece] });
      if (waiting[at]?.length === 0) waiting.splice(at, 1);
    }
    return [...chunks, { choices: [], usage: USAGE }];
  });

test("a chat answer is the same bytes whole and in whatever pieces it comes", () => {
  const streamed = fc
    .array(message, { minLength: 1, maxLength: 3 })
    .chain((messages) =>
      fc.tuple(fc.constant(bodyOf(messages)), fc.tuple(...messages.map(piecesOf)).chain(interleaved)),
    );
  fc.assert(
    fc.property(streamed, ([body, chunks]) => {
      const before = JSON.stringify(chunks);
      const whole = new ChunkedAnswer("chat");
      for (const chunk of chunks) whole.add(chunk);
      expect(whole.answer()).toEqual(chatAnswerOf(body));
      expect(JSON.stringify(chunks)).toBe(before);
    }),
    RUNS,
  );
});

test("a completion is the same bytes whole and in whatever pieces it comes, with logprobs in lists side by side", () => {
  const streamed = fc.array(fc.string({ unit: "grapheme", minLength: 1 }), { minLength: 1 });
  fc.assert(
    fc.property(streamed, (tokens) => {
      const logprobs = { tokens, token_logprobs: tokens.map(() => -1) };
      const whole = new ChunkedAnswer("completion");
      for (const token of tokens)
        whole.add({ choices: [{ index: 0, text: token, logprobs: { tokens: [token], token_logprobs: [-1] } }] });
      whole.add({ choices: [{ index: 0, text: "", finish_reason: "stop" }], usage: USAGE });
      const choice = { index: 0, text: tokens.join(""), logprobs, finish_reason: "stop" };
      expect(encodeJson(whole.answer())).toEqual(encodeJson(completionAnswerOf({ choices: [choice], usage: USAGE })));
    }),
    RUNS,
  );
});

test("a message that called or refused, and said nothing, has no content; one that said nothing else has the empty text", () => {
  const contentOf = (told: JsonObject) => {
    const choices = [{ index: 0, finish_reason: "stop", message: { role: "assistant", ...told } }];
    const [choice] = chatAnswerOf({ choices, usage: USAGE }).choices as { message: JsonObject }[];
    return choice?.message.content;
  };
  const tool_calls = [{ id: "a", function: { name: "f", arguments: "{}" } }];
  expect([null, "", undefined].map((content) => contentOf(content === undefined ? {} : { content }))).toEqual([
    "",
    "",
    "",
  ]);
  expect([null, ""].map((content) => contentOf({ content, refusal: "no" }))).toEqual([null, null]);
  expect([null, ""].map((content) => contentOf({ content, tool_calls }))).toEqual([null, null]);
  expect(contentOf({ content: "so", tool_calls })).toBe("so");
});

describe("a stream is no answer", () => {
  const finish = { index: 0, delta: {}, finish_reason: "stop" };
  const call = (piece: JsonObject) => ({ choices: [{ index: 0, delta: { tool_calls: [piece] } }] });
  const named = { index: 0, id: "a", function: { name: "f", arguments: "" } };
  test.each<[string, JsonObject[]]>([
    ["without a choice", [{ choices: [], usage: USAGE }]],
    ["without its usage", [{ choices: [finish] }]],
    ["where a choice did not finish", [{ choices: [finish, { index: 1, delta: {} }], usage: USAGE }]],
    [
      "where a choice goes on after its end",
      [{ choices: [finish] }, { choices: [{ index: 0, delta: { content: "x" } }] }],
    ],
    ["where a choice ends twice", [{ choices: [finish] }, { choices: [finish] }]],
    ["with a choice of too high a number", [{ choices: [{ ...finish, index: STREAM_CHOICES }] }]],
    ["with a choice between two numbers", [{ choices: [{ ...finish, index: 0.5 }] }]],
    ["with a choice without a number", [{ choices: [{ delta: {} }] }]],
    ["with a tool call of too high a number", [call({ ...named, index: STREAM_TOOL_CALLS })]],
    ["with a tool call without a number", [call({ id: "a" })]],
    ["with a tool call of two names", [call(named), call({ ...named, function: { name: "g" } })]],
    ["with a tool call of two ids", [call(named), call({ ...named, id: "b" })]],
    ["with content that is a list", [{ choices: [{ index: 0, delta: { content: ["x"] } }] }]],
    ["with choices that are no list", [{ choices: {} }]],
    ["with a delta that is none", [{ choices: [{ index: 0, delta: null }] }]],
  ])("%s", (_, chunks) => {
    const whole = new ChunkedAnswer("chat");
    expect(() => {
      for (const chunk of chunks) whole.add(chunk);
      whole.answer();
    }).toThrow(Malformed);
  });
});

test("a vector is the same as floats and as base64, and a zero has no sign", () => {
  const finite = fc.float({ noNaN: true, noDefaultInfinity: true });
  fc.assert(
    fc.property(fc.array(finite), (vector) => {
      const embedding = encodeVector(vector);
      const sent: number[] = JSON.parse(JSON.stringify(vector)); // What JSON keeps of them.
      const data = (told: Json) => ({ data: [{ index: 0, embedding: told }], usage: USAGE });
      expect(embeddingAnswerOf(data(sent))).toEqual({ embeddings: [embedding], usage: USAGE });
      expect(embeddingAnswerOf(data(embedding))).toEqual({ embeddings: [embedding], usage: USAGE });
    }),
    RUNS,
  );
  expect(encodeVector([-0, -1e-60])).toBe(base64(new Uint8Array(8)));
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY, 1e39])
    expect(() => encodeVector([value])).toThrow(Malformed);
});

test("embeddings whose numbers say another order than they stand in are no answer", () => {
  const row = (index: number) => ({ index, embedding: [index] });
  expect(embeddingAnswerOf({ data: [row(0), row(1)], usage: USAGE }).embeddings).toHaveLength(2);
  expect(() => embeddingAnswerOf({ data: [row(1), row(0)], usage: USAGE })).toThrow("numbered as they stand");
});

test("a response keeps all that is said, and drops what names its items or tells how far they are", () => {
  const item = { type: "message", role: "assistant", content: [{ type: "output_text", text: "hi", annotations: [] }] };
  const body = {
    id: "resp_1",
    status: "completed",
    output: [{ id: "msg_1", status: "completed", ...item }],
    usage: USAGE,
  };
  expect(responseAnswerOf({ ...body, incomplete_details: null, created_at: 5 })).toEqual({
    output: [item],
    status: "completed",
    usage: USAGE,
  });
});
