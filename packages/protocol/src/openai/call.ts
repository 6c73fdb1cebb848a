/** OpenAI's request bodies as calls: what is asked, without what only says how the answer travels (docs/spec/call.md). */
import type { JsonCall } from "../call/call.ts";
import type { JsonOperation } from "../call/operation.ts";
import type { JsonObject } from "../json/canonical.ts";

/**
 * Members that no call commits to: the revision stands for the model, a stream is the same answer in pieces, floats and base64
 * are the same vector, and a policy is of what is accepted.
 */
const WIRE_MEMBERS: Record<JsonOperation, readonly string[]> = {
  chat: ["model", "stream", "stream_options", "tally_policy"],
  completion: ["model", "stream", "stream_options", "tally_policy"],
  embedding: ["model", "encoding_format", "tally_policy"],
  response: ["model", "stream", "stream_options", "tally_policy"],
};

/** The call that a request body of OpenAI's API makes. */
export function callOf(operation: JsonOperation, body: JsonObject): JsonCall {
  const dropped = WIRE_MEMBERS[operation];
  const kept = Object.entries(body).filter(([name]) => !dropped.includes(name));
  return { operation, body: Object.fromEntries(kept) };
}
