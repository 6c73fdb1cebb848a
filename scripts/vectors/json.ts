/** test/vectors of what is JSON: canonical JSON, calls and answers in it, and answers of OpenAI's in their canonical form. */
import { cbor, type Item, map } from "./cbor.ts";

type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

/** RFC 8785 for names and numbers that need no care: the names of these vectors are ASCII, their numbers short. */
export function canonical(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const names = Object.keys(value).sort();
  return `{${names.map((name) => `${JSON.stringify(name)}:${canonical(value[name] ?? null)}`).join(",")}}`;
}

const utf8 = (text: string) => Buffer.from(text);
const nested = (depth: number) => `${"[".repeat(depth)}${"]".repeat(depth)}`;

/** Texts in base64, of which the valid ones are RFC 8785 and nothing else. */
export function canonicalVectors(): object[] {
  const vector = (desc: string, wantErr: boolean, bytes: Uint8Array) => ({
    desc,
    wantErr,
    json: Buffer.from(bytes).toString("base64"),
  });
  const good = (desc: string, text: string) => vector(desc, false, utf8(text));
  const bad = (desc: string, text: string) => vector(desc, true, utf8(text));
  return [
    good("an empty object", "{}"),
    good("the three words", '{"a":[true,false,null]}'),
    good("numbers as ECMAScript spells them", "[0,1,-1.5,1e+21,1e-7,123456789012345680000,5e-324]"),
    good("controls, a quote and a backslash, escaped as shortly as can be", '["\\b\\t\\n\\f\\r\\u0000\\u001f\\"\\\\"]'),
    good("a solidus and DEL as they are", '["/\u007f"]'),
    good("letters beyond ASCII as they are", '["é€\u{1f600}\u2028"]'),
    good("names in order of UTF-16 units", '{"\\r":1,"1":2,"\u0080":3,"ö":4,"€":5,"\u{1f600}":6,"\ufb33":7}'),
    good("an empty name", '{"":1}'),
    good("64 arrays in one another", nested(64)),
    bad("65 arrays in one another", nested(65)),
    bad("a space", '{"a": 1}'),
    bad("a line break at the end", "{}\n"),
    bad("a byte order mark", "\ufeff{}"),
    bad("names out of order", '{"b":1,"a":2}'),
    bad("names in order of code points", '{"\ufb33":7,"\u{1f600}":6}'),
    bad("a name twice", '{"a":1,"a":1}'),
    bad("a number with a zero behind its point", "[1.0]"),
    bad("a number with an exponent that it needs not", "[1e2]"),
    bad("an exponent without its sign", "[1e21]"),
    bad("an exponent in upper case", "[1E+21]"),
    bad("minus zero", "[-0]"),
    bad("more digits than the number has", "[0.1000000000000000055511151231257827]"),
    bad("an integer that a float does not have", "[9007199254740993]"),
    bad("a number beyond all", "[1e400]"),
    bad("a letter escaped that needs not be", '["\\u0061"]'),
    bad("a solidus escaped", '["\\/"]'),
    bad("an escape in upper case", '["\\u001F"]'),
    bad("a tab as it is", '["\t"]'),
    bad("half of a surrogate pair", '["\\ud800"]'),
    bad("the other half", '["\\udc00"]'),
    bad("half of a surrogate pair in a name", '{"\\ud800":1}'),
    bad("a surrogate pair escaped", '["\\ud83d\\ude00"]'),
    bad("a trailing comma", "[1,]"),
    bad("a comment", "{}//"),
    bad("NaN", "[NaN]"),
    bad("two values", "{}{}"),
    bad("nothing", ""),
    vector("a surrogate in UTF-8", true, Buffer.from("5b22eda08022 5d".replaceAll(" ", ""), "hex")),
    vector("a letter in more bytes than it needs", true, Buffer.from("5b22c1a1225d", "hex")),
    vector("a letter cut short", true, Buffer.from("5b22c3225d", "hex")),
  ];
}

const body = (value: Json): Item => utf8(canonical(value));
/** The chat of docs/spec/call.md. */
export const CHAT = { messages: [{ content: "2 + 2?", role: "user" }], seed: 7 };
/** Its answer. */
export const CHAT_ANSWER = {
  choices: [{ finish_reason: "stop", index: 0, message: { content: "4", role: "assistant" } }],
  usage: { completion_tokens: 1, prompt_tokens: 6, total_tokens: 7 },
};

const hexOf = (item: Item) => cbor(item).toString("hex");
const good = (desc: string, item: Item, says: object) => ({ desc, wantErr: false, hex: hexOf(item), says });
const bad = (desc: string, item: Item) => ({ desc, wantErr: true, hex: hexOf(item) });

/** Calls in JSON. */
export function jsonCallVectors(): object[] {
  const call = (operation: Item, json: Item) => map([0, 1], [1, operation], [4, json]);
  const embedding = { dimensions: 256, input: ["a", "b"] };
  return [
    good("a chat", call(2, body(CHAT)), { operation: "chat", body: CHAT }),
    good("a completion", call(3, body({ prompt: "é" })), { operation: "completion", body: { prompt: "é" } }),
    good("embeddings", call(4, body(embedding)), { operation: "embedding", body: embedding }),
    good("a response", call(5, body({ input: "hi" })), { operation: "response", body: { input: "hi" } }),
    good("a body of no member", call(2, body({})), { operation: "chat", body: {} }),
    bad("the operation 0", call(0, body(CHAT))),
    bad("the operation 6", call(6, body(CHAT))),
    bad("tensors with a body", map([0, 1], [1, 1], [2, []], [3, []], [4, body(CHAT)])),
    bad("an inference with a body alone", call(1, body(CHAT))),
    bad("a chat with inputs beside its body", map([0, 1], [1, 2], [2, []], [4, body(CHAT)])),
    bad("a chat with outputs beside its body", map([0, 1], [1, 2], [3, []], [4, body(CHAT)])),
    bad("a chat with inputs and outputs and no body", map([0, 1], [1, 2], [2, []], [3, []])),
    bad("a chat without a body", map([0, 1], [1, 2])),
    bad("a body as text", call(2, canonical(CHAT))),
    bad("a body of no bytes", call(2, utf8(""))),
    bad("a body that is a list", call(2, utf8("[]"))),
    bad("a body that is a text", call(2, utf8('"hi"'))),
    bad("a body that is null", call(2, utf8("null"))),
    bad("a body with a space", call(2, utf8('{"messages": []}'))),
    bad("a body whose members are out of order", call(2, utf8('{"seed":7,"messages":[]}'))),
    bad("a body with half of a surrogate pair", call(2, utf8('{"input":"\\ud800"}'))),
    bad("a body nested 65 deep", call(2, utf8(`{"a":${nested(64)}}`))),
    bad("a body that is no UTF-8", call(2, Buffer.from("7b2261223a22ff227d", "hex"))),
  ];
}

/** Answers in JSON. */
export function jsonAnswerVectors(): object[] {
  const answer = (json: Item) => map([0, 1], [2, json]);
  return [
    good("a chat's answer", answer(body(CHAT_ANSWER)), CHAT_ANSWER),
    good("a body of no member", answer(body({})), {}),
    bad("outputs and a body", map([0, 1], [1, []], [2, body(CHAT_ANSWER)])),
    bad("a body as text", answer(canonical(CHAT_ANSWER))),
    bad("a body that is a list", answer(utf8("[]"))),
    bad("a body with a space", answer(utf8('{"usage": {}}'))),
    bad("a body whose members are out of order", answer(utf8('{"usage":{},"choices":[]}'))),
    bad("a body under the key of a call's", map([0, 1], [4, body(CHAT_ANSWER)])),
    bad("a version of 2 with a body", map([0, 2], [2, body(CHAT_ANSWER)])),
  ];
}

type Operation = "chat" | "completion" | "embedding" | "response";
/** A whole body, or the chunks of a stream, and what comes of it. */
type Told = { body: Json } | { chunks: Json[] };
const usage = CHAT_ANSWER.usage;
const finish = (index = 0, reason = "stop") => ({ choices: [{ index, delta: {}, finish_reason: reason }] });
const delta = (says: Json, index = 0) => ({ choices: [{ index, delta: says, finish_reason: null }] });
const tool = (index: number, says: { [name: string]: Json }) => delta({ tool_calls: [{ index, ...says }] });
const whole = (message: { [name: string]: Json }, more: { [name: string]: Json } = {}) => ({
  body: {
    id: "chatcmpl-1",
    object: "chat.completion",
    created: 1,
    model: "m",
    ...more,
    usage,
    choices: [{ index: 0, message, finish_reason: "stop" }],
  },
});
const answered = (message: { [name: string]: Json }, more: { [name: string]: Json } = {}) => ({
  choices: [{ index: 0, finish_reason: "stop", message: { role: "assistant", ...message }, ...more }],
  usage,
});
const ended = [finish(), { choices: [], usage }];

/** Answers as OpenAI's API gives them, and the canonical answer that each is. */
export function openAiAnswerVectors(): object[] {
  const made = (desc: string, operation: Operation, told: Told, says: { [name: string]: Json }) => {
    const hex = hexOf(map([0, 1], [2, body(says)]));
    return { desc, wantErr: false, operation, ...told, canonical: says, hex };
  };
  const fails = (desc: string, operation: Operation, told: Told) => ({ desc, wantErr: true, operation, ...told });
  const four = answered({ content: "4" });
  const weather = { id: "call_1", type: "function", function: { name: "weather", arguments: '{"city":"Bern"}' } };
  const time = { id: "call_2", type: "function", function: { name: "time", arguments: "{}" } };
  const called = answered({ content: null, tool_calls: [weather, time] });
  const probable = (token: string) => ({ token, logprob: -0.5, bytes: null, top_logprobs: [] });
  const [first, second] = [probable("4"), probable(".")];
  const logprobs = { content: [first, second], refusal: null };
  return [
    made("a chat's body", "chat", whole({ role: "assistant", content: "4", refusal: null, annotations: [] }), four),
    made(
      "the same, dated and named otherwise",
      "chat",
      whole({ role: "assistant", content: "4" }, { id: "x", created: 2, system_fingerprint: "fp" }),
      four,
    ),
    made(
      "the same in chunks",
      "chat",
      { chunks: [delta({ role: "assistant", content: "" }), delta({ content: "4" }), ...ended] },
      four,
    ),
    made(
      "the same in chunks, all in one",
      "chat",
      {
        chunks: [{ choices: [{ index: 0, delta: { role: "assistant", content: "4" }, finish_reason: "stop" }], usage }],
      },
      four,
    ),
    made("a body of an empty content", "chat", whole({ role: "assistant", content: "" }), answered({ content: "" })),
    made("chunks that say nothing", "chat", { chunks: ended }, answered({ content: "" })),
    made(
      "a body with tool calls",
      "chat",
      whole({ role: "assistant", content: null, tool_calls: [weather, time] }),
      called,
    ),
    made(
      "tool calls over several chunks",
      "chat",
      {
        chunks: [
          delta({ role: "assistant", content: "" }),
          tool(0, { id: "call_1", type: "function", function: { name: "weather", arguments: "" } }),
          tool(0, { function: { arguments: '{"city":' } }),
          tool(1, { id: "call_2", type: "function", function: { name: "time", arguments: "{}" } }),
          tool(0, { id: "call_1", function: { name: "weather", arguments: '"Bern"}' } }),
          ...ended,
        ],
      },
      called,
    ),
    made(
      "a refusal in a body",
      "chat",
      whole({ role: "assistant", content: null, refusal: "No." }),
      answered({ content: null, refusal: "No." }),
    ),
    made(
      "a refusal in chunks",
      "chat",
      {
        chunks: [
          delta({ role: "assistant", content: "", refusal: null }),
          delta({ refusal: "No" }),
          delta({ refusal: "." }),
          ...ended,
        ],
      },
      answered({ content: null, refusal: "No." }),
    ),
    made(
      "reasoning in a body",
      "chat",
      whole({ role: "assistant", content: "4", reasoning_content: "2 and 2" }),
      answered({ content: "4", reasoning_content: "2 and 2" }),
    ),
    made(
      "reasoning in chunks",
      "chat",
      {
        chunks: [
          delta({ reasoning_content: "2 and" }),
          delta({ reasoning_content: " 2" }),
          delta({ content: "4" }),
          ...ended,
        ],
      },
      answered({ content: "4", reasoning_content: "2 and 2" }),
    ),
    made(
      "logprobs in chunks",
      "chat",
      {
        chunks: [
          {
            choices: [
              { index: 0, delta: { content: "4" }, logprobs: { content: [first], refusal: null }, finish_reason: null },
            ],
          },
          {
            choices: [
              {
                index: 0,
                delta: { content: "." },
                logprobs: { content: [second], refusal: null },
                finish_reason: null,
              },
            ],
          },
          ...ended,
        ],
      },
      answered({ content: "4." }, { logprobs }),
    ),
    made(
      "two choices that come by turns",
      "chat",
      {
        chunks: [delta({ content: "5" }, 1), delta({ content: "4" }), finish(1, "length"), ...ended],
      },
      {
        choices: [...four.choices, { index: 1, finish_reason: "length", message: { role: "assistant", content: "5" } }],
        usage,
      },
    ),
    made(
      "a completion's body",
      "completion",
      { body: { choices: [{ index: 0, text: "4", logprobs: null, finish_reason: "stop" }], usage } },
      { choices: [{ index: 0, finish_reason: "stop", text: "4" }], usage },
    ),
    made(
      "a completion in chunks",
      "completion",
      {
        chunks: [
          { choices: [{ index: 0, text: "4" }] },
          { choices: [{ index: 0, text: "", finish_reason: "stop" }], usage },
        ],
      },
      { choices: [{ index: 0, finish_reason: "stop", text: "4" }], usage },
    ),
    made(
      "embeddings as floats",
      "embedding",
      { body: { object: "list", data: [{ index: 0, embedding: [1, -2.5, 0] }], usage } },
      { embeddings: ["AACAPwAAIMAAAAAA"], usage },
    ),
    made(
      "embeddings in base64",
      "embedding",
      { body: { object: "list", data: [{ index: 0, embedding: "AACAPwAAIMAAAAAA" }], usage } },
      { embeddings: ["AACAPwAAIMAAAAAA"], usage },
    ),
    made(
      "a response",
      "response",
      {
        body: {
          id: "resp_1",
          created_at: 1,
          status: "incomplete",
          incomplete_details: { reason: "max_output_tokens" },
          usage,
          output: [
            {
              id: "msg_1",
              status: "completed",
              type: "message",
              role: "assistant",
              content: [{ type: "output_text", text: "4", annotations: [] }],
            },
          ],
        },
      },
      {
        incomplete_details: { reason: "max_output_tokens" },
        output: [
          { content: [{ annotations: [], text: "4", type: "output_text" }], role: "assistant", type: "message" },
        ],
        status: "incomplete",
        usage,
      },
    ),
    fails("a body without usage", "chat", { body: { choices: [] } }),
    fails("a body without choices", "chat", { body: { usage } }),
    fails("a choice without a message", "chat", { body: { choices: [{ index: 0, finish_reason: "stop" }], usage } }),
    fails("content that is a list", "chat", whole({ content: [{ type: "text", text: "4" }] })),
    fails("a tool call without a function", "chat", whole({ content: null, tool_calls: [{ id: "a" }] })),
    fails("chunks that do not end", "chat", { chunks: [delta({ content: "4" }), { choices: [], usage }] }),
    fails("chunks without usage", "chat", { chunks: [delta({ content: "4" }), finish()] }),
    fails("no chunk", "chat", { chunks: [] }),
    fails("a chunk of a choice that has ended", "chat", { chunks: [...ended, delta({ content: "5" })] }),
    fails("a second choice that does not end", "chat", { chunks: [delta({ content: "5" }, 1), ...ended] }),
    fails("a choice numbered 128", "chat", { chunks: [finish(128), ...ended] }),
    fails("a choice numbered -1", "chat", { chunks: [finish(-1), ...ended] }),
    fails("a tool call numbered 128", "chat", { chunks: [tool(128, { id: "a", function: { name: "f" } }), ...ended] }),
    fails("a tool call with two names", "chat", {
      chunks: [tool(0, { id: "a", function: { name: "f" } }), tool(0, { function: { name: "g" } }), ...ended],
    }),
    fails("a completion's text that is a number", "completion", {
      body: { choices: [{ index: 0, text: 4, finish_reason: "stop" }], usage },
    }),
    fails("embeddings numbered in another order", "embedding", {
      body: {
        data: [
          { index: 1, embedding: [1] },
          { index: 0, embedding: [2] },
        ],
        usage,
      },
    }),
    fails("an embedding of three bytes", "embedding", { body: { data: [{ index: 0, embedding: "AACA" }], usage } }),
    fails("an embedding with a text in it", "embedding", {
      body: { data: [{ index: 0, embedding: [1, "2"] }], usage },
    }),
    fails("an embedding with null in it", "embedding", { body: { data: [{ index: 0, embedding: [1, null] }], usage } }),
    fails("an embedding that FP32 cannot hold", "embedding", {
      body: { data: [{ index: 0, embedding: [1e39] }], usage },
    }),
    fails("a response without a status", "response", { body: { output: [], usage } }),
    fails("a response whose output is no list", "response", { body: { output: {}, status: "completed", usage } }),
  ];
}
