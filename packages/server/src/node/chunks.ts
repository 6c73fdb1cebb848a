/** What an engine tells, as the choices of OpenAI's chunks: the form that streams carry and that answers are put together from. */
import type { JsonObject } from "@tallystick/protocol";
import type { Delta, FinishReason, TokenLogprob } from "./generation.ts";

/** The choice that says a piece. */
export function choiceOfDelta(operation: "chat" | "completion", delta: Delta): JsonObject {
  const { index, content, logprobs } = delta;
  if (operation === "completion") {
    const told = logprobs === undefined ? {} : { logprobs: completionLogprobs(logprobs) };
    return { index, text: content ?? "", ...told, finish_reason: null };
  }
  const told = logprobs === undefined ? {} : { logprobs: { content: logprobs, refusal: null } };
  return { index, delta: deltaOf(delta), ...told, finish_reason: null };
}

function deltaOf({ content, refusal, reasoning, toolCalls }: Delta): JsonObject {
  return {
    ...(content === undefined ? {} : { content }),
    ...(refusal === undefined ? {} : { refusal }),
    ...(reasoning === undefined ? {} : { reasoning_content: reasoning }),
    ...(toolCalls === undefined
      ? {}
      : {
          tool_calls: toolCalls.map(({ index, id, name, arguments: piece = "" }) => ({
            index,
            ...(id === undefined ? {} : { id, type: "function" }),
            function: { ...(name === undefined ? {} : { name }), arguments: piece },
          })),
        }),
  };
}

/** The logprobs of a completion, which are lists side by side; what an engine does not tell is left empty. */
function completionLogprobs(logprobs: readonly TokenLogprob[]): JsonObject {
  return {
    tokens: logprobs.map(({ token }) => token),
    token_logprobs: logprobs.map(({ logprob }) => logprob),
    top_logprobs: logprobs.map(({ top_logprobs }) =>
      Object.fromEntries(top_logprobs.map(({ token, logprob }) => [token, logprob])),
    ),
  };
}

/** The choice that says how a choice ended. */
export function choiceOfFinish(operation: "chat" | "completion", index: number, reason: FinishReason): JsonObject {
  return operation === "chat"
    ? { index, delta: {}, finish_reason: reason }
    : { index, text: "", finish_reason: reason };
}
