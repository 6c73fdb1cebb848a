/** A log to make segments of. */
import { sha256, utf8 } from "@tallystick/protocol";
import { NOON_SECONDS } from "./one-receipt.ts";
import { DAY, HOUR, tagOf, UsageLog } from "./usage-log.ts";

/** Two days that are closed, one that is not, with every column in use. */
export async function threeDays(): Promise<UsageLog> {
  const usage = await UsageLog.open(undefined, { priceAtomic: 50n });
  await usage.enrol("funder", "relier");
  for (let i = 0; i < 12; i++) {
    await usage.grant(`buyer ${i}`, `buyer ${i}`, "wallet", `buyer ${i}`, { paymentClass: "credits", budget: 1_000n });
    await usage.topUp(`buyer ${i}`, 1_000n, { funder: sha256(utf8(`funder ${i}`)) });
  }
  await usage.grant("paying", "payer", "wallet", "paying", { paymentClass: "credits", budget: 1_000n });
  await usage.topUp("payer", 100n);
  const paid = await usage.call({ session: "paying", receipt: { price: 5n, units: 3 } });
  const unreturned = await usage.call({ session: "paying", receipt: { price: 5n } });
  await usage.call({ authorization: { traffic: "test" } });
  const decision = tagOf("a decision");
  const relied = await usage.call({ authorization: { decision, tier: "reexecuted", openness: "lot" } });
  await usage.acknowledge(relied);
  await usage.epoch(NOON_SECONDS);
  await usage.call({ receipt: { status: "failed" } });
  await usage.epoch(NOON_SECONDS + HOUR);
  await usage.rely(relied);
  await usage.refund("payer", 2n, paid);
  await usage.epoch(NOON_SECONDS + DAY);
  for (let i = 0; i < 267; i++) await usage.call();
  const bought = { authorization: { maxPrice: 50n }, receipt: { price: 50n } };
  for (let i = 0; i < 12; i++)
    for (let j = 0; j < (i % 4 === 0 ? 8 : 1); j++) await usage.call({ session: `buyer ${i}`, ...bought });
  await usage.epoch(NOON_SECONDS + DAY + HOUR);
  await usage.epoch(NOON_SECONDS + 2 * DAY);
  await usage.epoch(NOON_SECONDS + 3 * DAY);
  // What comes after a day's close is in no segment of it.
  await usage.refund("payer", 5n, unreturned);
  await usage.acknowledge(paid, "paying");
  await usage.call();
  await usage.epoch(NOON_SECONDS + 3 * DAY + HOUR);
  return usage;
}
