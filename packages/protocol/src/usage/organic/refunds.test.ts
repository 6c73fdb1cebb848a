import { expect, test } from "vitest";
import { addHonest, labelsOf, Market, marketWith } from "../../../../../test/market.ts";
import { NOON_SECONDS } from "../../../../../test/one-receipt.ts";
import { dayOf } from "../day.ts";
import type { Lane } from "../lanes.ts";

const DAY = 86_400;
const RICH = 100_000_000n;

test("half a lane's price of a day given back by its close makes it refunded, and nobody a washer; less does not", () => {
  const label = (refundedAtomic: bigint, paidSeconds = NOON_SECONDS, atSeconds = paidSeconds) => {
    const market = marketWith("model");
    const before = market.call({ payer: "payer", model: "model", calls: 10, atSeconds: NOON_SECONDS - DAY });
    const lane = market.call({ payer: "payer", model: "model", calls: 10 });
    expect(lane).toBe(before);
    market.refund(lane, refundedAtomic, paidSeconds, atSeconds);
    return market.labelOf(lane);
  };
  expect([label(500n), label(499n)]).toEqual(["refunded", "organic"]);
  const midnight = NOON_SECONDS - (NOON_SECONDS % DAY);
  expect(label(500n, NOON_SECONDS, midnight + 2 * DAY - 1)).toBe("refunded");
  expect(label(500n, NOON_SECONDS, midnight + 2 * DAY)).toBe("organic");
  // What came back of the day before is none of the judged day's, until it is half of the window's.
  expect([label(999n, NOON_SECONDS - DAY), label(1_000n, NOON_SECONDS - DAY)]).toEqual(["organic", "refunded"]);
  expect(label(2_000n, NOON_SECONDS + DAY)).toBe("organic");
});

test("what is refunded of closed days counts against what the payer bought of these sellers since", () => {
  const later = NOON_SECONDS + 3 * DAY;
  const labels = (refundedAtomic: bigint, giftAtomic = 0n, refundedSeconds = later) => {
    const market = marketWith("model", "rival");
    market.enrol("other node", "node");
    market.affiliate("owner", "node");
    market.fund("payer", "purse", RICH);
    const paid = market.call({ payer: "payer", model: "model", calls: 10 });
    const since = market.call({ payer: "payer", model: "model", calls: 10, atSeconds: later });
    const elsewhere = market.call({ payer: "payer", model: "rival", node: "other node", calls: 10, atSeconds: later });
    market.refund(paid, refundedAtomic, NOON_SECONDS, refundedSeconds);
    if (giftAtomic > 0n) market.fund("payer", "owner", giftAtomic, later);
    const of = (lane: Lane, day: number) => market.labelOf(lane, dayOf(day));
    return [of(paid, NOON_SECONDS), of(since, later), of(elsewhere, later)];
  };
  expect(labels(999n)).toEqual(["organic", "organic", "organic"]);
  expect(labels(1_000n)).toEqual(["organic", "refunded", "organic"]);
  // Refunds and gifts together are half: the refund is the sellers' nine tenths of it.
  expect([labels(900n, 190n), labels(900n, 189n)].map(([, since]) => since)).toEqual(["recirculated", "organic"]);
  // Before the day is closed it is a price that was not paid, and nothing that came back.
  const close = NOON_SECONDS - (NOON_SECONDS % DAY) + 2 * DAY;
  expect([close, close - 1].map((at) => labels(900n, 190n, at)[1])).toEqual(["recirculated", "organic"]);
});

test("a referee's word makes no demand of what was given back, and a purse that was given back is no payer of a small model", () => {
  const market = new Market();
  market.publish("model", "publisher");
  const nine = addHonest(market, "model", 9);
  const tenth = market.call({ payer: "tenth", model: "model" });
  expect(labelsOf(market, nine)).toEqual(new Set(["organic"]));
  market.refund(tenth, 100n);
  expect([...labelsOf(market, [...nine, tenth])].sort()).toEqual(["refunded", "too_few"]);
  for (const id of market.fold.receipts.keys()) market.fold.demand.overruled.add(id);
  expect(market.labelOf(tenth)).toBe("refunded");
  const today = NOON_SECONDS + DAY;
  market.addReceipt(market.call({ payer: "tenth", model: "model", atSeconds: today }), "of today", today);
  market.fold.demand.overruled.add("of today");
  expect(market.labelOf(tenth, dayOf(today))).toBe("refunded");
});

test("floor has what is left of the day's price, whenever before the close the rest was given back", () => {
  const market = marketWith("model");
  market.fund("payer", "purse", RICH);
  const lane = market.call({ payer: "payer", model: "model", calls: 2, priceAtomic: 12n });
  expect(market.judge().floor.has(lane)).toBe(true);
  market.refund(lane, 6n, NOON_SECONDS, NOON_SECONDS + DAY);
  expect([market.labelOf(lane), market.judge().floor.has(lane)]).toEqual(["organic", false]);
});
