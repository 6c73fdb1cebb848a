import { applyEntry, createFold, type Figures, figuresOf, keyOf, owedTo, parseEntry } from "@tallystick/protocol";
import { expect, test } from "vitest";
import { type CallChanges, tagOf, UsageLog, unsignedSigner } from "../../../../test/usage-log.ts";
import { startSettlements } from "./service.ts";

const PAID: CallChanges = { session: "paying", authorization: { maxPrice: 500n }, receipt: { price: 100n } };
const ELSEWHERE = { paymentClass: "credits", budget: 10_000_000n } as const;
const AN_HOUR_MS = 3_600_000;

/** A gateway that settles over a log of paid calls. What it publishes is in the fold when that resolves. */
async function open() {
  const log = await UsageLog.open(undefined, { priceAtomic: 100n });
  const fold = createFold();
  const follow = () => {
    for (const entry of log.entries.slice(fold.size)) applyEntry(fold, entry);
  };
  await log.grant("paying", "payer", "account", "paying", { paymentClass: "credits", budget: 10_000_000n });
  await log.topUp("payer", 10_000_000n);
  let [failures, publications] = [0, 0];
  const reported: string[] = [];
  const settlements = startSettlements({
    signer: unsignedSigner("gateway"),
    fold,
    intervalMs: AN_HOUR_MS,
    caughtUp: async () => follow(),
    flush: async () => follow(),
    report: (event) => void reported.push(event),
    async publish(bytes) {
      await Promise.resolve();
      if (failures-- > 0) throw new Error("the log does not write");
      publications++;
      log.append(parseEntry(bytes));
      follow();
      return fold.size - 1;
    },
  });
  const figures = (): Figures => {
    follow();
    return figuresOf(fold);
  };
  const fail = (count: number) => {
    failures = count;
  };
  return { log, fold, settlements, figures, fail, reported, publications: () => publications };
}

test("what was spent is charged once, a thousand receipts an entry, and a second settling charges nothing", async () => {
  const { log, settlements, figures, publications } = await open();
  for (let i = 0; i < 1_001; i++) await log.call(PAID);
  await Promise.all([settlements.settle(), settlements.settle()]);
  expect(publications()).toBe(2);
  await settlements.close();
  expect(publications()).toBe(2);
  expect(figures()).toMatchObject({ credits: { spent: "100100", charged: "100100" }, settlementFaults: {} });
});

test("free calls and unpaid calls are not charged", async () => {
  const { log, settlements, publications } = await open();
  await log.call();
  await log.call({ receipt: { price: 100n }, authorization: { maxPrice: 500n } });
  await settlements.close();
  expect(publications()).toBe(0);
});

test("a charge that the log did not take is made at the next turn", async () => {
  const { log, settlements, figures, fail, reported } = await open();
  await log.call(PAID);
  fail(1);
  await expect(settlements.settle()).rejects.toThrow("the log does not write");
  expect(figures().credits.charged).toBe("0");
  await settlements.close();
  expect(figures().credits.charged).toBe("100");
  expect(reported).toEqual([]);
});

test("a refund that comes while charges are written leaves no fault, whichever is first", async () => {
  const { log, settlements, figures } = await open();
  const ids = [await log.call(PAID), await log.call(PAID)];
  figures();
  const refund = (i: number) => settlements.refund(ids[i] ?? new Uint8Array(32), "goodwill", 30n);
  await Promise.all([refund(0), settlements.settle(), refund(1), refund(1)]);
  expect(figures()).toMatchObject({
    credits: { spent: "200", refunded: "60", balance: String(10_000_000 - 140) },
    settlementFaults: {},
  });
  expect(figures().earnings.reduce((sum, { earned }) => sum + BigInt(earned), 0n)).toBe(140n);
});

test("a receipt whose node signed two different ones under its id is refunded by itself", async () => {
  const { log, settlements, figures } = await open();
  const nonce = { ...PAID.authorization, nonce: 7 };
  await log.call({ ...PAID, authorization: nonce });
  await log.call({ ...PAID, authorization: nonce, receipt: { price: 99n } });
  await settlements.settle();
  await settlements.settle();
  expect(figures()).toMatchObject({
    equivocations: 1,
    credits: { spent: "100", charged: "0", refunded: "100" },
    settlementFaults: {},
  });
});

test("another node's receipt around an authorization that was used refunds nothing", async () => {
  const { log, settlements, figures } = await open();
  await log.enrol("rival", "node");
  const nonce = { ...PAID.authorization, nonce: 7 };
  await log.call({ ...PAID, authorization: nonce });
  await log.call({ ...PAID, authorization: nonce, node: "rival" });
  await settlements.settle();
  expect(figures()).toMatchObject({
    equivocations: 0,
    credits: { spent: "100", charged: "100", refunded: "0" },
    settlementFaults: {},
  });
});

test("what another gateway granted is neither charged nor refunded, however often it is settled or asked for", async () => {
  const { log, settlements, figures, publications } = await open();
  await log.enrol("another gateway", "gateway");
  await log.grant("elsewhere", "payer", "account", "elsewhere", ELSEWHERE, "another gateway");
  const says = { ...PAID, session: "elsewhere", authorization: { ...PAID.authorization, nonce: 7 } };
  const id = await log.call(says);
  await log.call({ ...says, receipt: { price: 99n } });
  await settlements.settle();
  await settlements.settle();
  await expect(settlements.refund(id, "goodwill")).rejects.toMatchObject({ code: "forbidden" });
  expect(publications()).toBe(0);
  expect(figures()).toMatchObject({ equivocations: 1, credits: { spent: "100", refunded: "0" }, settlementFaults: {} });
});

test("payouts at once never add up to more than is owed", async () => {
  const { log, fold, settlements, figures } = await open();
  await log.call(PAID);
  await settlements.settle();
  const payee = log.entries.find((entry) => entry.kind === "key" && entry.says.role === "node")?.signed.keyId;
  if (payee === undefined) return expect.fail("the log has a node");
  const payOut = (name: string) => settlements.payOut({ payee, amount: 40n, reference: tagOf(name) });
  const outcomes = await Promise.allSettled([payOut("one"), payOut("two"), payOut("one")]);
  expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
  expect(owedTo(fold, keyOf(payee))).toBe(30n);
  expect(figures().settlementFaults).toEqual({});
});

test("what is settled is signed by the gateway's own key", async () => {
  const { log, settlements } = await open();
  await settlements.topUp({ payerTag: tagOf("payer"), amount: 5n, source: "operator", reference: tagOf("one") });
  const last = log.entries.at(-1);
  expect(last).toMatchObject({ kind: "settlement", says: { action: "topup", amount: 5n, source: "operator" } });
  expect(last?.signed.keyId).toEqual(log.entries[1]?.signed.keyId);
});
