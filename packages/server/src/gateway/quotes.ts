/** What a call in JSON can take and cost at most, before anybody knows what it will. */
import { isFree, outputLimit, type PublishedModel, priceBound } from "@tallystick/protocol";
import type { OpenAiRequest } from "./openai-requests.ts";

/** What a call's bytes have around its body. */
const CALL_HEAD_BYTES = 64;

/** A likely size of a call in tokens, for limits that count them: four characters make one. */
export function unitsOf({ body, sizeBytes }: OpenAiRequest): { inputUnits: number; outputUnits: number } {
  return {
    inputUnits: Math.ceil(sizeBytes / 4),
    outputUnits: (outputLimit(body) ?? 0) * (typeof body.n === "number" ? body.n : 1),
  };
}

/** The most that a call can cost, or that its API key lets one cost. */
export function maxPriceOf(model: PublishedModel, { body }: OpenAiRequest, keyMaximum: string | undefined): bigint {
  if (isFree(model)) return 0n;
  const sizeBytes = Buffer.byteLength(JSON.stringify(body)) + CALL_HEAD_BYTES;
  const bound = priceBound({ ...model, contextLength: model.manifest.contextLength }, body, sizeBytes);
  const most = keyMaximum === undefined ? bound : BigInt(keyMaximum);
  return bound > most ? most : bound;
}
