/** Work that is done again whenever something has changed, one round at a time. */
import type { Report } from "../platform/http.ts";

export type Loop = {
  /** Something has changed: a round begins, or another after the one that runs. */
  wake(): void;
  /** Wakes after so long, unless something does before. */
  wakeIn(durationMs: number): void;
  /** Resolves once no round runs and none is due at once. */
  idle(): Promise<void>;
  close(): Promise<void>;
};

/** The pause after a round that failed. */
const FAILED_MS = 5_000;

export function createLoop(work: () => Promise<void>, report: Report): Loop {
  let running: Promise<void> | undefined;
  let isWoken = false;
  let isClosed = false;
  let timer: NodeJS.Timeout | undefined;

  async function run(): Promise<void> {
    while (isWoken && !isClosed) {
      isWoken = false;
      try {
        await work();
      } catch (error) {
        report("verification does not go on; it is tried again", { error: String(error) });
        wakeIn(FAILED_MS);
      }
    }
    running = undefined;
  }

  function wake(): void {
    clearTimeout(timer);
    timer = undefined;
    isWoken = true;
    if (!isClosed) running ??= run();
  }

  function wakeIn(durationMs: number): void {
    clearTimeout(timer);
    if (!isClosed) timer = setTimeout(wake, durationMs);
  }

  return {
    wake,
    wakeIn,
    async idle() {
      while (running !== undefined) await running;
    },
    async close() {
      isClosed = true;
      clearTimeout(timer);
      await running;
    },
  };
}
