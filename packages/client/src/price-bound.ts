/** The most that a call can cost, where its caller names no maximum. */
import type { JsonObject } from "@tallystick/protocol";
import { isFree, Malformed, priceOf } from "@tallystick/protocol";
import type { Model } from "./models.ts";

/** Tokens of a template around the messages: more than any that is in use. */
const TEMPLATE_TOKENS = 1_024;
/** What a caller may set the output's length by, in OpenAI's words. */
const OUTPUT_LIMITS = ["max_completion_tokens", "max_tokens", "max_output_tokens"];
/** What an image takes is not told by its bytes. */
const IMAGE = /"(image_url|input_image)"/;

/** At most what `model` asks for a call: no token is of less than a byte. Throws Malformed where nothing sets a bound. */
export function maxPriceOf(model: Model, body: JsonObject, callSizeBytes: number): bigint {
  if (isFree(model)) return 0n;
  const { contextLength } = model;
  const inputBytes = IMAGE.test(JSON.stringify(body)) ? (contextLength ?? callSizeBytes) : callSizeBytes;
  const input = inputBytes + TEMPLATE_TOKENS;
  const asked = OUTPUT_LIMITS.map((name) => body[name]).find((value) => typeof value === "number");
  const output = asked ?? contextLength ?? (model.outputUnitPriceAtomic === 0n ? 0 : undefined);
  if (typeof output !== "number")
    throw new Malformed("sets no bound to its price: give max_completion_tokens, or maxPrice");
  const choices = typeof body.n === "number" ? body.n : 1;
  return priceOf(model, Math.min(input, contextLength ?? input), output * choices);
}
