/** Whole answers as OpenAI's clients read them, from their canonical form. */
import { isJsonObject, type JsonCall, type JsonObject } from "@tallystick/protocol";
import type { Heading } from "./frames.ts";
import { responseObject, withIds } from "./response-frames.ts";

/** The body of a whole answer, but for its receipt. */
export function bodyOf(
  call: JsonCall,
  { receiptId, model, createdSeconds: created }: Heading,
  answer: JsonObject,
): JsonObject {
  switch (call.operation) {
    case "chat": {
      const choices = choicesOf(answer).map(({ index = 0, finish_reason = null, message = {}, logprobs = null }) => ({
        index,
        finish_reason,
        // OpenAI's types have these always, if as null.
        message: { refusal: null, ...(isJsonObject(message) ? message : {}), annotations: [] },
        logprobs,
      }));
      return {
        id: `chatcmpl-${receiptId}`,
        object: "chat.completion",
        created,
        model,
        choices,
        usage: usageOf(answer),
      };
    }
    case "completion": {
      const choices = choicesOf(answer).map(({ logprobs = null, ...choice }) => ({ ...choice, logprobs }));
      return { id: `cmpl-${receiptId}`, object: "text_completion", created, model, choices, usage: usageOf(answer) };
    }
    case "embedding": {
      const vectors = Array.isArray(answer.embeddings) ? answer.embeddings : [];
      const rows = vectors.map((embedding, index) => ({ object: "embedding", index, embedding }));
      return { object: "list", data: rows, model, usage: usageOf(answer) };
    }
    case "response":
      return responseObject({ receiptId, model, createdSeconds: created }, call.body, withIds(answer, receiptId));
  }
}

function choicesOf({ choices }: JsonObject): JsonObject[] {
  return Array.isArray(choices) ? choices.filter(isJsonObject) : [];
}

function usageOf({ usage = {} }: JsonObject): JsonObject[string] {
  return usage;
}
