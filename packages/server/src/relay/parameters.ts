/**
 * Which of OpenAI's parameters a relayed call may carry. They go to the upstream as they are; what is not listed here, or added
 * by the operator for a model, is named and refused, so that what was signed for is what was run.
 */
import { isJsonObject, type Json, type JsonObject } from "@tallystick/protocol";
import { CHOICES_MOST } from "./limits.ts";

const SAMPLING = [
  "temperature",
  "top_p",
  "n",
  "stop",
  "seed",
  "max_tokens",
  "presence_penalty",
  "frequency_penalty",
  "logit_bias",
  "logprobs",
  "user",
];

/** What every upstream is taken to honour. */
export const PARAMETERS: Record<"chat" | "completion" | "embedding", readonly string[]> = {
  chat: [
    ...SAMPLING,
    "messages",
    "max_completion_tokens",
    "top_logprobs",
    "response_format",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "reasoning_effort",
    "verbosity",
    "store",
  ],
  completion: [...SAMPLING, "prompt", "suffix", "echo"],
  embedding: ["input", "dimensions", "encoding_format", "user"],
};

/** What says how the answer travels, and from whom: this node's to say. */
export const OWN_PARAMETERS: readonly string[] = ["model", "stream", "stream_options"];

/** A body without what the gateway honours itself: an upstream that was told to store would keep the content as well. */
export function withoutOurs(body: JsonObject): JsonObject {
  if (body.store === undefined) return body;
  const { store: _, ...sent } = body;
  return sent;
}

export type ParameterRules = { extraParameters: readonly string[]; unsupportedParameters: readonly string[] };

type ParameterFault = { message: string; param: string };

/** What of `body` this model cannot honour; undefined where nothing. */
export function parameterFault(
  { extraParameters, unsupportedParameters }: ParameterRules,
  operation: "chat" | "completion" | "embedding",
  body: JsonObject,
): ParameterFault | undefined {
  const honoured = (name: string) =>
    (PARAMETERS[operation].includes(name) || extraParameters.includes(name)) && !unsupportedParameters.includes(name);
  const param = Object.keys(body).find((name) => !honoured(name));
  if (param !== undefined)
    return { param, message: `the parameter "${param}" cannot be honoured by this model: leave it out` };
  if (operation === "embedding") return undefined;
  if (choiceCount(operation, body) > CHOICES_MOST)
    return { param: "n", message: `an answer has at most ${CHOICES_MOST} choices: ask for fewer` };
  return operation === "chat" ? (messagesFault(body) ?? toolsFault(body)) : echoFault(body);
}

/** The first token of an echo has no logprob, and an answer no way to say so. */
function echoFault({ echo, logprobs }: JsonObject): ParameterFault | undefined {
  if (echo !== true || logprobs === undefined || logprobs === null) return undefined;
  return { param: "echo", message: "echo and logprobs cannot be honoured together: leave one out" };
}

/** Parts of a message that hold what they say. */
const PARTS = ["text", "image_url", "input_audio", "refusal"];

/**
 * A URL would be fetched by the upstream, from the upstream's own network, and what it leads to is in no commitment: content is
 * in the message or it is refused.
 */
function messagesFault({ messages }: JsonObject): ParameterFault | undefined {
  const parts = listOf(messages).flatMap((message) => (isJsonObject(message) ? listOf(message.content) : []));
  for (const part of parts) {
    const type = isJsonObject(part) ? part.type : undefined;
    if (!isJsonObject(part) || typeof type !== "string" || !PARTS.includes(type))
      return { param: "messages", message: `a message has a part that cannot be honoured: send ${PARTS.join(", ")}` };
    if (type === "image_url" && !isDataUrl(part.image_url))
      return { param: "messages", message: "an image is sent in the message, as a data: URL; others are not fetched" };
  }
  return undefined;
}

function isDataUrl(image: Json | undefined): boolean {
  const url = isJsonObject(image) ? image.url : undefined;
  return typeof url === "string" && /^data:/i.test(url);
}

function toolsFault({ tools }: JsonObject): ParameterFault | undefined {
  const isFunction = (tool: Json) => isJsonObject(tool) && tool.type === "function";
  if (listOf(tools).every(isFunction)) return undefined;
  return { param: "tools", message: "only tools of the type function can be honoured: the caller runs them" };
}

/** How many choices the answer has to have: `n`, for each prompt. */
export function choiceCount(operation: "chat" | "completion", { n, prompt }: JsonObject): number {
  const each = typeof n === "number" && Number.isInteger(n) && n > 0 ? n : 1;
  return operation === "completion" ? each * inputCount(prompt) : each;
}

/** How many prompts or inputs there are: a text or a list of tokens is one. */
export function inputCount(input: Json | undefined): number {
  return Array.isArray(input) && typeof input[0] !== "number" ? input.length : 1;
}

function listOf(value: Json | undefined): Json[] {
  return Array.isArray(value) ? value : [];
}
