import { expect, test } from "vitest";
import { sha256 } from "#platform";
import { foldDays } from "../../../../../test/day-documents.ts";
import { NOON_SECONDS } from "../../../../../test/one-receipt.ts";
import { DAY, UsageLog } from "../../../../../test/usage-log.ts";
import { utf8 } from "../../bytes.ts";
import { createFold } from "../state.ts";
import { WASH_RULES } from "../wash-rules.ts";
import type { Dimension, Period } from "./metric.ts";
import type { Row } from "./rows.ts";

/** Rules by which two payers of one model are enough to judge it. */
const RULES = { ...WASH_RULES, version: "of a small log", fewestClusters: 2 };

class Sales {
  readonly log: UsageLog;

  constructor(log: UsageLog) {
    this.log = log;
  }

  static async open(): Promise<Sales> {
    const log = await UsageLog.open(undefined, { priceAtomic: 100n });
    for (const payer of ["alice", "bob"]) {
      await log.grant(payer, payer, "account", payer, { paymentClass: "credits" });
      await log.topUp(payer, 900n, { funder: sha256(utf8(`the bank of ${payer}`)) });
    }
    return new Sales(log);
  }

  sell(payer: string): Promise<Uint8Array> {
    return this.log.call({ session: payer, authorization: { maxPrice: 100n }, receipt: { price: 100n } });
  }

  /** An acknowledgement of a receipt, and almost half of its price given back. */
  async say(payer: string, receipt: Uint8Array): Promise<void> {
    await this.log.acknowledge(receipt, payer);
    await this.log.refund(payer, 49n, receipt);
  }

  /** The row of one key in the document of a day, once that is closed. */
  async row(day: string, per: Period, by: Dimension = "network", key = ""): Promise<Row> {
    const { documents } = foldDays(this.log.entries, createFold([RULES]));
    const group = documents.get(day)?.groups.find((some) => some.per === per && some.by === by);
    return group?.rows[key] ?? {};
  }
}

const [FIRST, SECOND] = ["2026-11-22", "2026-11-23"];
const same = (value: string | number) => [null, value, value, value];

test("what is said of a receipt a day later is floor where the receipt is, also of who buys nothing on that day", async () => {
  const sales = await Sales.open();
  const [one, other] = [await sales.sell("alice"), await sales.sell("bob")];
  await sales.log.epoch(NOON_SECONDS);
  await sales.sell("alice");
  await sales.say("alice", one);
  await sales.say("bob", other);
  await sales.log.epoch(NOON_SECONDS + DAY);
  await sales.log.epoch(NOON_SECONDS + 4 * DAY);
  expect(await sales.row(SECOND, "day")).toMatchObject({
    ...{ inferences: [1, 1, 1, 1], acknowledged: same(2), revenue_refunded: same("98"), revenue_net: same("2") },
    ...{ acknowledged_share: same(0), refund_rate: same(0) },
  });
  expect(await sales.row(FIRST, "day")).toMatchObject({ acknowledged_share: same(1), refund_rate: same(0.49) });
  expect(await sales.row(SECOND, "month")).toMatchObject({
    ...{ revenue_gross: same("300"), revenue_net: same("202") },
    ...{ acknowledged_share: same(0.666667), refund_rate: same(0.326667) },
  });
});

test("what is said of a receipt that was too few to judge is as little organic on a day when its payer's calls are", async () => {
  const sales = await Sales.open();
  const alone = await sales.sell("alice");
  await sales.log.epoch(NOON_SECONDS);
  await sales.sell("alice");
  await sales.sell("bob");
  await sales.say("alice", alone);
  await sales.log.epoch(NOON_SECONDS + DAY);
  await sales.log.epoch(NOON_SECONDS + 4 * DAY);
  const given = { acknowledged: [null, 1, 0, 0], revenue_refunded: [null, "49", "0", "0"] };
  expect(await sales.row(SECOND, "day")).toMatchObject({ ...given, inferences: [2, 2, 2, 2] });
  expect(await sales.row(SECOND, "day", "column", "too_few")).toEqual({
    ...given,
    revenue_net: [null, "-49", "0", "0"],
  });
});

test("a day's share of what was accepted and given back has what was said until its document was made, and no more", async () => {
  const sales = await Sales.open();
  const [one, other] = [await sales.sell("alice"), await sales.sell("bob")];
  await sales.log.epoch(NOON_SECONDS);
  await sales.say("alice", one);
  await sales.log.epoch(NOON_SECONDS + 3 * DAY);
  await sales.say("bob", other);
  await sales.log.epoch(NOON_SECONDS + 4 * DAY);
  await sales.log.epoch(NOON_SECONDS + 8 * DAY);
  expect(await sales.row(FIRST, "day")).toMatchObject({ acknowledged_share: same(0.5), refund_rate: same(0.245) });
  expect(await sales.row("2026-11-26", "month")).toMatchObject({
    acknowledged_share: same(1),
    refund_rate: same(0.49),
  });
});
