import { expect, test } from "vitest";
import { type CallChanges, tagOf, UsageLog } from "../../../../test/usage-log.ts";
import { keyId } from "../sign/cose.ts";
import { balanceOf, owedTo, splitPrice } from "./credits.ts";
import { figuresOf } from "./figures.ts";
import { applyEntry } from "./fold.ts";
import { createFold, type FoldState, keyOf } from "./state.ts";

const PAID: CallChanges = { session: "paying", authorization: { maxPrice: 1_000n }, receipt: { price: 100n } };
const payer = keyOf(tagOf("payer"));

async function openPaying(toppedUp: bigint, budget = 10_000n): Promise<UsageLog> {
  const log = await UsageLog.open(undefined, { priceAtomic: 100n });
  await log.grant("paying", "payer", "account", "paying", { paymentClass: "credits", budget });
  await log.topUp("payer", toppedUp);
  return log;
}

function foldOf({ entries }: UsageLog): FoldState {
  const fold = createFold();
  for (const entry of entries) applyEntry(fold, entry);
  return fold;
}

test("a split gives away every atomic unit, and the node has what rounding leaves", () => {
  for (let amount = 0n; amount < 200n; amount++) {
    const { node, publisher, gateway } = splitPrice(amount);
    expect(node + publisher + gateway).toBe(amount);
    expect([publisher, gateway]).toEqual([amount / 5n, amount / 10n]);
  }
});

test("the price that a balance is too small for by one unit is not spent, and the next that fits is", async () => {
  const log = await openPaying(199n);
  await log.call(PAID);
  await log.call(PAID);
  expect(figuresOf(foldOf(log))).toMatchObject({ totals: { gross: 2, valid: 1 }, exclusions: { unpaid: 1 } });
  await log.topUp("payer", 1n);
  await log.call(PAID);
  expect(balanceOf(foldOf(log), payer)).toBe(0n);
});

test("a session's budget bounds what its receipts cost, whatever the payer has", async () => {
  const log = await openPaying(1_000n, 150n);
  await log.call(PAID);
  await log.call(PAID);
  expect(figuresOf(foldOf(log)).exclusions).toEqual({ unpaid: 1 });
  expect(balanceOf(foldOf(log), payer)).toBe(900n);
});

test("a paid test is spent, charged and earned, and is no revenue", async () => {
  const log = await openPaying(100n);
  const id = await log.call({ ...PAID, authorization: { ...PAID.authorization, traffic: "test" } });
  await log.charge("payer", 100n, [id]);
  const { totals, credits, earnings } = figuresOf(foldOf(log));
  expect(totals.revenue).toEqual({ gross: "0", refunded: "0", net: "0", subsidised: "0" });
  expect([credits.spent, credits.charged]).toEqual(["100", "100"]);
  expect(earnings.map(({ role, earned }) => [role, earned]).sort()).toEqual([
    ["gateway", "10"],
    ["node", "70"],
    ["publisher", "20"],
  ]);
});

test("a top-up from an operator's key is subsidised, whatever source it names, and a relier's is not", async () => {
  const log = await openPaying(0n);
  const funderOf = (label: string) => {
    const enrolled = log.entries.find((entry) => entry.kind === "key" && entry.says.role === label);
    return enrolled?.kind === "key" ? keyId(enrolled.says.spki) : tagOf("nobody");
  };
  await log.topUp("payer", 5n, { source: "transfer", funder: funderOf("node") });
  await log.topUp("payer", 7n, { source: "x402", funder: funderOf("relier") });
  expect(figuresOf(foldOf(log)).credits).toMatchObject({ toppedUp: "12", subsidised: "5" });
});

test("a gateway gives back nothing of what another gateway's calls cost", async () => {
  const log = await openPaying(100n);
  await log.enrol("another gateway", "gateway");
  const id = await log.call(PAID);
  await log.refund("payer", 100n, id, "another gateway");
  expect(balanceOf(foldOf(log), payer)).toBe(0n);
  expect(figuresOf(foldOf(log)).settlementFaults).toEqual({ wrong_gateway: 1 });
  await log.refund("payer", 100n, id);
  expect(balanceOf(foldOf(log), payer)).toBe(100n);
});

test("a gateway charges nothing of what another gateway granted, and the one that granted it charges it whole", async () => {
  const log = await openPaying(300n);
  await log.enrol("another gateway", "gateway");
  const ids = [await log.call(PAID), await log.call(PAID), await log.call(PAID)];
  await log.charge("payer", 100n, ids.slice(1, 2), "another gateway");
  await log.charge("payer", 300n, ids);
  const { settlementFaults, credits } = figuresOf(foldOf(log));
  expect([settlementFaults, credits.charged]).toEqual([{ wrong_gateway: 1 }, "300"]);
});

test.each<[string, readonly ("A" | "B" | "unknown")[]]>([
  ["charged_twice", ["A", "A", "unknown"]],
  ["charged_twice", ["A", "B", "A"]],
  ["unknown_receipt", ["A", "unknown", "A"]],
])("a charge has the fault %s by the first of its receipts that has one: %j", async (fault, names) => {
  const log = await openPaying(300n);
  const [A, B] = [await log.call(PAID), await log.call(PAID)];
  const idOf = { A, B, unknown: new Uint8Array(32) };
  const charged = names.map((name) => idOf[name]);
  await log.charge("payer", 100n * BigInt(names.length), charged);
  expect(figuresOf(foldOf(log))).toMatchObject({ settlementFaults: { [fault]: 1 }, credits: { charged: "0" } });
});

test("a refund after the payout leaves the node owing, and its next earnings pay that first", async () => {
  const log = await openPaying(1_000n);
  const first = await log.call(PAID);
  await log.charge("payer", 100n, [first]);
  await log.payOut("node", 70n);
  await log.refund("payer", 100n, first);
  const node = () => owedTo(foldOf(log), nodeOf(log));
  expect(node()).toBe(-70n);
  await log.payOut("node", 0n);
  await log.charge("payer", 100n, [await log.call(PAID)]);
  expect(node()).toBe(0n);
  expect(figuresOf(foldOf(log)).settlementFaults).toEqual({ overpaid: 1 });
});

function nodeOf(log: UsageLog): string {
  const enrolled = log.entries.find((entry) => entry.kind === "key" && entry.says.role === "node");
  return keyOf(enrolled?.signed.keyId ?? new Uint8Array(0));
}
