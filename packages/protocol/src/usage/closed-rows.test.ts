import { expect, test } from "vitest";
import { NOON_SECONDS } from "../../../../test/one-receipt.ts";
import { DAY, HOUR, UsageLog } from "../../../../test/usage-log.ts";
import { applyToRows, createRowFold, type RowFold } from "./closed-rows.ts";
import { ownRows } from "./rows.ts";
import { createFold } from "./state.ts";
import { WASH_RULES } from "./wash-rules.ts";

function folded({ entries }: UsageLog): RowFold {
  const rows = createRowFold();
  for (const entry of entries) applyToRows(rows, entry);
  return rows;
}

test("a receipt that is dated to a day that was closed before is in no rows, and a day without receipts is not kept open", async () => {
  const usage = await UsageLog.open();
  await usage.call();
  await usage.epoch(NOON_SECONDS);
  await usage.epoch(NOON_SECONDS + 2 * DAY);
  await usage.call();
  await usage.epoch(NOON_SECONDS + HOUR);
  await usage.epoch(NOON_SECONDS + 5 * DAY);
  const { open, closed } = folded(usage);
  expect([...closed].map(([day, { receipts }]) => [day, receipts.id.length])).toEqual([["2026-11-22", 1]]);
  expect(open.size).toBe(0);
});

test("days whose rows nobody makes are bounded: those that closed first are left out", async () => {
  const usage = await UsageLog.open();
  for (let day = 0; day < 66; day++) {
    await usage.call();
    await usage.epoch(NOON_SECONDS + day * DAY);
  }
  const { fold, closed } = folded(usage);
  expect([fold.closedDays.size, closed.size]).toEqual([64, 62]);
  expect([...closed.keys()]).toEqual([...fold.closedDays.keys()].slice(2));
});

test("what a day's rows are made of does not change with the fold once the day is closed", async () => {
  const usage = await UsageLog.open(undefined, { priceAtomic: 5n });
  await usage.grant("paying", "payer", "wallet", "paying", { paymentClass: "credits", budget: 100n });
  await usage.topUp("payer", 100n);
  const paid = await usage.call({ session: "paying", receipt: { price: 5n } });
  const accepted = await usage.call({ session: "paying", receipt: { price: 5n } });
  await usage.acknowledge(accepted, "paying");
  await usage.epoch(NOON_SECONDS);
  await usage.epoch(NOON_SECONDS + 2 * DAY);
  const rows = folded(usage);
  const [day] = rows.closed.values();
  if (day === undefined) throw new RangeError("a day is closed");
  const before = [[...ownRows(day)], structuredClone(day.shared)];
  const size = usage.entries.length;
  await usage.refund("payer", 5n, paid);
  await usage.acknowledge(paid, "paying");
  await usage.epoch(NOON_SECONDS + 2 * DAY + HOUR);
  for (const entry of usage.entries.slice(size)) applyToRows(rows, entry);
  expect([[...ownRows(day)], day.shared]).toEqual(before);
  const own = { refunded: 0n, price: 5n };
  expect(before[0]).toMatchObject([
    { ...own, shared: 0 },
    { ...own, shared: 1 },
  ]);
  expect(day.shared.map(({ acknowledged }) => acknowledged)).toEqual([false, true]);
});

test("sets of rules are as many as a row has room for", () => {
  const sets = Array.from({ length: 9 }, () => WASH_RULES);
  expect(() => createRowFold(createFold(sets))).toThrow(RangeError);
});
