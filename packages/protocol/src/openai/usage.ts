/** What an answer took, in OpenAI's words: whole objects, since strict clients refuse a part of one. */
import type { JsonObject } from "../json/canonical.ts";

/** Tokens, each counted once. */
export type TokenUsage = {
  promptTokens: number;
  completionTokens: number;
  cachedTokens?: number;
  reasoningTokens?: number;
};

/** The `usage` of a chat completion or a completion. */
export function chatUsage(usage: TokenUsage): JsonObject {
  const { promptTokens, completionTokens, cachedTokens = 0, reasoningTokens = 0 } = usage;
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: cachedTokens, audio_tokens: 0 },
    completion_tokens_details: {
      reasoning_tokens: reasoningTokens,
      audio_tokens: 0,
      accepted_prediction_tokens: 0,
      rejected_prediction_tokens: 0,
    },
  };
}

/** The `usage` of a response. */
export function responseUsage(usage: TokenUsage): JsonObject {
  const { promptTokens, completionTokens, cachedTokens = 0, reasoningTokens = 0 } = usage;
  return {
    input_tokens: promptTokens,
    input_tokens_details: { cached_tokens: cachedTokens },
    output_tokens: completionTokens,
    output_tokens_details: { reasoning_tokens: reasoningTokens },
    total_tokens: promptTokens + completionTokens,
  };
}

/** A seed for who samples and was given none: the first 53 bits of the receipt's id, which neither side can choose alone. */
export function seedOf(receiptId: Uint8Array): number {
  const view = new DataView(receiptId.buffer, receiptId.byteOffset, 8);
  return view.getUint32(0) * 2 ** 21 + (view.getUint32(4) >>> 11);
}
