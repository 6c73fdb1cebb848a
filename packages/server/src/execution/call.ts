/** A call on its way through a pool, and what can come of it. */
import type { ExecutionProfile, Tensor } from "@tallystick/protocol";
import type { Batchable } from "./batch.ts";
import type { Fault } from "./messages.ts";

export type Execution =
  | { kind: "answered"; outputs: Tensor[]; unitCount: number; profile: ExecutionProfile }
  /** The caller's fault, as the adapter found it. */
  | { kind: "refused"; message: string }
  /** Too many wait already, and this one was not tried. */
  | { kind: "overloaded"; message: string }
  | { kind: "failed"; reason: Fault["reason"]; message: string };

export type Call = Batchable & {
  inputs: Tensor[];
  since: number;
  expiresAt: number;
  /** Whether its outcome is known: it need not run any more. */
  settled: boolean;
  /** Settles it; what comes later changes nothing. */
  settle(execution: Execution): void;
};

export function sizeOf(inputs: readonly Tensor[]): number {
  return inputs.reduce((sum, { data }) => sum + data.length, 0);
}

/** A call that fails by itself after `deadlineMs`; `onSettled` is told its outcome, once. */
export function createCall(inputs: Tensor[], deadlineMs: number, onSettled: (execution: Execution) => void): Call {
  const since = performance.now();
  const timer = setTimeout(() => {
    const message = `no answer within the ${deadlineMs} ms that this call may take`;
    call.settle({ kind: "failed", reason: "deadline", message });
  }, deadlineMs);
  const call: Call = {
    inputs,
    sizeBytes: sizeOf(inputs),
    alone: false,
    since,
    expiresAt: since + deadlineMs,
    settled: false,
    settle(execution) {
      if (call.settled) return;
      call.settled = true;
      clearTimeout(timer);
      onSettled(execution);
    },
  };
  return call;
}
