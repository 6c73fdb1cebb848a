/** The most that a call can cost, where its caller names no maximum. */
import type { JsonObject, JsonOperation } from "@tallystick/protocol";
import { Malformed, priceOf } from "@tallystick/protocol";
import type { Model } from "./models.ts";

/** What a caller may set the output's length by, in OpenAI's words. */
const OUTPUT_LIMITS = ["max_completion_tokens", "max_tokens", "max_output_tokens"];

/** At most what `model` asks for a call of so many bytes: no token is of less than a byte. Throws Malformed where it has no bound. */
export function maxPriceOf(model: Model, operation: JsonOperation, body: JsonObject, callSizeBytes: number): bigint {
  const { contextLength } = model;
  const input = Math.min(callSizeBytes, contextLength ?? callSizeBytes);
  if (model.outputUnitPriceAtomic === 0n || operation === "embedding") return priceOf(model, callSizeBytes);
  const asked = OUTPUT_LIMITS.map((name) => body[name]).find((value) => typeof value === "number");
  const most = asked ?? contextLength;
  if (typeof most !== "number")
    throw new Malformed("sets no bound to its price: give max_completion_tokens, or maxPrice");
  const choices = typeof body.n === "number" ? body.n : 1;
  return priceOf(model, input * choices, most * choices);
}
