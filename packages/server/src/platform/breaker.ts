/**
 * A circuit breaker: who failed several times in a row is left alone for a while, the longer the oftener, and is then tried with
 * one call before the others follow.
 */
import type { Clock } from "./clock.ts";

/** A call that was let through. What became of it is told once; what is told after that is not heard. */
export type Trial = {
  succeed(): void;
  /** `pauseMs` is how long the one that failed asked to be left alone: then once is enough. */
  fail(pauseMs?: number): void;
  /** It ended and says nothing of who was called: its caller went away. */
  abandon(): void;
};

export type Breaker = {
  /** Lets a call through, or says by undefined that none is to be made. */
  admit(): Trial | undefined;
  /** Whether a call would be let through. */
  readonly isAdmitting: boolean;
  readonly isOpen: boolean;
};

export type BreakerOptions = {
  clock: Clock;
  /** Failures in a row that open it. */
  failuresMost: number;
  /** How long it stays open at first; each time that the call after it fails, twice as long. */
  openMs: number;
  openMostMs: number;
};

export function createBreaker({ clock, failuresMost, openMs, openMostMs }: BreakerOptions): Breaker {
  let failures = 0;
  /** Openings since the last success. */
  let openings = 0;
  let open: { sinceMs: number; durationMs: number } | undefined;
  let isProbing = false;

  /** Whether it is too early for another call. A clock that was set back must not make it longer. */
  function isResting(): boolean {
    if (open === undefined) return false;
    const elapsedMs = clock.nowMs() - open.sinceMs;
    return elapsedMs >= 0 && elapsedMs < open.durationMs;
  }

  function trip(pauseMs: number): void {
    const durationMs = Math.min(Math.max(openMs * 2 ** openings, pauseMs), openMostMs);
    open = { sinceMs: clock.nowMs(), durationMs };
    openings++;
    failures = 0;
  }

  function succeed(isProbe: boolean): void {
    if (open !== undefined && !isProbe) return; // It was let through before the failures: it says nothing of now.
    open = undefined;
    failures = 0;
    openings = 0;
  }

  function fail(isProbe: boolean, pauseMs: number): void {
    if (open !== undefined && !isProbe) return;
    failures++;
    if (isProbe || pauseMs > 0 || failures >= failuresMost) trip(pauseMs);
  }

  function trial(isProbe: boolean): Trial {
    let isTold = false;
    const tell = (what: () => void) => {
      if (isTold) return;
      isTold = true;
      if (isProbe) isProbing = false;
      what();
    };
    return {
      succeed: () => tell(() => succeed(isProbe)),
      fail: (pauseMs = 0) => tell(() => fail(isProbe, pauseMs)),
      abandon: () => tell(() => {}),
    };
  }

  return {
    admit() {
      if (open === undefined) return trial(false);
      if (isProbing || isResting()) return undefined;
      isProbing = true;
      return trial(true);
    },
    get isAdmitting() {
      return open === undefined || !(isProbing || isResting());
    },
    get isOpen() {
      return open !== undefined;
    },
  };
}
