import { applyEntry, createFold } from "@tallystick/protocol";
import { expect, test } from "vitest";
import { issueReceipt } from "../../../../test/one-receipt.ts";
import { type Generator, NO_GENERATOR } from "./generation.ts";
import { answerJson } from "./json-answer.ts";

const ASKING = { seed: 1, deadlineMs: 1_000 };

/** What becomes of a chat that an engine answers in one piece, of so many megabytes of logprobs. */
async function answerOf(megabytes: number) {
  const { entries } = await issueReceipt();
  const fold = createFold();
  for (const part of ["gateway", "node", "publisher", "model"] as const) applyEntry(fold, entries[part]);
  const [model] = fold.models.values();
  if (model === undefined) throw new Error("no model");
  const logprob = { token: "t".repeat(1024 * 1024), logprob: -1, bytes: null, top_logprobs: [] };
  const loud: Generator = {
    ...NO_GENERATOR,
    async generate(_, __, { onDelta }) {
      await onDelta({ index: 0, content: "x", logprobs: Array(megabytes).fill(logprob) });
      return { kind: "answered", finishReasons: ["stop"], usage: { promptTokens: 1, completionTokens: 1 } };
    },
  };
  return answerJson(loud, model, { operation: "chat", body: { messages: [] } }, ASKING);
}

test("an answer of more than a receipt may be for is a failure, and no fault of ours", async () => {
  expect((await answerOf(1)).kind).toBe("answered");
  const outcome = await answerOf(33);
  expect(outcome).toMatchObject({ kind: "failed", reason: "engine" });
});
