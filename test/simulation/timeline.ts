/** Time that passes only when it is told to, and what is to happen in it. The process's timers and the world share it. */
import { vi } from "vitest";

/** `process`: a timer of the process, gone with it. `world`: happens whether or not the process lives. */
type Owner = "process" | "world";
export type Happening = { atMs: number; order: number; owner: Owner; run(): void };

const START_MS = 1_790_000_000_000;
/** The platform's own. Between two of its turns, everything goes on that needs not wait. */
const turn = setImmediate;

export class Timeline {
  nowMs = START_MS;
  #happenings: Happening[] = [];
  #count = 0;

  /** Has `run` happen after `delayMs`; at one time, in the order in which it was asked for. */
  after(delayMs: number, run: () => void, owner: Owner = "world"): Happening {
    const happening = { atMs: this.nowMs + Math.max(0, delayMs), order: this.#count++, owner, run };
    let at = this.#happenings.length;
    while (at > 0 && (this.#happenings[at - 1]?.atMs ?? 0) > happening.atMs) at--;
    this.#happenings.splice(at, 0, happening);
    return happening;
  }

  cancel(happening: Happening): void {
    const at = this.#happenings.indexOf(happening);
    if (at >= 0) this.#happenings.splice(at, 1);
  }

  /** Lets the next thing happen, and all that follows from it at once. False where nothing is left. */
  async step(): Promise<boolean> {
    const next = this.#happenings.shift();
    if (next === undefined) return false;
    this.nowMs = next.atMs;
    next.run();
    await this.settle();
    return true;
  }

  /** Lets all go on that need not wait for anything. */
  settle(): Promise<void> {
    return new Promise((resolve) => turn(() => resolve()));
  }

  /** The process is gone, and its timers with it. */
  dropProcess(): void {
    this.#happenings = this.#happenings.filter(({ owner }) => owner === "world");
  }

  /** From here on, the timers that code asks the platform for are this timeline's. */
  install(): void {
    type Timer = { next: Happening };
    const once = (run: () => void, delayMs = 0): Timer => ({ next: this.after(delayMs, run, "process") });
    const clear = (timer: Timer | undefined) => timer !== undefined && this.cancel(timer.next);
    const repeat = (run: () => void, intervalMs: number): Timer => {
      const again = () => {
        timer.next = this.after(intervalMs, again, "process");
        run();
      };
      const timer: Timer = { next: this.after(intervalMs, again, "process") };
      return timer;
    };
    vi.stubGlobal("setTimeout", once);
    vi.stubGlobal("setImmediate", (run: () => void) => once(run));
    vi.stubGlobal("setInterval", repeat);
    vi.stubGlobal("clearTimeout", clear);
    vi.stubGlobal("clearInterval", clear);
  }

  uninstall(): void {
    vi.unstubAllGlobals();
  }
}
