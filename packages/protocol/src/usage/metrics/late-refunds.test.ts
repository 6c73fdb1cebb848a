import { expect, test } from "vitest";
import { sha256 } from "#platform";
import { NOON_SECONDS } from "../../../../../test/one-receipt.ts";
import { DAY, UsageLog } from "../../../../../test/usage-log.ts";
import { utf8 } from "../../bytes.ts";
import { applyEntry } from "../fold.ts";
import { createFold } from "../state.ts";
import { WASH_RULES } from "../wash-rules.ts";
import type { DayDocument } from "./documents.ts";

const RULES = { ...WASH_RULES, version: "of a small log", fewestClusters: 2 };

/** Two who pay with money of their own, and one with money of nobody named; each buys one answer at noon. */
async function openSold() {
  const log = await UsageLog.open(undefined, { priceAtomic: 100n });
  const sold = new Map<string, Uint8Array>();
  for (const payer of ["alice", "bob", "carol"]) {
    await log.grant(payer, payer, "account", payer, { paymentClass: "credits" });
    await log.topUp(payer, 900n, payer === "carol" ? {} : { funder: sha256(utf8(`the bank of ${payer}`)) });
    sold.set(payer, await log.call({ session: payer, authorization: { maxPrice: 100n }, receipt: { price: 100n } }));
  }
  await log.epoch(NOON_SECONDS);
  return { log, receiptOf: (payer: string) => sold.get(payer) ?? expect.unreachable() };
}

/** What the network was refunded late on each closed day. */
function lateByDay({ entries }: UsageLog) {
  const fold = createFold([RULES]);
  const closed = new Map<string, DayDocument>();
  for (const entry of entries) {
    applyEntry(fold, entry);
    for (const [day, document] of fold.series[0]?.documents ?? []) closed.set(day, document);
  }
  return [...closed].map(([day, { groups }]) => {
    const row = groups.find(({ per, by }) => per === "day" && by === "network")?.rows[""];
    return [day, row?.revenue_refunded?.[1] ?? "0", row?.revenue_refunded_late];
  });
}

test("what is refunded once its day may be closed is shown on its own day, as that day had it; what comes before is not late", async () => {
  const { log, receiptOf } = await openSold();
  const close = NOON_SECONDS - (NOON_SECONDS % DAY) + 2 * DAY;
  await log.refund("bob", 3n, receiptOf("bob"));
  await log.epoch(close - 1);
  await log.refund("alice", 7n, receiptOf("alice"));
  await log.refund("carol", 5n, receiptOf("carol"));
  await log.epoch(close);
  await log.epoch(close + 3 * DAY);
  expect(lateByDay(log)).toEqual([
    ["2026-11-22", "0", undefined],
    ["2026-11-23", "3", undefined],
    ["2026-11-24", "12", [null, "12", "7", "7"]],
  ]);
});
