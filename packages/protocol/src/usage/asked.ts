/**
 * Receipts whose requesters asked that they be run again: lots draw all of them, so many at a time (docs/spec/lot.md, "Checks
 * that are asked for").
 */
import { dayOf } from "./day.ts";
import type { Coverage } from "./proof-state.ts";
import { coverageOf } from "./regrade.ts";
import { type FoldState, type Key, timeOf } from "./state.ts";

/** Asked receipts that one lot draws; the others wait for the next. */
export const ASKED_MOST = 64;

/** A receipt whose check was asked for has a time, and waits for a lot from here on. */
export function awaitLot(fold: FoldState, receipt: Key): void {
  const counts = askedOf(fold, receipt);
  counts.population++;
  counts.waiting++;
  queueAsked(fold, receipt);
}

/** Puts a receipt behind those of its payer that wait. */
export function queueAsked({ lots: { asked }, receipts }: FoldState, receipt: Key): void {
  const payer = receipts.get(receipt)?.payer ?? "";
  asked.set(payer, (asked.get(payer) ?? new Set()).add(receipt));
}

/** What the next lot draws in any case: of each payer in turn the oldest that waits, so that none holds up the others. */
export function takeAsked({ lots: { asked } }: FoldState): Set<Key> {
  const taken = new Set<Key>();
  for (const [payer, waiting] of asked) {
    if (taken.size === ASKED_MOST) break;
    asked.delete(payer);
    const [oldest] = waiting;
    if (oldest === undefined) continue;
    taken.add(oldest);
    waiting.delete(oldest);
    if (waiting.size > 0) asked.set(payer, waiting); // Its next turn is after those of the others.
  }
  return taken;
}

/** A lot has drawn it. */
export function countDrawn(fold: FoldState, receipt: Key): void {
  const counts = askedOf(fold, receipt);
  counts.waiting--;
  counts.drawn++;
}

/** No lot has drawn it within its time. */
export function omitAsked(fold: FoldState, receipt: Key): void {
  const { asked, open } = fold.lots;
  asked.get(fold.receipts.get(receipt)?.payer ?? "")?.delete(receipt);
  for (const lot of open) lot.asked.delete(receipt);
  const counts = askedOf(fold, receipt);
  counts.waiting--;
  counts.omitted++;
}

/** Whether a receipt whose check was asked for waits for the lot that draws it. */
export function awaitsDraw({ receipts, lots }: FoldState, receipt: Key): boolean {
  const isQueued = lots.asked.get(receipts.get(receipt)?.payer ?? "")?.has(receipt) ?? false;
  return isQueued || lots.open.some(({ asked }) => asked.has(receipt));
}

/** What is counted of the asked receipts of this one's model and day. */
function askedOf(fold: FoldState, receipt: Key): Coverage["asked"] {
  const { index = 0, model = "" } = fold.receipts.get(receipt) ?? {};
  return coverageOf(fold.proofs, dayOf(timeOf(fold, index) ?? 0), model).asked;
}
