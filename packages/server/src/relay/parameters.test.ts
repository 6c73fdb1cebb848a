import type { JsonObject } from "@tallystick/protocol";
import { expect, test } from "vitest";
import { choiceCount, inputCount, PARAMETERS, parameterFault } from "./parameters.ts";

const RULES = { extraParameters: [], unsupportedParameters: [] };
const PICTURE = { type: "image_url", image_url: { url: "data:image/png;base64,AAAA" } };
const withParts = (...content: JsonObject[]): JsonObject => ({ messages: [{ role: "user", content }] });

test.each(["chat", "completion", "embedding"] as const)(
  "every listed parameter of %s is honoured together",
  (operation) => {
    const body = Object.fromEntries(PARAMETERS[operation].map((name) => [name, null]));
    expect(parameterFault(RULES, operation, body)).toBeUndefined();
  },
);

test.each<["chat" | "completion" | "embedding", JsonObject, string]>([
  ["chat", { messages: [], top_k: 5 }, "top_k"],
  ["chat", { messages: [], prompt: "" }, "prompt"],
  ["chat", { messages: [], functions: [] }, "functions"],
  ["chat", { messages: [], modalities: ["audio"] }, "modalities"],
  ["chat", { messages: [], web_search_options: {} }, "web_search_options"],
  ["chat", { messages: [], model: "other" }, "model"],
  ["chat", { messages: [], stream_options: { continuous_usage_stats: true } }, "stream_options"],
  ["chat", { messages: [], constructor: 1 }, "constructor"],
  ["chat", { messages: [], n: 129 }, "n"],
  ["chat", { messages: [], tools: [{ type: "web_search" }] }, "tools"],
  ["chat", withParts({ type: "image_url", image_url: { url: "http://169.254.169.254/latest" } }), "messages"],
  ["chat", withParts({ type: "image_url", image_url: { url: "file:///etc/passwd" } }), "messages"],
  ["chat", withParts({ type: "image_url" }), "messages"],
  ["chat", withParts(PICTURE, { type: "video_url", video_url: { url: "http://10.0.0.1/" } }), "messages"],
  ["chat", withParts({ type: "file", file: { file_id: "file-of-the-operator" } }), "messages"],
  ["completion", { prompt: "", best_of: 2 }, "best_of"],
  ["completion", { prompt: "", echo: true, logprobs: 1 }, "echo"],
  ["completion", { prompt: ["a", "b"], n: 65 }, "n"],
  ["embedding", { input: "", truncate: true }, "truncate"],
])("of %s with %j the parameter %s is named", (operation, body, param) => {
  expect(parameterFault(RULES, operation, body)).toMatchObject({ param });
});

test("an operator adds parameters to a model, and takes them away", () => {
  const rules = { extraParameters: ["top_k"], unsupportedParameters: ["logit_bias"] };
  expect(parameterFault(rules, "chat", { messages: [], top_k: 5 })).toBeUndefined();
  expect(parameterFault(rules, "chat", { messages: [], logit_bias: {} })).toMatchObject({ param: "logit_bias" });
});

test("pictures and sound in the message, and functions, are honoured", () => {
  const sound = { type: "input_audio", input_audio: { data: "AAAA", format: "wav" } };
  const body = {
    ...withParts({ type: "text", text: "" }, PICTURE, sound),
    tools: [{ type: "function", function: {} }],
  };
  expect(parameterFault(RULES, "chat", body)).toBeUndefined();
});

test("an answer has n choices for each prompt, and a list of tokens is one", () => {
  expect(choiceCount("chat", { n: 3, prompt: ["not", "of", "chat"] })).toBe(3);
  expect(choiceCount("completion", { n: 3, prompt: ["a", "b"] })).toBe(6);
  expect([undefined, "a", [1, 2, 3], ["a", "b"], [[1], [2], [3]]].map((input) => inputCount(input))).toEqual([
    1, 1, 1, 2, 3,
  ]);
});
