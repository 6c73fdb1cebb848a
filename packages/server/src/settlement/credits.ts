/**
 * What payers may spend at this moment: the balance of the fold, less what durable receipts cost that it does not know yet,
 * less what calls in flight may cost. Nothing of it is kept anywhere but in the log.
 */
import { balanceOf, type FoldState, hex, type Key, keyOf, type Session } from "@tallystick/protocol";
import { type Clock, nowSeconds } from "../platform/clock.ts";
import { ServiceError } from "../platform/errors.ts";
import type { KeyBudgets, SpendingKey } from "./key-budgets.ts";

export type HoldRequest = {
  /** Whose session is asked in: its payer pays. */
  session: Uint8Array;
  /** The API key that asks. */
  key: SpendingKey;
  mostAtomic: bigint;
};

/** Money that a call in flight may cost. */
export type Hold = {
  /** The receipt is durable, at `index`, and cost so much. */
  settle(priceAtomic: bigint, index: number): void;
  /** There is no receipt. After `settle` it does nothing. */
  release(): void;
  /** Nobody knows what came of it: it is held until the log has its receipt, or its authorization is long over. */
  abandon(id: Uint8Array, expirySeconds: number): void;
};

export type Credits = {
  /** Takes what a call may cost out of its payer's balance, its session's budget and its key's, at once or not at all. */
  hold(request: HoldRequest): Hold;
  /** What a payer may spend, and what calls in flight hold of it. */
  balance(payer: Key): { availableAtomic: bigint; heldAtomic: bigint };
};

/** What a payer or a session has that the fold does not know. */
type Pending = { heldAtomic: bigint; notedAtomic: bigint };
type Noted = { index: number; payer: Key; session: Key; priceAtomic: bigint };

type Abandoned = { id: Key; untilSeconds: number; end(priceAtomic: bigint): void };

const NOTHING: Hold = { settle: () => {}, release: () => {}, abandon: () => {} };
/** How long after its authorization a node may still log a receipt that was waited for. */
const LATE_SECONDS = 3_600;

export type CreditsParts = { fold: FoldState; budgets: KeyBudgets; clock: Clock };

export function createCredits({ fold, budgets, clock }: CreditsParts): Credits {
  /** By payer and by session: a payer's key has 16 characters, a session's 32. */
  const pending = new Map<Key, Pending>();
  /** What is durable and not folded, in about the order of the log. */
  let noted: Noted[] = [];
  let abandoned: Abandoned[] = [];

  function add(name: Key, heldAtomic: bigint, notedAtomic: bigint): void {
    const { heldAtomic: held, notedAtomic: known } = pendingOf(name);
    const next = { heldAtomic: held + heldAtomic, notedAtomic: known + notedAtomic };
    if (next.heldAtomic === 0n && next.notedAtomic === 0n) pending.delete(name);
    else pending.set(name, next);
  }

  function pendingOf(name: Key): Pending {
    return pending.get(name) ?? { heldAtomic: 0n, notedAtomic: 0n };
  }

  /** Forgets what the fold knows by now. One that is out of order is forgotten a moment later. */
  function catchUp(): void {
    if (abandoned.length > 0) {
      const now = nowSeconds(clock);
      const isOver = ({ id, untilSeconds }: Abandoned) => fold.receipts.has(id) || untilSeconds < now;
      for (const { id, end } of abandoned.filter(isOver)) end(fold.credits.payments.get(id)?.priceAtomic ?? 0n);
      abandoned = abandoned.filter((one) => !isOver(one));
    }
    const first = noted.findIndex(({ index }) => index >= fold.size);
    const known = noted.slice(0, first < 0 ? noted.length : first);
    if (known.length === 0) return;
    noted = noted.slice(known.length);
    for (const { payer, session, priceAtomic } of known)
      for (const name of [payer, session]) add(name, 0n, -priceAtomic);
  }

  function leftOf(name: Key, atomic: bigint): bigint {
    const { heldAtomic, notedAtomic } = pendingOf(name);
    return atomic - heldAtomic - notedAtomic;
  }

  return {
    hold({ session: id, key, mostAtomic }) {
      if (mostAtomic === 0n) return NOTHING;
      catchUp();
      const name = keyOf(id);
      const session = payingSession(fold, id);
      const { payer } = session;
      const inSession = leftOf(name, session.budgetAtomic - session.spentAtomic);
      if (mostAtomic > inSession)
        throw new ServiceError(
          "insufficient_quota",
          `the session has ${inSession} atomic units of its budget left, and this call may take ${mostAtomic}: open another session, or allow the call less`,
        );
      const available = leftOf(payer, balanceOf(fold, payer));
      if (mostAtomic > available)
        throw new ServiceError(
          "insufficient_quota",
          `the account has ${available} atomic units, and this call may take ${mostAtomic}: have its operator top it up, or allow the call less`,
        );
      const ofKey = budgets.hold(key, mostAtomic);
      for (const one of [payer, name]) add(one, mostAtomic, 0n);
      let isHeld = true;
      const end = (priceAtomic: bigint, notedAtomic: bigint) => {
        ofKey.settle(priceAtomic);
        for (const one of [payer, name]) add(one, -mostAtomic, notedAtomic);
      };
      return {
        settle(priceAtomic, index) {
          if (!isHeld) return;
          isHeld = false;
          end(priceAtomic, priceAtomic);
          if (priceAtomic > 0n) noted.push({ index, payer, session: name, priceAtomic });
        },
        release() {
          if (isHeld) end(0n, 0n);
          isHeld = false;
        },
        abandon(receipt, expirySeconds) {
          if (!isHeld) return;
          isHeld = false;
          const untilSeconds = expirySeconds + LATE_SECONDS;
          abandoned.push({ id: keyOf(receipt), untilSeconds, end: (priceAtomic) => end(priceAtomic, 0n) });
        },
      };
    },

    balance(payer) {
      catchUp();
      return { availableAtomic: leftOf(payer, balanceOf(fold, payer)), heldAtomic: pendingOf(payer).heldAtomic };
    },
  };
}

function payingSession(fold: FoldState, id: Uint8Array): Session {
  const session = fold.sessions.get(keyOf(id));
  if (session?.paymentClass === "credits") return session;
  throw new ServiceError(
    "insufficient_quota",
    `the session ${hex(id)} is for models that are free: open a new one, which may spend credits`,
  );
}
