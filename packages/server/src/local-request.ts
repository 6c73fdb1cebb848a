/**
 * OpenAI's request bodies as what a language model that runs here is asked. What such a model cannot honour is named before
 * anything is signed; nothing is dropped.
 */
import { isJsonObject, type Json, type JsonObject } from "@tallystick/protocol";
import type { GenerationRequest } from "./execution/generation.ts";

export type LocalOperation = "chat" | "completion";
export type Fault = { message: string; param: string };

/** Members that a model here honours, and those that say nothing of the answer: who asks, and what is kept of it. */
const HONOURED: Record<LocalOperation, ReadonlySet<string>> = {
  chat: new Set([
    ...["messages", "max_tokens", "max_completion_tokens", "temperature", "top_p", "seed", "stop", "n"],
    ...["logprobs", "top_logprobs", "frequency_penalty", "presence_penalty", "response_format", "modalities"],
    ...["user", "safety_identifier", "prompt_cache_key", "metadata", "store", "service_tier"],
  ]),
  completion: new Set([
    ...["prompt", "max_tokens", "temperature", "top_p", "seed", "stop", "n", "best_of", "echo", "logprobs"],
    ...["frequency_penalty", "presence_penalty", "user"],
  ]),
};

/** What of `body` a model here cannot honour: the first that is found. */
export function localFault(operation: LocalOperation, body: JsonObject): Fault | undefined {
  for (const [name, value] of Object.entries(body)) {
    if (value === null) continue; // As if it were not there.
    if (!HONOURED[operation].has(name)) return cannot(name);
  }
  if (isJsonObject(body.response_format) && body.response_format.type !== "text")
    return { param: "response_format", message: "this model writes text alone: it cannot be held to a JSON schema" };
  if (Array.isArray(body.modalities) && body.modalities.some((one) => one !== "text")) return cannot("modalities");
  if (operation === "completion") return completionFault(body);
  const messages = Array.isArray(body.messages) ? body.messages : [];
  const at = messages.findIndex((message) => !isJsonObject(message) || textOf(message.content) === undefined);
  return at < 0 ? undefined : { param: `messages[${at}].content`, message: "this model reads text alone" };
}

function completionFault({ prompt, best_of, n }: JsonObject): Fault | undefined {
  if (typeof prompt !== "string")
    return { param: "prompt", message: "this model takes one prompt, as text: send a request for each" };
  return best_of === undefined || best_of === null || best_of === (n ?? 1) ? undefined : cannot("best_of");
}

function cannot(param: string): Fault {
  return { param, message: `this model cannot honour ${param}: leave it out` };
}

/** The request to an engine. `body` has no fault. */
export function localRequest(operation: LocalOperation, body: JsonObject, seed: number): GenerationRequest {
  const number = (name: string) => (typeof body[name] === "number" ? body[name] : undefined);
  const chat = operation === "chat";
  const maxTokens = number("max_completion_tokens") ?? number("max_tokens");
  return {
    prompt: chat
      ? { kind: "chat", messages: messagesOf(body.messages) }
      : { kind: "text", text: typeof body.prompt === "string" ? body.prompt : "" },
    // OpenAI's own default for completions.
    maxTokens: chat ? maxTokens : (maxTokens ?? 16),
    temperature: number("temperature") ?? 1,
    topP: number("top_p") ?? 1,
    seed: seedIn(number("seed")) ?? seed,
    stop: stopsOf(body.stop),
    choiceCount: number("n") ?? 1,
    topLogprobs: chat ? (body.logprobs === true ? (number("top_logprobs") ?? 0) : undefined) : number("logprobs"),
    frequencyPenalty: number("frequency_penalty") ?? 0,
    presencePenalty: number("presence_penalty") ?? 0,
    echo: body.echo === true,
  };
}

/** A caller's seed may be any integer; those below 0 count from 2^53. */
function seedIn(seed: number | undefined): number | undefined {
  return seed === undefined ? undefined : seed < 0 ? seed + 2 ** 53 : seed;
}

function stopsOf(stop: Json | undefined): string[] {
  if (typeof stop === "string") return [stop];
  return Array.isArray(stop) ? stop.filter((one) => typeof one === "string") : [];
}

function messagesOf(messages: Json | undefined): { role: string; content: string }[] {
  return (Array.isArray(messages) ? messages : []).filter(isJsonObject).map(({ role, content }) => ({
    role: typeof role === "string" ? role : "user",
    content: textOf(content) ?? "",
  }));
}

/** The text of a message whose parts are all text. */
function textOf(content: Json | undefined): string | undefined {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return undefined;
  const texts = content.map((part) => (isJsonObject(part) && part.type === "text" ? part.text : undefined));
  return texts.every((text) => typeof text === "string") ? texts.join("") : undefined;
}

/** The texts to be embedded; undefined where they are not text. */
export function embeddingInputs({ input }: JsonObject): string[] | undefined {
  if (typeof input === "string") return [input];
  return Array.isArray(input) && input.every((one) => typeof one === "string") ? input : undefined;
}

const EMBEDDING_HONOURED: ReadonlySet<string> = new Set(["input", "dimensions", "user"]);

/** What of a request for embeddings a model here, whose vectors have `dimensionCount` numbers, cannot honour. */
export function embeddingFault(body: JsonObject, dimensionCount: number | undefined): Fault | undefined {
  for (const [name, value] of Object.entries(body))
    if (value !== null && !EMBEDDING_HONOURED.has(name)) return cannot(name);
  if (embeddingInputs(body) === undefined)
    return { param: "input", message: "this model takes text, or a list of texts; it takes no tokens" };
  if (typeof body.dimensions === "number" && body.dimensions !== dimensionCount)
    return {
      param: "dimensions",
      message: `this model's vectors have ${dimensionCount} numbers, and cannot be cut short`,
    };
  return undefined;
}
