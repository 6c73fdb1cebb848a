/** What the parties of a log bought of one another in the days that a judgement looks at (docs/spec/usage.md, "Organic"). */
import { dayOf, OPEN_DAY } from "../day.ts";
import type { Label } from "../judgement.ts";
import type { Lane } from "../lanes.ts";
import type { FoldState, Key } from "../state.ts";
import type { WashRules } from "../wash-rules.ts";
import { type Clusters, LINKS, type Link } from "./clusters.ts";
import type { Refunds } from "./refunds.ts";

const DAY_SECONDS = 86_400;

const NO_DAYS: readonly string[] = [];

/** The days a judgement looks at: from the day `first` to the judged one, and the same in Unix seconds. */
export type Window = { first: string; day: string; sinceSeconds: number; untilSeconds: number };

/** One lane in the window. Who is in it is named by clusters. */
export type Trade = {
  lane: Lane;
  payer: Key;
  node: Key;
  publisher: Key;
  gateway: Key;
  /** What makes the payer one party with a seller or the gateway. */
  link: Link | undefined;
  /** Of a payer with a tag a day: the days with a valid receipt. */
  days: readonly string[];
  valid: number;
  /** Units and output units together: what was asked for, as far as anybody says. */
  units: bigint;
  /** What the payer's own money paid, less what was refunded of it before its day was closed. */
  paidAtomic: bigint;
  /** That, and what was refunded in the window of days that were closed before. */
  refundedAtomic: bigint;
  lateAtomic: bigint;
  /** Whether so much was given back that nobody paid. */
  isRefunded: boolean;
  label: Label | undefined;
};

/** The days up to and with `day`; of the open day, which has no date, up to the log's last time and all after it. */
export function windowOf({ timeSeconds = 0 }: FoldState, day: string, { windowDays }: WashRules): Window {
  const isOpen = day === OPEN_DAY;
  const lastSeconds = isOpen ? timeSeconds - (timeSeconds % DAY_SECONDS) : Date.parse(day) / 1000;
  const sinceSeconds = lastSeconds - (windowDays - 1) * DAY_SECONDS;
  const first = dayOf(Math.max(0, sinceSeconds));
  return { first, day, sinceSeconds, untilSeconds: isOpen ? Number.POSITIVE_INFINITY : lastSeconds + DAY_SECONDS };
}

/** Every lane with anything in the window, in the order in which they came. */
export function tradesOf(
  fold: FoldState,
  window: Window,
  clusters: Clusters,
  refunds: ReadonlyMap<Lane, Refunds>,
): Map<Lane, Trade> {
  const trades = new Map<Lane, Trade>();
  for (const [day, lanes] of fold.demand.facts) {
    if (day < window.first || day > window.day) continue;
    for (const [lane, facts] of lanes) {
      let trade = trades.get(lane);
      if (trade === undefined) {
        trade = tradeOf(fold, clusters, lane);
        trades.set(lane, trade);
      }
      const before = trade.valid;
      for (const fact of facts) {
        trade.valid += fact.valid;
        trade.units += fact.units + fact.outputUnits;
        if (fact.priceAtomic > 0n) trade.paidAtomic += fact.priceAtomic - fact.subsidisedAtomic;
      }
      if (trade.valid > before && lane.tagMode === "scoped") trade.days = [...trade.days, day];
    }
  }
  for (const [lane, { inTimeAtomic, lateAtomic }] of refunds) {
    const trade = trades.get(lane);
    if (trade === undefined) continue;
    trade.paidAtomic -= inTimeAtomic;
    trade.refundedAtomic = inTimeAtomic;
    trade.lateAtomic = lateAtomic;
  }
  return trades;
}

function tradeOf({ models }: FoldState, { clusterOf, linkOf }: Clusters, lane: Lane): Trade {
  const publisherKey = models.get(lane.model)?.publisher ?? "";
  const payer = clusterOf(lane.payer);
  const node = clusterOf(lane.node);
  const publisher = clusterOf(publisherKey);
  const gateway = clusterOf(lane.gateway);
  let link: Link | undefined;
  if (payer === node || payer === publisher || payer === gateway) {
    const links = [lane.node, publisherKey, lane.gateway].map((seller) => linkOf(lane.payer, seller));
    link = LINKS.find((one) => links.includes(one));
  }
  // One literal, for there are hundreds of thousands: a spread would cost more than all the rest.
  return {
    lane,
    payer,
    node,
    publisher,
    gateway,
    link,
    days: NO_DAYS,
    valid: 0,
    units: 0n,
    paidAtomic: 0n,
    refundedAtomic: 0n,
    lateAtomic: 0n,
    isRefunded: false,
    label: undefined,
  };
}
