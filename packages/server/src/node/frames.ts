/** The frames of a streamed answer as OpenAI's clients read them: chunks of chat completions and completions. */
import { chatUsage, type JsonObject, RECEIPT_CLOSERS, type TokenUsage } from "@tallystick/protocol";
import { choiceOfDelta, choiceOfFinish } from "./chunks.ts";
import type { Delta, FinishReason } from "./generation.ts";

/** An answer as its frames name it. */
export type Heading = { receiptId: string; model: string; createdSeconds: number };

/** Writes an answer as server-sent events, each with the blank line that ends it. */
export type FrameWriter = {
  /** The frames that say a piece. */
  delta(delta: Delta): string[];
  /** The frames that end the answer; the last of them is where the receipt goes, before its `closers`. */
  finish(reasons: readonly FinishReason[], answer: JsonObject, usage: TokenUsage): string[];
  closers: string;
  /** What follows the receipt: the usage where it was asked for, and the end. */
  after(usage: TokenUsage, usageInFrame: boolean): string[];
};

export const DONE = "data: [DONE]\n\n";

/** The frames of a chat completion or a completion. */
export function createChunkWriter(operation: "chat" | "completion", heading: Heading): FrameWriter {
  const { model, createdSeconds, receiptId } = heading;
  const id = `${operation === "chat" ? "chatcmpl" : "cmpl"}-${receiptId}`;
  const object = operation === "chat" ? "chat.completion.chunk" : "text_completion";
  /** What every frame begins with. */
  const head = JSON.stringify({ id, object, created: createdSeconds, model }).slice(0, -1);
  const frame = (choices: JsonObject[]) => `data: ${head},"choices":${JSON.stringify(choices)}}\n\n`;
  const usageFrame = (usage: TokenUsage) =>
    `data: ${head},"choices":[],"usage":${JSON.stringify(chatUsage(usage))}}\n\n`;
  const begun = new Set<number>();

  /** A choice of a chat begins by saying whose turn it is. */
  function begin(index: number): string[] {
    if (operation === "completion" || begun.has(index)) return [];
    begun.add(index);
    return [frame([{ index, delta: { role: "assistant", content: "" }, finish_reason: null }])];
  }

  return {
    closers: RECEIPT_CLOSERS[operation],
    delta: (delta) => [...begin(delta.index), frame([choiceOfDelta(operation, delta)])],
    finish: (reasons) => [
      ...reasons.flatMap((_, index) => begin(index)),
      ...reasons.map((reason, index) => frame([choiceOfFinish(operation, index, reason)])),
    ],
    after: (usage, usageInFrame) => [...(usageInFrame ? [usageFrame(usage)] : []), DONE],
  };
}
