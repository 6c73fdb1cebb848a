/** Questions about many days take turns: each reads one document after another, and holds what it found of them. */
import { ServiceError } from "../platform/errors.ts";

/** How many are answered at once, and how many wait. */
const AT_ONCE = 2;
const WAITING = 64;

export type Turns = { take<T>(answer: () => Promise<T>): Promise<T> };

export function createTurns(): Turns {
  const waiting: (() => void)[] = [];
  let taken = 0;

  return {
    async take(answer) {
      if (taken < AT_ONCE) taken++;
      else if (waiting.length < WAITING) await new Promise<void>((resolve) => waiting.push(resolve));
      else
        throw new ServiceError("unavailable", "too many questions are being answered: ask again", {
          retryAfterMs: 1_000,
        });
      try {
        return await answer();
      } finally {
        const next = waiting.shift();
        if (next === undefined) taken--;
        else next(); // Whose turn it is has the place of whose it was.
      }
    },
  };
}
