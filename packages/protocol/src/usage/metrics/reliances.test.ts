import { expect, test } from "vitest";
import { sha256 } from "#platform";
import { foldDays } from "../../../../../test/day-documents.ts";
import { NOON_SECONDS } from "../../../../../test/one-receipt.ts";
import { DAY, UsageLog } from "../../../../../test/usage-log.ts";
import { utf8 } from "../../bytes.ts";
import { createFold } from "../state.ts";
import { WASH_RULES } from "../wash-rules.ts";

/** Rules by which two payers are enough to judge a model. */
const RULES = { ...WASH_RULES, version: "of a small log", fewestClusters: 2 };
/** Noon of 2026-12-02: thirty days before the first of a month of 31. */
const PAID_SECONDS = NOON_SECONDS + 10 * DAY;

/** What a relier relied on so many days after two payers' organic receipts: in the month up to its 31st, by the document of that day. */
async function reliedOn(daysAfter: number) {
  const log = await UsageLog.open(undefined, { priceAtomic: 100n });
  const authorization = { maxPrice: 100n, expiry: NOON_SECONDS + 300 * DAY };
  const receipts: Uint8Array[] = [];
  for (const payer of ["alice", "bob"]) {
    await log.topUp(payer, 900n, { funder: sha256(utf8(`the bank of ${payer}`)) });
    await log.grant(payer, payer, "account", payer, { paymentClass: "credits" });
    receipts.push(await log.call({ session: payer, authorization, receipt: { price: 100n } }));
  }
  await log.epoch(PAID_SECONDS);
  for (let day = 1; day <= 64; day++) {
    if (day === daysAfter) for (const receipt of receipts) await log.rely(receipt);
    await log.call({ authorization });
    await log.epoch(PAID_SECONDS + day * DAY);
  }
  const { documents } = foldDays(log.entries, createFold([RULES]));
  const { groups } = documents.get("2027-01-31") ?? expect.unreachable();
  const month = groups.find(({ per, by }) => per === "month" && by === "network");
  return month?.rows[""]?.decisions_relied_on;
}

test("what is relied on thirty days after it was paid is organic, to the last day of the longest month; a day later it is valid", async () => {
  expect(await reliedOn(30)).toEqual([2, 2, 2, 2]);
  expect(await reliedOn(31)).toEqual([2, 2, 0, 0]);
});
