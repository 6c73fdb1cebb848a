/** The most that a call of OpenAI's can cost, told from the call alone (docs/spec/call.md): what a requester has to allow. */
import type { Json, JsonObject } from "../json/canonical.ts";
import { isFree, type Price, priceOf } from "../model/price.ts";

/** Tokens of a template around the messages: more than any that is in use. */
const TEMPLATE_TOKENS = 1_024;
/** What a model may take and say whose context's length is not known. */
const CONTEXT_TOKENS = 1_000_000;
/** What an image takes is not told by its bytes. */
const IMAGE = /"(image_url|input_image)"/;
/** Whichever of these an engine goes by, it is no more than the largest. */
const OUTPUT_LIMITS = ["max_completion_tokens", "max_tokens", "max_output_tokens"];

/**
 * At most what `model` asks for the call: no tokenizer makes more tokens than there are bytes, an image is within the context,
 * and each choice for each prompt is as long as it may be.
 */
export function priceBound(
  model: Price & { contextLength?: number | undefined },
  body: JsonObject,
  callSizeBytes: number,
): bigint {
  if (isFree(model)) return 0n;
  const { contextLength = CONTEXT_TOKENS } = model;
  const prompts = Math.max(promptCount(body.prompt), promptCount(body.input));
  const perPrompt = IMAGE.test(JSON.stringify(body)) ? contextLength : callSizeBytes;
  const input = Math.min(perPrompt + TEMPLATE_TOKENS * prompts, contextLength * prompts);
  const output = Math.min(outputLimit(body) ?? contextLength, contextLength);
  return priceOf(model, input, output * choiceCount(body) * prompts);
}

/** The tokens that a call's answer may have, where it says so. */
export function outputLimit(body: JsonObject): number | undefined {
  const limits = OUTPUT_LIMITS.map((name) => body[name]).filter((limit) => typeof limit === "number");
  return limits.length === 0 ? undefined : Math.max(...limits);
}

/** Answers that are made for each prompt. */
function choiceCount({ n, best_of }: JsonObject): number {
  return Math.max(1, ...[n, best_of].filter((count) => typeof count === "number"));
}

/** A list of texts, or of lists of tokens, is a prompt each; a list of messages or of tokens is one. */
function promptCount(prompts: Json | undefined): number {
  if (!Array.isArray(prompts)) return 1;
  return Math.max(1, prompts.filter((one) => typeof one === "string" || Array.isArray(one)).length);
}
