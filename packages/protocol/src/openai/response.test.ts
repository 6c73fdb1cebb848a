import { expect, test } from "vitest";
import { Malformed } from "../cbor/bytes.ts";
import type { JsonObject } from "../json/canonical.ts";
import { callOf } from "./call.ts";
import { chatOfResponse, responseOfChat } from "./response.ts";
import { chatUsage, responseUsage, seedOf } from "./usage.ts";

test("a response asks what a chat asks, in the chat's words", () => {
  expect(
    chatOfResponse({
      instructions: "Be brief.",
      input: [
        { role: "user", content: "Weather in Bern?" },
        { type: "function_call", call_id: "c1", name: "weather", arguments: "{}", id: "fc_1", status: "completed" },
        { type: "function_call", call_id: "c2", name: "time", arguments: "{}" },
        { type: "function_call_output", call_id: "c1", output: "rain" },
        { type: "message", role: "assistant", content: [{ type: "output_text", text: "Rain", annotations: [] }] },
        {
          role: "user",
          content: [
            { type: "input_text", text: "And this?" },
            { type: "input_image", image_url: "data:,", detail: "low" },
          ],
        },
      ],
      max_output_tokens: 5,
      temperature: 0,
      text: { format: { type: "json_schema", name: "w", schema: {}, strict: true }, verbosity: "low" },
      tools: [{ type: "function", name: "weather", parameters: {} }],
      tool_choice: { type: "function", name: "weather" },
      reasoning: { effort: "low", summary: null },
      include: ["message.output_text.logprobs"],
      top_logprobs: 2,
    }),
  ).toEqual({
    messages: [
      { role: "system", content: "Be brief." },
      { role: "user", content: "Weather in Bern?" },
      {
        role: "assistant",
        content: null,
        tool_calls: [
          { id: "c1", type: "function", function: { name: "weather", arguments: "{}" } },
          { id: "c2", type: "function", function: { name: "time", arguments: "{}" } },
        ],
      },
      { role: "tool", tool_call_id: "c1", content: "rain" },
      { role: "assistant", content: "Rain" },
      {
        role: "user",
        content: [
          { type: "text", text: "And this?" },
          { type: "image_url", image_url: { url: "data:,", detail: "low" } },
        ],
      },
    ],
    max_completion_tokens: 5,
    temperature: 0,
    response_format: { type: "json_schema", json_schema: { name: "w", schema: {}, strict: true } },
    verbosity: "low",
    tools: [{ type: "function", function: { name: "weather", parameters: {} } }],
    tool_choice: { type: "function", function: { name: "weather" } },
    reasoning_effort: "low",
    logprobs: true,
    top_logprobs: 2,
  });
});

test.each<[string, JsonObject, RegExp]>([
  ["no input", { input: null }, /input/],
  ["an item that is a text", { input: ["hi"] }, /item/],
  ["an item of reasoning", { input: [{ type: "reasoning" }] }, /"reasoning"/],
  ["a file", { input: [{ role: "user", content: [{ type: "input_file" }] }] }, /"input_file"/],
  ["an image that is kept elsewhere", { input: [{ content: [{ type: "input_image", file_id: "f" }] }] }, /input_image/],
  ["a tool of OpenAI's own", { tools: [{ type: "web_search" }] }, /no function/],
  ["a summary of its reasoning", { reasoning: { summary: "auto" } }, /reasoning\.summary/],
  ["reasoning that is a text", { reasoning: "low" }, /reasoning/],
  ["a member of text that chat has not", { text: { style: "terse" } }, /text\.style/],
  ["what it would have included", { include: ["reasoning.encrypted_content"] }, /reasoning\.encrypted_content/],
  ["an include that is a text", { include: "message.output_text.logprobs" }, /include/],
  ["logprobs that it does not ask for", { top_logprobs: 2 }, /top_logprobs/],
])("a response that asks with %s is refused by name, and nothing of it is dropped", (_, asked, named) => {
  expect(() => chatOfResponse({ input: "hi", ...asked })).toThrow(Malformed);
  expect(() => chatOfResponse({ input: "hi", ...asked })).toThrow(named);
});

const chat = (message: JsonObject, finish_reason = "stop", more: JsonObject = {}) => ({
  choices: [{ index: 0, finish_reason, message: { role: "assistant", ...message }, ...more }],
});

test("a response says what its chat said: reasoning, then the message, then the calls", () => {
  const tool_calls = [{ id: "c1", type: "function", function: { name: "f", arguments: "{}" } }];
  const logprobs = { content: [{ token: "4", logprob: -1 }] };
  const said = chat({ content: "4", reasoning_content: "2 and 2", tool_calls }, "tool_calls", { logprobs });
  expect(responseOfChat(said)).toEqual({
    status: "completed",
    output: [
      { type: "reasoning", summary: [], content: [{ type: "reasoning_text", text: "2 and 2" }] },
      {
        type: "message",
        role: "assistant",
        content: [{ type: "output_text", text: "4", annotations: [], logprobs: logprobs.content }],
      },
      { type: "function_call", call_id: "c1", name: "f", arguments: "{}" },
    ],
  });
  const refused = [{ type: "message", role: "assistant", content: [{ type: "refusal", refusal: "No." }] }];
  expect(responseOfChat(chat({ content: null, refusal: "No." })).output).toEqual(refused);
  expect(responseOfChat(chat({ content: null, tool_calls })).output).toHaveLength(1);
  expect(responseOfChat(chat({ content: "" })).output).toMatchObject([{ content: [{ text: "" }] }]);
});

test("a response that was cut short is incomplete, and says why", () => {
  expect(responseOfChat(chat({ content: "4" }, "length"))).toMatchObject({
    status: "incomplete",
    incomplete_details: { reason: "max_output_tokens" },
  });
  const filtered = responseOfChat(chat({ content: "" }, "content_filter"));
  expect(filtered).toMatchObject({ status: "incomplete", incomplete_details: { reason: "content_filter" } });
  expect(() => responseOfChat({ choices: [] })).toThrow(Malformed);
});

test("a call is the request without what says how its answer travels", () => {
  const wire = { model: "m", stream: true, stream_options: {}, encoding_format: "base64", seed: 1 };
  const keys = (["chat", "completion", "embedding", "response"] as const).map((operation) =>
    Object.keys(callOf(operation, wire).body),
  );
  expect(keys).toEqual([
    ["encoding_format", "seed"],
    ["encoding_format", "seed"],
    ["stream", "stream_options", "seed"],
    ["encoding_format", "seed"],
  ]);
});

test("usage adds up, in both of OpenAI's forms", () => {
  const usage = { promptTokens: 3, completionTokens: 5, cachedTokens: 2, reasoningTokens: 1 };
  expect(chatUsage(usage)).toMatchObject({ total_tokens: 8, prompt_tokens_details: { cached_tokens: 2 } });
  expect(responseUsage(usage)).toMatchObject({ total_tokens: 8, output_tokens_details: { reasoning_tokens: 1 } });
});

test("a seed is the first 53 bits of the receipt's id, wherever its bytes lie", () => {
  expect(seedOf(new Uint8Array(32).fill(0xff))).toBe(Number.MAX_SAFE_INTEGER);
  const id = new Uint8Array(40).map((_, i) => i);
  expect(seedOf(id.subarray(8))).toBe(Number(0x08090a0b0c0d0e0fn >> 11n));
});

test("what asks for nothing is not asked of an engine", () => {
  const asked = { input: "hi", background: false, truncation: "disabled", previous_response_id: null, store: false };
  expect(chatOfResponse(asked)).toEqual({ messages: [{ role: "user", content: "hi" }], store: false });
  expect(chatOfResponse({ ...asked, background: true })).toMatchObject({ background: true });
});
