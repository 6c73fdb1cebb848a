/**
 * What API keys may spend, in all and in a day of UTC. Which key asked is in no log, so it is kept here: durably before a
 * call is dispatched, and in blocks, so that not every call writes. After a crash a key has spent what was kept, which is
 * at most a block and what was in flight more than it did, and never less.
 */
import { type Clock, nowSeconds } from "../platform/clock.ts";
import { ServiceError } from "../platform/errors.ts";
import type { Spending, SpendingStore } from "./store.ts";

/** What a key may spend; what is undefined is not bounded. */
export type KeyBudget = { totalAtomic: bigint | undefined; dayAtomic: bigint | undefined };
export type SpendingKey = { id: string; budget: KeyBudget };

/** A block is this part of the budget. */
const BLOCKS = 64n;
/** Keys that are kept in memory; those at rest give way. */
const KEYS_KEPT = 10_000;
const DAY_SECONDS = 86_400;

export type KeyHold = { settle(priceAtomic: bigint): void };

export type KeyBudgets = {
  /** Takes `mostAtomic` out of a key's budget, until it is settled. Throws insufficient_quota. */
  hold(key: SpendingKey, mostAtomic: bigint): KeyHold;
  /** What a key has spent, with what is in flight. */
  spent(key: SpendingKey): Spending;
  /** Keeps exactly what was spent. */
  close(): void;
};

type State = { day: number; total: bigint; ofDay: bigint; kept: Spending; holds: number };

export function createKeyBudgets({ store, clock }: { store: SpendingStore; clock: Clock }): KeyBudgets {
  const states = new Map<string, State>();

  function stateOf({ id }: SpendingKey): State {
    const day = Math.floor(nowSeconds(clock) / DAY_SECONDS);
    let state = states.get(id);
    if (state === undefined) {
      if (states.size >= KEYS_KEPT) sweep();
      const kept = store.find(id, day);
      state = { day, total: kept.totalAtomic, ofDay: kept.dayAtomic, kept, holds: 0 };
      states.set(id, state);
    }
    if (day > state.day) Object.assign(state, { day, ofDay: 0n, kept: { ...state.kept, dayAtomic: 0n } });
    return state;
  }

  function keep(id: string, state: State, spending: Spending): void {
    if (spending.totalAtomic === state.kept.totalAtomic && spending.dayAtomic === state.kept.dayAtomic) return;
    store.put(id, state.day, spending);
    state.kept = spending;
  }

  function sweep(): void {
    for (const [id, state] of states) {
      if (state.holds > 0) continue;
      keep(id, state, { totalAtomic: state.total, dayAtomic: state.ofDay });
      states.delete(id);
    }
  }

  return {
    hold(key, mostAtomic) {
      const { totalAtomic, dayAtomic } = key.budget;
      if (totalAtomic === undefined && dayAtomic === undefined) return { settle: () => {} };
      const state = stateOf(key);
      const [total, ofDay] = [state.total + mostAtomic, state.ofDay + mostAtomic];
      refuseOver(key.id, "in all", totalAtomic, total, mostAtomic);
      refuseOver(key.id, "today", dayAtomic, ofDay, mostAtomic);
      const { kept } = state;
      if (total > kept.totalAtomic || ofDay > kept.dayAtomic)
        keep(key.id, state, {
          totalAtomic: ahead(total, totalAtomic, dayAtomic),
          dayAtomic: ahead(ofDay, dayAtomic, totalAtomic),
        });
      const { day } = state;
      state.total = total;
      state.ofDay = ofDay;
      state.holds++;
      let isHeld = true;
      return {
        settle(priceAtomic) {
          if (!isHeld) return;
          isHeld = false;
          state.holds--;
          state.total -= mostAtomic - priceAtomic;
          if (state.day === day) state.ofDay -= mostAtomic - priceAtomic;
        },
      };
    },

    spent(key) {
      const { total, ofDay } = stateOf(key);
      return { totalAtomic: total, dayAtomic: ofDay };
    },

    close() {
      for (const [id, { day, total, ofDay, ...state }] of states)
        keep(id, { day, total, ofDay, ...state }, { totalAtomic: total, dayAtomic: ofDay });
    },
  };
}

function refuseOver(id: string, when: string, limit: bigint | undefined, spent: bigint, mostAtomic: bigint): void {
  if (limit === undefined || spent <= limit) return;
  throw new ServiceError(
    "insufficient_quota",
    `the API key ${id} may spend ${limit} atomic units ${when} and has ${limit - spent + mostAtomic} left, of which this call may take ${mostAtomic}: use another key, or allow the call less`,
  );
}

/** What is kept as spent, so that the next calls need not be: a block more, and no more than there is. */
function ahead(spent: bigint, limit: bigint | undefined, other: bigint | undefined): bigint {
  const next = spent + (limit ?? other ?? 0n) / BLOCKS;
  return limit === undefined || next < limit ? next : limit;
}
