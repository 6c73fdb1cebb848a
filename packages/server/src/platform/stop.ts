/**
 * What tells that nobody waits any more. An AbortSignal is one; this one is made for a call, several times over, and costs
 * a tenth of it.
 */
export type StopSignal = {
  readonly aborted: boolean;
  addEventListener(type: "abort", listener: () => void, options?: { once: true }): void;
  removeEventListener(type: "abort", listener: () => void): void;
};

export class Stop implements StopSignal {
  #listeners: (() => void)[] | undefined;
  aborted = false;

  get signal(): StopSignal {
    return this;
  }

  /** Tells who listens, once. */
  abort(): void {
    if (this.aborted) return;
    this.aborted = true;
    const told = this.#listeners ?? [];
    this.#listeners = undefined;
    for (const listener of told) listener();
  }

  addEventListener(_type: "abort", listener: () => void): void {
    if (this.aborted) return;
    if (this.#listeners === undefined) this.#listeners = [listener];
    else if (!this.#listeners.includes(listener)) this.#listeners.push(listener);
  }

  removeEventListener(_type: "abort", listener: () => void): void {
    this.#listeners = this.#listeners?.filter((other) => other !== listener);
  }
}

/** A signal that never tells anything. */
export const NEVER: StopSignal = { aborted: false, addEventListener() {}, removeEventListener() {} };
