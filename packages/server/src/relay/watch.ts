/** How long an upstream may take for what it is at, and whether anybody still waits for it. */

import type { StopSignal } from "../platform/stop.ts";
import { type FaultKind, UpstreamFault } from "./fault.ts";

export type Watch = {
  /** Why it is over before its end; undefined while it is not. */
  readonly stopped: UpstreamFault | undefined;
  /** Whether the answer had begun. */
  readonly isUnderWay: boolean;
  /** Tells `listener`, the only one, why it is over: at once where it is. */
  onStop(listener: (fault: UpstreamFault) => void): void;
  /** From here on the upstream has `limitMs` for its next sign of life. */
  expect(kind: FaultKind, limitMs: number): void;
  /** It gave one: the same time begins again. */
  sign(): void;
  /** Waits for somebody else than the upstream, whose time stands still. Rejects once it is over. */
  waitFor(reader: Promise<void>): Promise<void>;
  close(): void;
};

/** Over after `deadlineMs`, or once `caller` is aborted. */
export function openWatch(caller: StopSignal, deadlineMs: number): Watch {
  let stopped: UpstreamFault | undefined;
  let told: ((fault: UpstreamFault) => void) | undefined;
  let interrupt: ((fault: UpstreamFault) => void) | undefined;
  let expected: { kind: FaultKind; limitMs: number; timer: NodeJS.Timeout } | undefined;

  function stop(kind: FaultKind, message: string): void {
    if (stopped !== undefined) return;
    stopped = new UpstreamFault(kind, message);
    told?.(stopped);
    interrupt?.(stopped);
  }

  function expect(kind: FaultKind, limitMs: number): void {
    clearTimeout(expected?.timer);
    const timer = setTimeout(() => stop(kind, `the upstream said nothing for ${limitMs} ms`), limitMs);
    expected = { kind, limitMs, timer };
  }

  const cancel = () => stop("cancelled", "the caller went away");
  const deadline = setTimeout(
    () => stop("deadline", `the upstream's answer was not whole after ${deadlineMs} ms`),
    deadlineMs,
  );
  caller.addEventListener("abort", cancel, { once: true });
  if (caller.aborted) cancel();

  return {
    get stopped() {
      return stopped;
    },
    get isUnderWay() {
      return expected?.kind === "between_chunks_timeout";
    },
    onStop(listener) {
      told = listener;
      if (stopped !== undefined) listener(stopped);
    },
    expect,
    sign: () => void expected?.timer.refresh(),

    async waitFor(reader) {
      if (stopped !== undefined) throw stopped;
      clearTimeout(expected?.timer);
      try {
        await new Promise<void>((resolve, reject) => {
          interrupt = reject;
          reader.then(resolve, reject);
        });
      } finally {
        interrupt = undefined;
      }
      if (expected !== undefined && stopped === undefined) expect(expected.kind, expected.limitMs);
    },

    close() {
      clearTimeout(deadline);
      clearTimeout(expected?.timer);
      caller.removeEventListener("abort", cancel);
    },
  };
}
