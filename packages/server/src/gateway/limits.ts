/**
 * Limits of API keys: so many requests and units a minute, so many calls at once, and no key takes every place while
 * others wait. The headers are OpenAI's `x-ratelimit-*`, and `RateLimit` of draft-ietf-httpapi-ratelimit-headers.
 */
import type { Clock } from "../platform/clock.ts";
import { ServiceError } from "../platform/errors.ts";
import type { ApiKey } from "./api-keys.ts";

/** What a key is held to where its terms say nothing. */
export const DEFAULT_LIMITS = { requestsPerMinute: 1_000_000, unitsPerMinute: 1_000_000_000, concurrentCalls: 2_048 };
/** Calls that wait for a place, of all keys together. */
const WAITING_MOST = 1_024;
/** Keys whose state is kept before those at rest are looked for. */
const KEYS_KEPT = 10_000;
const MINUTE_MS = 60_000;

export type Admission = {
  /** What is left to the key, for the answer's headers. */
  headers: Readonly<Record<string, string>>;
  /** Gives the place back once the call has ended, whichever way, and counts what it really took. A second time does nothing. */
  release(actualUnits: number): void;
};

export type Limits = {
  /** Takes a place for a call, waiting where there is none. Throws rate_limited over the key's limits, unavailable where too many wait. */
  admit(key: ApiKey, ask: { estimatedUnits: number }): Promise<Admission>;
};

/** A bucket of so many tokens that fills within a minute; what a call took over its estimate is a debt. */
type Bucket = { capacity: number; level: number };
type State = {
  requests: Bucket;
  units: Bucket;
  concurrentCalls: number;
  filledMs: number;
  held: number;
  waiting: (() => void)[];
};

export function createLimits({ clock, places }: { clock: Clock; places: number }): Limits {
  const states = new Map<string, State>();
  /** Keys with calls that wait, the one whose turn is next first. */
  const queue = new Set<State>();
  /** Alone, a key leaves room for whoever comes next. */
  const share = Math.max(1, Math.floor((places * 3) / 4));
  let taken = 0;
  let waiting = 0;
  let sweepAt = KEYS_KEPT;

  function stateOf({ id, terms }: ApiKey): State {
    const known = states.get(id);
    if (known !== undefined) return refill(known, clock.nowMs());
    if (states.size >= sweepAt) sweep();
    const { requestsPerMinute, unitsPerMinute, concurrentCalls } = { ...DEFAULT_LIMITS, ...terms };
    const made: State = {
      requests: { capacity: requestsPerMinute, level: requestsPerMinute },
      units: { capacity: unitsPerMinute, level: unitsPerMinute },
      concurrentCalls,
      filledMs: clock.nowMs(),
      held: 0,
      waiting: [],
    };
    states.set(id, made);
    return made;
  }

  /** A key that is at rest with full buckets is as one that was never met. */
  function sweep(): void {
    const nowMs = clock.nowMs();
    for (const [id, state] of states) {
      const { requests, units, held, waiting: own } = refill(state, nowMs);
      if (held + own.length === 0 && isFull(requests) && isFull(units)) states.delete(id);
    }
    sweepAt = Math.max(KEYS_KEPT, 2 * states.size);
  }

  const hasPlace = (state: State) => taken < places && state.held < share;
  const take = (state: State) => {
    taken++;
    state.held++;
  };

  /** Gives free places to those who wait: a key after the other, and each key's calls in their order. */
  function handOut(): void {
    for (const state of queue) {
      if (taken >= places) return;
      if (!hasPlace(state)) continue;
      const next = state.waiting.shift();
      queue.delete(state);
      if (state.waiting.length > 0) queue.add(state);
      waiting--;
      take(state);
      next?.();
    }
  }

  async function takePlace(state: State): Promise<void> {
    if (hasPlace(state)) return take(state); // Those who wait may not have it: each has its share.
    if (waiting >= WAITING_MOST)
      throw new ServiceError("unavailable", "more calls wait than can be served: try again in a second");
    waiting++;
    await new Promise<void>((resolve) => {
      state.waiting.push(resolve);
      queue.add(state);
      handOut();
    });
  }

  return {
    async admit(key, { estimatedUnits }) {
      const state = stateOf(key);
      const { requests, units } = state;
      if (state.held + state.waiting.length >= state.concurrentCalls)
        throw refusal(state, `${state.concurrentCalls} calls at once`, 1_000);
      if (requests.level < 1) throw refusal(state, `${requests.capacity} requests a minute`, untilMs(requests, 1));
      // A call of more than a minute's units is for a full bucket, and leaves a debt.
      const needed = Math.min(estimatedUnits, units.capacity);
      if (units.level < needed) throw refusal(state, `${units.capacity} units a minute`, untilMs(units, needed));
      requests.level -= 1;
      units.level -= estimatedUnits;
      const headers = headersOf(state);
      try {
        await takePlace(state);
      } catch (error) {
        requests.level += 1;
        units.level += estimatedUnits;
        throw error;
      }
      let isHeld = true;
      return {
        headers,
        release(actualUnits) {
          if (!isHeld) return;
          isHeld = false;
          taken--;
          state.held--;
          units.level = Math.min(units.capacity, units.level + estimatedUnits - actualUnits);
          handOut();
        },
      };
    },
  };
}

function refill(state: State, nowMs: number): State {
  const passedMs = Math.max(0, nowMs - state.filledMs); // A clock that was set back fills nothing.
  for (const bucket of [state.requests, state.units])
    bucket.level = Math.min(bucket.capacity, bucket.level + (bucket.capacity * passedMs) / MINUTE_MS);
  state.filledMs = nowMs;
  return state;
}

const isFull = ({ level, capacity }: Bucket) => level >= capacity;
/** How long until there is so much in it. */
const untilMs = ({ level, capacity }: Bucket, needed: number) => Math.ceil(((needed - level) * MINUTE_MS) / capacity);
const left = ({ level }: Bucket) => Math.max(0, Math.floor(level));

function refusal(state: State, limit: string, retryAfterMs: number): ServiceError {
  return new ServiceError("rate_limited", `over this API key's limit of ${limit}: try again after ${retryAfterMs} ms`, {
    retryAfterMs,
    headers: headersOf(state),
  });
}

function headersOf({ requests, units }: State): Record<string, string> {
  const [requestsMs, unitsMs] = [untilMs(requests, requests.capacity), untilMs(units, units.capacity)];
  const seconds = (durationMs: number) => Math.ceil(durationMs / 1000);
  return {
    "x-ratelimit-limit-requests": String(requests.capacity),
    "x-ratelimit-remaining-requests": String(left(requests)),
    "x-ratelimit-reset-requests": durationText(requestsMs),
    "x-ratelimit-limit-tokens": String(units.capacity),
    "x-ratelimit-remaining-tokens": String(left(units)),
    "x-ratelimit-reset-tokens": durationText(unitsMs),
    "ratelimit-policy": `"requests";q=${requests.capacity};w=60, "tokens";q=${units.capacity};w=60`,
    ratelimit: `"requests";r=${left(requests)};t=${seconds(requestsMs)}, "tokens";r=${left(units)};t=${seconds(unitsMs)}`,
  };
}

/** A duration as OpenAI spells it: `12ms`, `1.5s`, `6m0s`. */
export function durationText(durationMs: number): string {
  if (durationMs < 1_000) return `${durationMs}ms`;
  if (durationMs < MINUTE_MS) return `${durationMs / 1000}s`;
  const seconds = Math.ceil(durationMs / 1000);
  return `${Math.floor(seconds / 60)}m${seconds % 60}s`;
}
