/** What a call in JSON can take and cost at most, before anybody knows what it will. */
import { isFree, type JsonObject, type PublishedModel, priceOf } from "@tallystick/protocol";
import type { OpenAiRequest } from "./openai-requests.ts";

/** Tokens of a template around the messages: more than any that is in use. */
const TEMPLATE_TOKENS = 1_024;
/** What a model may take whose context's length is not known. */
const CONTEXT_TOKENS = 1_000_000;

/** A likely size of a call in tokens, for limits that count them: four characters make one. */
export function unitsOf({ body }: OpenAiRequest): { inputUnits: number; outputUnits: number } {
  return {
    inputUnits: Math.ceil(JSON.stringify(body).length / 4),
    outputUnits: (outputLimit(body) ?? 0) * choices(body),
  };
}

/** The most that a call can cost: no tokenizer makes more tokens than there are bytes, and an image is within the context. */
export function maxPriceOf(model: PublishedModel, { body }: OpenAiRequest, keyMaximum: string | undefined): bigint {
  if (isFree(model)) return 0n;
  const context = model.manifest.contextLength ?? CONTEXT_TOKENS;
  const text = JSON.stringify(body);
  const input = text.includes('"image_url"') || text.includes('"input_image"') ? context : Buffer.byteLength(text);
  const output = Math.min(outputLimit(body) ?? context, context) * choices(body);
  const bound = priceOf(model, Math.min(input + TEMPLATE_TOKENS, context), output);
  const most = keyMaximum === undefined ? bound : BigInt(keyMaximum);
  if (bound > most) return most;
  return bound;
}

function outputLimit(body: JsonObject): number | undefined {
  const limit = body.max_completion_tokens ?? body.max_tokens ?? body.max_output_tokens;
  return typeof limit === "number" ? limit : undefined;
}

function choices({ n }: JsonObject): number {
  return typeof n === "number" ? n : 1;
}
