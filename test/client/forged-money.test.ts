import { type Audit, auditLog } from "@tallystick/client";
import { applyEntry, createFold, type Figures, figuresOf } from "@tallystick/protocol";
import { beforeEach, expect, test } from "vitest";
import { fixedSigner } from "../fixed-keys.ts";
import { NOON_SECONDS } from "../one-receipt.ts";
import { type CallChanges, tagOf, UsageLog } from "../usage-log.ts";
import { filesOf, sourceOf } from "./log-files.ts";

/** A log in which two calls of 100 were paid for and charged. */
let log: UsageLog;
let receipts: Uint8Array[];
let honest: Figures;

const PAID: CallChanges = { session: "paying", authorization: { maxPrice: 500n }, receipt: { price: 100n } };

beforeEach(async () => {
  log = await UsageLog.open(fixedSigner, { priceAtomic: 100n });
  await log.grant("paying", "payer", "account", "paying", { paymentClass: "credits", budget: 1_000n });
  await log.topUp("payer", 1_000n);
  receipts = [await log.call(PAID), await log.call(PAID)];
  await log.charge("payer", 200n, receipts);
  honest = figuresFor();
});

function figuresFor(): Figures {
  const fold = createFold();
  for (const entry of log.entries) applyEntry(fold, entry);
  return figuresOf(fold);
}

/** The audit of the log as it is, against figures that its operator publishes of it. */
function audit(published: object = figuresFor()): Promise<Audit> {
  return auditLog(sourceOf(filesOf(log.log, NOON_SECONDS)), { trust: log.log.trust, published });
}

test("a log of paid calls holds, money and all", async () => {
  expect(await audit()).toMatchObject({ findings: [], differences: [] });
  expect(honest.totals.revenue).toEqual({ gross: "200", refunded: "0", net: "200", subsidised: "0" });
});

test("revenue, a balance or an earning that is published otherwise is a difference, by its path", async () => {
  const { totals, credits, earnings } = honest;
  const changes: [object, RegExp][] = [
    [{ totals: { ...totals, revenue: { ...totals.revenue, net: "900" } } }, /^totals\.revenue\.net: /],
    [{ totals: { ...totals, revenue: { ...totals.revenue, net: 200 } } }, /^totals\.revenue\.net: /],
    [{ credits: { ...credits, balance: "0" } }, /^credits\.balance: /],
    [{ credits: { ...credits, subsidised: "5" } }, /^credits\.subsidised: /],
    [{ earnings: earnings.map((row) => ({ ...row, owed: "0" })) }, /^earnings\.0\.owed: /],
  ];
  for (const [change, says] of changes) {
    const { differences } = await audit({ ...honest, ...change });
    expect(differences?.[0]).toMatch(says);
  }
});

test("receipts that a gateway charges twice earn once, and a network that hides it is found", async () => {
  await log.charge("payer", 100n, receipts.slice(0, 1));
  expect(figuresFor().earnings).toEqual(honest.earnings);
  const { differences } = await audit({ ...honest, size: log.entries.length });
  expect(differences).toEqual([expect.stringMatching(/^settlementFaults\.charged_twice: /)]);
});

test("a price over the publisher's is no revenue, and a network that counts it is found", async () => {
  await log.call({ ...PAID, receipt: { price: 101n } });
  const { totals } = figuresFor();
  expect([totals.gross, totals.valid, totals.revenue.gross]).toEqual([3, 2, "200"]);
  const counted = { ...figuresFor(), totals: { ...totals, valid: 3, revenue: { ...totals.revenue, gross: "301" } } };
  expect((await audit(counted)).differences).toHaveLength(2);
});

test("a settlement that no gateway signed is a finding", async () => {
  const says = { version: 1, action: "topup", payerTag: tagOf("payer"), amount: 9n, reference: tagOf("mine") } as const;
  await log.settle({ ...says, source: "transfer" }, "node");
  const { findings } = await audit();
  expect(findings).toEqual([expect.objectContaining({ check: "signer", index: log.entries.length - 1 })]);
});
