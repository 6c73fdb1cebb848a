/** What payers were given back of their own money, and when (docs/spec/usage.md, "Organic", `refunded`). */
import { sumOf } from "../counts.ts";
import { dayOf, OPEN_DAY } from "../day.ts";
import type { Fact, Lane } from "../lanes.ts";
import { type FoldState, timeOf } from "../state.ts";
import type { WashRules } from "../wash-rules.ts";
import type { Trade, Window } from "./trades.ts";

const DAY_SECONDS = 86_400;

/** Of one lane, as far as a judged day sees it. Own money is what is no operator's. */
export type Refunds = {
  /** Of receipts of the window, before their days were closed: own money. */
  inTimeAtomic: bigint;
  /** In the window, of receipts whose days were closed before: own money. */
  lateAtomic: bigint;
  /** Of receipts of the judged day, before it was closed: own money, and all. */
  ownOfDayAtomic: bigint;
  ofDayAtomic: bigint;
};

/** What was refunded until the window's last day was closed, by lane. */
export function refundsOf(fold: FoldState, window: Window): Map<Lane, Refunds> {
  const refunds = new Map<Lane, Refunds>();
  for (const { index, receipt: id, amountAtomic, subsidisedAtomic } of fold.demand.refunds) {
    const receipt = fold.receipts.get(id);
    const paidSeconds = receipt && timeOf(fold, receipt.index);
    const day = paidSeconds === undefined ? OPEN_DAY : dayOf(paidSeconds);
    const seconds = timeOf(fold, index) ?? fold.timeSeconds ?? 0;
    if (receipt === undefined || day > window.day || seconds >= window.untilSeconds + DAY_SECONDS) continue;
    const own = refundsOn(refunds, receipt.lane);
    if (isLate(paidSeconds, seconds)) {
      if (seconds >= window.sinceSeconds) own.lateAtomic += amountAtomic - subsidisedAtomic;
    } else if (day >= window.first) {
      own.inTimeAtomic += amountAtomic - subsidisedAtomic;
      if (day !== window.day) continue;
      own.ownOfDayAtomic += amountAtomic - subsidisedAtomic;
      own.ofDayAtomic += amountAtomic;
    }
  }
  return refunds;
}

/** Whether a refund at a time comes after the day of its receipt may be closed, a day after its end. */
export function isLate(paidSeconds: number | undefined, seconds: number): boolean {
  return paidSeconds !== undefined && seconds >= paidSeconds - (paidSeconds % DAY_SECONDS) + 2 * DAY_SECONDS;
}

function refundsOn(refunds: Map<Lane, Refunds>, lane: Lane): Refunds {
  let own = refunds.get(lane);
  if (own === undefined) {
    own = { inTimeAtomic: 0n, lateAtomic: 0n, ownOfDayAtomic: 0n, ofDayAtomic: 0n };
    refunds.set(lane, own);
  }
  return own;
}

/** Marks the lanes of whose price in the window the rules' share or more was given back in time. */
export function markRefunded(trades: Iterable<Trade>, rules: WashRules): void {
  for (const trade of trades) {
    const { paidAtomic, refundedAtomic } = trade;
    if (isShare(refundedAtomic, paidAtomic + refundedAtomic, rules)) markGivenBack(trade);
  }
}

export function markGivenBack(trade: Trade): void {
  trade.isRefunded = true;
  trade.label ??= "refunded";
}

/** Whether that share or more of what a lane's own money paid on a day, which has these facts, was given back in time. */
export function isRefundedOn(facts: readonly Fact[], refunds: Refunds | undefined, rules: WashRules): boolean {
  const paidAtomic = sumOf(facts, (fact) => fact.priceAtomic - fact.subsidisedAtomic);
  return refunds !== undefined && isShare(refunds.ownOfDayAtomic, paidAtomic, rules);
}

/** Whether anything was given back, and of what was paid the rules' share or more. */
export function isShare(backAtomic: bigint, paidAtomic: bigint, { refundedPerMille }: WashRules): boolean {
  return backAtomic > 0n && backAtomic * 1_000n >= paidAtomic * BigInt(refundedPerMille);
}
