import { applyEntry, createFold, type PublishedModel } from "@tallystick/protocol";
import { expect, test } from "vitest";
import { issueReceipt } from "../../../../test/one-receipt.ts";
import { type Generator, NO_GENERATOR } from "./generation.ts";
import { answerJson, writerOf } from "./json-answer.ts";

const ASKING = { seed: 1, deadlineMs: 1_000 };

async function publishedModel(): Promise<PublishedModel> {
  const { entries } = await issueReceipt();
  const fold = createFold();
  for (const part of ["gateway", "node", "publisher", "model"] as const) applyEntry(fold, entries[part]);
  const [model] = fold.models.values();
  if (model === undefined) throw new Error("no model");
  return model;
}

/** What becomes of a chat that an engine answers in one piece, of so many megabytes of logprobs. */
async function answerOf(megabytes: number) {
  const model = await publishedModel();
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

test("pieces of an engine that does not wait are sent in their order, whoever of their readers is slow", async () => {
  const model = await publishedModel();
  const call = { operation: "completion", body: { prompt: "" } } as const;
  const pieces = ["one", "two", "three", "four"];
  const hasty: Generator = {
    ...NO_GENERATOR,
    async generate(_, __, { onDelta }) {
      for (const content of pieces) void onDelta({ index: 0, content });
      return { kind: "answered", finishReasons: ["stop"], usage: { promptTokens: 1, completionTokens: 4 } };
    },
  };
  const sent: string[] = [];
  const send = ([frame = ""]: readonly string[]): void | Promise<void> => {
    const arrive = () => void sent.push(pieces.find((piece) => frame.includes(`"${piece}"`)) ?? frame);
    // The first and the third have to be waited for.
    return frame.includes("one") || frame.includes("three") ? Promise.resolve().then(arrive) : arrive();
  };
  const writer = writerOf(call, { receiptId: "00", model: "m", createdSeconds: 0 });
  if (writer === undefined) throw new Error("no writer");
  const outcome = await answerJson(hasty, model, call, { ...ASKING, frames: { writer, send } });
  expect(sent).toEqual(pieces);
  expect(outcome).toMatchObject({ kind: "answered", answer: { choices: [{ text: pieces.join("") }] } });
});
