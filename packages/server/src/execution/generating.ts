/**
 * A generation as its pool sees it: pieces come in, in slices of a worker's time. A worker may end under it by another's
 * doing; then it begins again elsewhere, and since it writes the same again, what was given out is left out.
 */

import type { StopSignal } from "../platform/stop.ts";
import {
  type ClaimedTokens,
  type GenerationDelta,
  type GenerationEnd,
  type GenerationRequest,
  promptSize,
} from "./generation.ts";
import type { ExecutionLimits } from "./limits.ts";
import type { Reply } from "./messages.ts";
import type { Slot } from "./slot.ts";

/** How often a generation may lose its worker before it is given up. */
const LOSSES = 3;

export type Generating = {
  id: number;
  request: GenerationRequest;
  claimed: ClaimedTokens | undefined;
  sizeBytes: number;
  settled: boolean;
  /** Settles it; what comes later changes nothing. */
  settle(end: GenerationEnd): void;
  take(deltas: GenerationDelta[]): void;
  /** Whether a worker has begun it; how many pieces that worker gave, how many were given out, and how many workers it lost. */
  progress: { begun: boolean; came: number; given: number; losses: number };
  /** Ends the wait for a pass that does not end. */
  grace: NodeJS.Timeout | undefined;
};

export type GenerateOptions = {
  deadlineMs: number;
  signal?: StopSignal | undefined;
  /** Nothing is written: each of these tokens is held to what the model would choose, and refused where it would not. */
  claimed?: ClaimedTokens | undefined;
  onDelta(delta: GenerationDelta): void;
};

let lastId = 0;

/** A generation that ends by itself at its deadline or its signal; `onSettled` is told how, once. */
export function createGenerating(
  request: GenerationRequest,
  { deadlineMs, signal, claimed, onDelta }: GenerateOptions,
  onSettled: (end: GenerationEnd) => void,
): Generating {
  const message = `not done within the ${deadlineMs} ms that this generation may take`;
  const timer = setTimeout(() => one.settle({ kind: "failed", reason: "deadline", message }), deadlineMs);
  const cancel = () => one.settle({ kind: "cancelled" });
  signal?.addEventListener("abort", cancel, { once: true });
  const one: Generating = {
    id: ++lastId,
    request,
    claimed,
    sizeBytes: promptSize(request),
    settled: false,
    progress: { begun: false, came: 0, given: 0, losses: 0 },
    grace: undefined,
    settle(end) {
      if (one.settled) return;
      one.settled = true;
      clearTimeout(timer);
      signal?.removeEventListener("abort", cancel);
      onSettled(end);
    },
    take(deltas) {
      const { progress } = one;
      for (const delta of deltas) {
        if (one.settled) return;
        if (progress.came++ < progress.given) continue;
        progress.given++;
        onDelta(delta);
      }
    },
  };
  return one;
}

/** Goes on with a generation for one slice of the worker's time. Whether it wants another is for `settled` to say. */
export async function advance(
  one: Generating,
  revision: string,
  slot: Slot,
  { sliceMs }: ExecutionLimits,
): Promise<void> {
  const { progress } = one;
  if (one.settled) {
    if (progress.begun && slot.has(revision)) await slot.ask({ kind: "abandon", id: one.id });
    return;
  }
  const step = { kind: "advance", id: one.id, sliceMs } as const;
  let reply: Reply = progress.begun ? await slot.ask(step) : { kind: "unknown" };
  if (reply.kind === "unknown") {
    if (progress.begun && ++progress.losses > LOSSES) {
      const message = `the workers that ran this generation ended ${LOSSES + 1} times, by other calls`;
      return one.settle({ kind: "failed", reason: "crashed", message });
    }
    Object.assign(progress, { begun: true, came: 0 });
    reply = await slot.ask({ kind: "begin", revision, id: one.id, request: one.request, claimed: one.claimed });
    if (reply.kind === "done") reply = await slot.ask(step);
  }
  if (reply.kind === "fault") return one.settle({ kind: "failed", reason: reply.reason, message: reply.message });
  if (reply.kind !== "written") throw new Error(`a worker replied "${reply.kind}" to a generation`);
  one.take(reply.deltas);
  if (reply.outcome !== undefined) one.settle(reply.outcome);
  // Settled from outside in the meantime: the worker still holds it.
  else if (one.settled) await slot.ask({ kind: "abandon", id: one.id });
}
