/** For who uses the AI SDK: a provider whose answers are signed for and checked (docs/clients/ai-sdk.md). */
import {
  createOpenAICompatible,
  type MetadataExtractor,
  type OpenAICompatibleProvider,
} from "@ai-sdk/openai-compatible";
import { fieldOf } from "./http.ts";
import { createVerifiedFetch, type VerifiedFetchOptions } from "./verified-fetch.ts";

export { findTallystickError } from "./errors.ts";
export { type AnswerReceipt, receiptOf } from "./receipt-of.ts";

/** A provider for a network. An answer's receipt is in `providerMetadata.tallystick`. */
export function createTallystick(options: VerifiedFetchOptions): OpenAICompatibleProvider {
  return createOpenAICompatible({
    name: "tallystick",
    baseURL: `${options.url.replace(/\/+$/, "")}/v1`,
    fetch: createVerifiedFetch(options),
    includeUsage: true,
    supportsStructuredOutputs: true,
    metadataExtractor: receiptExtractor,
  });
}

type Metadata = Awaited<ReturnType<MetadataExtractor["extractMetadata"]>>;

/** Puts the receipt of an answer into `providerMetadata.tallystick`: for providers of your own, unverified ones too. */
export const receiptExtractor: MetadataExtractor = {
  extractMetadata: async ({ parsedBody }) => metadataOf(parsedBody),
  createStreamExtractor() {
    let last: Metadata;
    return {
      processChunk(chunk) {
        last = metadataOf(chunk) ?? last;
      },
      buildMetadata: () => last,
    };
  },
};

function metadataOf(body: unknown): Metadata {
  const receipt = fieldOf(body, "receipt");
  return receipt === undefined ? undefined : { tallystick: { receipt: JSON.parse(JSON.stringify(receipt)) } };
}
