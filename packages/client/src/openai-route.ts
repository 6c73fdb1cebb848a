/** OpenAI's routes by the operation that each asks for, and the canonical answer in what each gives (docs/spec/call.md). */
import {
  chatAnswerOf,
  completionAnswerOf,
  embeddingAnswerOf,
  type JsonObject,
  type JsonOperation,
  responseAnswerOf,
} from "@tallystick/protocol";

export const ROUTES = {
  chat: "/v1/chat/completions",
  completion: "/v1/completions",
  embedding: "/v1/embeddings",
  response: "/v1/responses",
} as const satisfies Record<JsonOperation, string>;

const OPERATION_AT: ReadonlyMap<string, JsonOperation> = new Map([
  [ROUTES.chat, "chat"],
  [ROUTES.completion, "completion"],
  [ROUTES.embedding, "embedding"],
  [ROUTES.response, "response"],
]);

/** The operation that is asked for at a path; undefined where none is. */
export function operationAt(path: string): JsonOperation | undefined {
  return OPERATION_AT.get(path);
}

/** The canonical answer in a whole body. Throws Malformed. */
export const ANSWER_OF: Readonly<Record<JsonOperation, (body: JsonObject) => JsonObject>> = {
  chat: chatAnswerOf,
  completion: completionAnswerOf,
  embedding: embeddingAnswerOf,
  response: responseAnswerOf,
};
