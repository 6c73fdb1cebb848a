/** What sessions may still spend at this node: their grant's budget, less their receipts, less what is being run for them. */
import { type AuthorizationPayload, type FoldState, type Key, keyOf, mostOf, type Price } from "@tallystick/protocol";
import { ServiceError } from "../platform/errors.ts";

export type SessionBudgets = {
  /** Takes what a call may cost out of its session's budget until the fold has its receipt. Throws insufficient_quota. */
  take(id: Uint8Array, says: Pick<AuthorizationPayload, "session" | "maxPrice">, price: Price): void;
  /** Nothing was signed for it. */
  giveBack(id: Uint8Array): void;
};

/** Authorizations that are kept before those are looked for that the fold knows by now. */
const RUNNING_KEPT = 8_192;

export function createSessionBudgets(fold: FoldState): SessionBudgets {
  /** By session, what each authorization may cost that the fold has no receipt of. */
  const running = new Map<Key, Map<Key, bigint>>();
  const sessions = new Map<Key, Key>();

  function drop(id: Key): void {
    const session = sessions.get(id);
    if (session === undefined) return;
    sessions.delete(id);
    const own = running.get(session);
    own?.delete(id);
    if (own?.size === 0) running.delete(session);
  }

  return {
    take(id, { session: sessionId, maxPrice }, price) {
      const mostAtomic = mostOf(price, maxPrice);
      if (mostAtomic === 0n) return;
      if (sessions.size > RUNNING_KEPT) for (const known of sessions.keys()) if (fold.receipts.has(known)) drop(known);
      const name = keyOf(sessionId);
      for (const known of running.get(name)?.keys() ?? []) if (fold.receipts.has(known)) drop(known);
      const own = running.get(name) ?? new Map<Key, bigint>();
      const session = fold.sessions.get(name);
      const budgetAtomic = session?.paymentClass === "credits" ? session.budgetAtomic - session.spentAtomic : 0n;
      const leftAtomic = [...own.values()].reduce((left, atomic) => left - atomic, budgetAtomic);
      if (mostAtomic > leftAtomic)
        throw new ServiceError(
          "insufficient_quota",
          `the session has ${leftAtomic} atomic units of its budget left, and this call may take ${mostAtomic}: open another session, or allow the call less`,
        );
      running.set(name, own.set(keyOf(id), mostAtomic));
      sessions.set(keyOf(id), name);
    },

    giveBack: (id) => drop(keyOf(id)),
  };
}
