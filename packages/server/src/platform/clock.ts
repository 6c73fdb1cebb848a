/** Time, as an argument. */
export type Clock = {
  /** Milliseconds since 1970-01-01T00:00:00Z. */
  nowMs(): number;
};

export const systemClock: Clock = { nowMs: () => Date.now() };

/** Whole seconds since 1970-01-01T00:00:00Z. */
export function nowSeconds(clock: Clock): number {
  return Math.floor(clock.nowMs() / 1000);
}
