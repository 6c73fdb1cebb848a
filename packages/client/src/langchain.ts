/** For who uses LangChain: fields that make a model of it verified, and a handler that collects receipts (docs/clients/langchain.md). */
import { BaseCallbackHandler } from "@langchain/core/callbacks/base";
import type { LLMResult } from "@langchain/core/outputs";
import { findTallystickError } from "./errors.ts";
import { fieldOf } from "./http.ts";
import { type AnswerReceipt, receiptOf } from "./receipt-of.ts";
import { createVerifiedFetch, type VerifiedFetch, type VerifiedFetchOptions } from "./verified-fetch.ts";

export { findTallystickError } from "./errors.ts";
export type { AnswerReceipt } from "./receipt-of.ts";

/** What `new ChatOpenAI({ model, ...fields })` takes. */
export type VerifiedFields = {
  apiKey: string;
  configuration: { baseURL: string; fetch: VerifiedFetch };
  /** Puts the answer's body into `additional_kwargs.__raw_response`, where the receipt is found. */
  __includeRawResponse: true;
  onFailedAttempt(error: unknown): void;
};

/** The fields by which a model of `@langchain/openai` calls a network, its calls signed here and its answers checked. */
export function verifiedFields(options: VerifiedFetchOptions & { apiKey: string }): VerifiedFields {
  return {
    apiKey: options.apiKey,
    configuration: { baseURL: `${options.url.replace(/\/+$/, "")}/v1`, fetch: createVerifiedFetch(options) },
    __includeRawResponse: true,
    onFailedAttempt: stopUnlessSafe,
  };
}

/** LangChain sends whatever fails six times more; a call that was answered is not to be sent again. */
function stopUnlessSafe(error: unknown): void {
  if (findTallystickError(error)?.retrySafe !== true) throw error;
}

/** More than a handler is read of; the oldest give way. */
const RECEIPTS_KEPT = 10_000;

/** Collects the receipts of the answers that it is told of, by LangChain's run id. */
export class ReceiptCollector extends BaseCallbackHandler {
  override name = "tallystick_receipts";
  readonly receipts = new Map<string, AnswerReceipt>();

  override handleLLMEnd({ generations }: LLMResult, runId: string): void {
    for (const generation of generations.flat()) {
      const message = fieldOf(generation, "message");
      const receipt = receiptOf(fieldOf(fieldOf(message, "additional_kwargs"), "__raw_response"));
      if (receipt !== undefined) this.#keep(runId, receipt);
    }
  }

  #keep(runId: string, receipt: AnswerReceipt): void {
    const [oldest] = this.receipts.keys();
    if (this.receipts.size >= RECEIPTS_KEPT && oldest !== undefined) this.receipts.delete(oldest);
    this.receipts.set(runId, receipt);
  }
}
