/** Work that is done again whenever it is due: never twice at once, and at least an interval after the last time. */
import type { Clock } from "../platform/clock.ts";

export type RecurringParts = {
  clock: Clock;
  intervalMs: number;
  isDue(): boolean;
  /** Never rejects. */
  work(): Promise<void>;
};

export class Recurring {
  readonly #parts: RecurringParts;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #doneMs = 0;
  #stopped = false;

  constructor(parts: RecurringParts) {
    this.#parts = parts;
  }

  /** Sees to it that the work is done in its time, where it is due. */
  schedule(): void {
    const { clock, intervalMs, isDue } = this.#parts;
    if (this.#timer !== undefined || this.#running !== undefined || this.#stopped || !isDue()) return;
    const dueMs = this.#doneMs + intervalMs - clock.nowMs();
    // A clock that was set back must not put the next time off.
    const delayMs = Math.min(Math.max(0, dueMs), intervalMs);
    this.#timer = setTimeout(() => void this.run(), delayMs);
  }

  /** Does the work without waiting for its time; where it is being done, resolves with that. */
  run(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#running ??= this.#parts.work().finally(() => {
      this.#running = undefined;
      this.#doneMs = this.#parts.clock.nowMs();
      this.schedule();
    });
    return this.#running;
  }

  /** Resolves once the work that is being done is done. */
  async settled(): Promise<void> {
    await this.#running;
  }

  /** Lets the work that is being done end, and starts none of itself from here on. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#running;
  }
}
