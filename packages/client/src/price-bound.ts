/** The most that a call can cost, where its caller names no maximum. */
import { isFree, type JsonObject, Malformed, outputLimit, priceBound } from "@tallystick/protocol";
import type { Model } from "./models.ts";

/** At most what `model` asks for a call. Throws Malformed where nothing sets a bound that its caller can have meant. */
export function maxPriceOf(model: Model, body: JsonObject, callSizeBytes: number): bigint {
  const isBound = (outputLimit(body) ?? model.contextLength) !== undefined || model.outputUnitPriceAtomic === 0n;
  if (!isFree(model) && !isBound)
    throw new Malformed("sets no bound to its price: give max_completion_tokens, or maxPrice");
  return priceBound(model, body, callSizeBytes);
}
