/** Which of the calls that wait go to a worker together. */
import type { ExecutionLimits } from "./limits.ts";

/** A call as batching sees it. `alone`: it was in a batch that failed, perhaps by its doing. */
export type Batchable = { sizeBytes: number; alone: boolean };

/**
 * The most calls of a revision that make a batch, when one took `callMs` so far. Before that is known a call goes by itself.
 * A model that takes long for each call gains nothing by batches, and its calls had better spread over the workers.
 */
export function batchLength(callMs: number | undefined, { batchCalls, batchMs }: ExecutionLimits): number {
  return callMs === undefined ? 1 : Math.max(1, Math.min(batchCalls, Math.floor(batchMs / callMs)));
}

/** Takes the next batch, at most `length` calls, off the head of `waiting`. */
export function takeBatch<Call extends Batchable>(waiting: Set<Call>, length: number, batchBytes: number): Call[] {
  const batch: Call[] = [];
  let sizeBytes = 0;
  for (const call of waiting) {
    sizeBytes += call.sizeBytes;
    const fits = batch.length < length && sizeBytes <= batchBytes && !call.alone;
    if (batch.length > 0 && !fits) break;
    batch.push(call);
    waiting.delete(call);
    if (call.alone) break;
  }
  return batch;
}
