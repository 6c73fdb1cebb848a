/** Loads models that are not loaded yet, a few at a time: a call that needs one waits, for so long and with so many others. */
import { keyOf, type PublishedModel } from "@tallystick/protocol";
import type { Clock } from "../platform/clock.ts";
import { ServiceError } from "../platform/errors.ts";

export type LoadingParts = {
  prepare(model: PublishedModel): Promise<void>;
  clock: Clock;
  limits?: Partial<LoadingLimits>;
};

export type LoadingLimits = {
  /** Models that are loaded at once. */
  atOnce: number;
  /** Calls that may wait for a model. */
  waiting: number;
  /** How long a call waits; the model goes on loading for those after it. */
  withinMs: number;
};

const LOADING_LIMITS: LoadingLimits = { atOnce: 2, waiting: 256, withinMs: 60_000 };

export type Loading = {
  /** Resolves once the model is loaded, with what that took. Throws unavailable where it does not within the limits. */
  load(model: PublishedModel): Promise<{ queueMs: number; loadMs: number }>;
};

export function createLoading({ prepare, clock, limits: given }: LoadingParts): Loading {
  const limits = { ...LOADING_LIMITS, ...given };
  const loaded = new Set<string>();
  /** Each resolves with when it was begun. */
  const underWay = new Map<string, Promise<number>>();
  const turns: (() => void)[] = [];
  let running = 0;
  let waiting = 0;

  async function open(name: string, model: PublishedModel): Promise<number> {
    if (running >= limits.atOnce) await new Promise<void>((resolve) => turns.push(resolve));
    else running++;
    const begunMs = clock.nowMs();
    try {
      await prepare(model);
      loaded.add(name);
      return begunMs;
    } finally {
      underWay.delete(name);
      const next = turns.shift();
      if (next === undefined) running--;
      else next(); // The place goes over to it.
    }
  }

  return {
    async load(model) {
      const name = keyOf(model.revision);
      if (loaded.has(name)) return { queueMs: 0, loadMs: 0 };
      if (waiting >= limits.waiting)
        throw new ServiceError("unavailable", `${waiting} calls wait for models that load: try again later`);
      const askedMs = clock.nowMs();
      const known = underWay.get(name);
      const opening = known ?? open(name, model);
      if (known === undefined) underWay.set(name, opening);
      waiting++;
      try {
        const begunMs = await within(opening, limits.withinMs, model.manifest.name);
        const fromMs = Math.max(begunMs, askedMs); // Who came later waited for the rest of it.
        return { queueMs: Math.max(0, fromMs - askedMs), loadMs: Math.max(0, clock.nowMs() - fromMs) };
      } finally {
        waiting--;
      }
    },
  };
}

function within<T>(work: Promise<T>, withinMs: number, name: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const refusal = new ServiceError("unavailable", `${name} is not loaded within ${withinMs} ms: try again later`);
    timer = setTimeout(() => reject(refusal), withinMs);
  });
  work.catch(() => {}); // Where nobody waits any more: whoever comes next asks again.
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}
