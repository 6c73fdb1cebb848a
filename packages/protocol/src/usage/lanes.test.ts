import fc from "fast-check";
import { expect, test } from "vitest";
import { sha256 } from "#platform";
import { NOON_SECONDS } from "../../../../test/one-receipt.ts";
import { type CallChanges, HOUR, tagOf, UsageLog } from "../../../../test/usage-log.ts";
import { sumOf } from "./counts.ts";
import { figuresOf } from "./figures.ts";
import { applyEntry } from "./fold.ts";
import type { Fact, Funding } from "./lanes.ts";
import { createFold, type FoldState, keyOf } from "./state.ts";

const STRANGER = sha256(Uint8Array.of(1));

async function openPaying(): Promise<UsageLog> {
  const log = await UsageLog.open(undefined, { priceAtomic: 100n });
  await log.grant("paying", "payer", "account", "paying", { paymentClass: "credits", budget: 1_000_000n });
  return log;
}

const paid = (price: bigint): CallChanges => ({
  session: "paying",
  authorization: { maxPrice: 1_000n },
  receipt: { price },
});

function foldOf({ entries }: UsageLog): FoldState {
  const fold = createFold();
  for (const entry of entries) applyEntry(fold, entry);
  return fold;
}

function factsOf(fold: FoldState): Fact[] {
  return [...fold.demand.facts.values()].flatMap((lanes) => [...lanes.values()].flat());
}

/** What paid for each call, in order. */
async function fundingsOf(log: UsageLog, prices: bigint[]): Promise<Funding[]> {
  const fold = createFold();
  const fundings: Funding[] = [];
  for (const price of prices) await log.call(paid(price));
  for (const entry of log.entries) {
    applyEntry(fold, entry);
    const last = fold.untimed.at(-1);
    if (entry.kind === "receipt" && last !== undefined) fundings.push(last.lane.funding);
  }
  return fundings;
}

test("money of a named funder is spent before money of which none is named, and that before an operator's", async () => {
  const log = await openPaying();
  await log.topUp("payer", 100n, { source: "operator" });
  await log.topUp("payer", 100n);
  await log.topUp("payer", 100n, { funder: STRANGER });
  expect(await fundingsOf(log, [50n, 60n, 60n, 40n, 90n, 0n])).toEqual([
    "funded",
    "funded",
    "unattributed",
    "unattributed",
    "subsidised",
    "free",
  ]);
});

test("a receipt is a named funder's by more than half of its price, and an operator's by half of it", async () => {
  const half = async (named: bigint, unnamed: bigint, operators: bigint) => {
    const log = await openPaying();
    await log.topUp("payer", operators, { source: "operator" });
    await log.topUp("payer", unnamed);
    await log.topUp("payer", named, { funder: STRANGER });
    return (await fundingsOf(log, [100n]))[0];
  };
  expect(await half(51n, 0n, 49n)).toBe("funded");
  expect(await half(51n, 49n, 0n)).toBe("funded");
  expect(await half(50n, 50n, 0n)).toBe("unattributed");
  expect(await half(50n, 1n, 49n)).toBe("unattributed");
  expect(await half(50n, 0n, 50n)).toBe("subsidised");
  expect(await half(0n, 51n, 49n)).toBe("unattributed");
});

test("what anybody gives changes nothing of the calls that a payer's own money pays for, however much and before whichever call", async () => {
  const gift = fc.record({
    before: fc.nat(4),
    amount: fc.constantFrom(1n, 49n, 100n, 5_000_000n),
    of: fc.constantFrom("nobody named", "the rival node", "an operator"),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(gift, { minLength: 1, maxLength: 5 }), fc.nat(100), async (gifts, backOfFirst) => {
      const log = await openPaying();
      await log.enrol("rival", "node");
      await log.topUp("payer", 500n, { funder: STRANGER });
      for (let i = 0; i < 5; i++) {
        for (const { amount, of } of gifts.filter(({ before }) => before === i)) {
          const from = of === "the rival node" ? { funder: log.idOf("rival") } : { source: "operator" as const };
          await log.topUp("payer", amount, of === "nobody named" ? {} : from);
        }
        const id = await log.call(paid(100n));
        if (i === 0 && backOfFirst > 0) await log.refund("payer", BigInt(backOfFirst), id);
      }
      const fold = foldOf(log);
      expect([...fold.receipts.values()].map(({ lane }) => lane.funding)).toEqual(Array(5).fill("funded"));
      expect(figuresOf(fold).totals.revenue.subsidised).toBe("0");
    }),
    { numRuns: 30 },
  );
});

test("a refund gives back money as it was: the next call is paid with no better", async () => {
  const log = await openPaying();
  await log.topUp("payer", 60n);
  await log.topUp("payer", 40n, { funder: STRANGER });
  const receipt = await log.call(paid(100n));
  await log.refund("payer", 100n, receipt);
  expect(await fundingsOf(log, [40n, 60n])).toEqual(["unattributed", "funded", "unattributed"]);
});

test("a top-up that an enrolled operator funds is an operator's money, whatever the gateway calls it", async () => {
  const log = await openPaying();
  await log.topUp("payer", 100n, { funder: log.idOf("node") });
  expect(await fundingsOf(log, [100n])).toEqual(["subsidised"]);
});

test("every receipt is counted in one fact: the facts of all lanes and hours sum to the figures", async () => {
  const step = fc.record({
    hours: fc.nat(30),
    price: fc.constantFrom(0n, 7n, 100n),
    traffic: fc.constantFrom("production", "test"),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
      const log = await openPaying();
      await log.topUp("payer", 400n, { funder: STRANGER });
      let timeSeconds = NOON_SECONDS;
      for (const { hours, price, traffic } of steps) {
        const { authorization, ...others } = paid(price);
        await log.call({ ...others, authorization: { ...authorization, traffic } as const });
        timeSeconds += hours * HOUR;
        await log.epoch(timeSeconds);
      }
      const fold = foldOf(log);
      const facts = factsOf(fold);
      const { totals, exclusions } = figuresOf(fold);
      const count = (field: "gross" | "valid") => facts.reduce((all, fact) => all + fact[field], 0);
      expect({ gross: count("gross"), valid: count("valid") }).toEqual({ gross: totals.gross, valid: totals.valid });
      expect(String(sumOf(facts, ({ priceAtomic }) => priceAtomic))).toBe(totals.revenue.gross);
      const excluded = facts.flatMap((fact) => [...fact.exclusions.values()]).reduce((a, b) => a + b, 0);
      expect(excluded).toBe(Object.values(exclusions).reduce((a, b) => a + b, 0));
      for (const fact of facts) expect(Object.values(fact.tiers).reduce((a, b) => a + b, 0)).toBe(fact.valid);
    }),
    { numRuns: 30 },
  );
});

test("how long a receipt waited for its first passed check is known once the check has a time, and a second check changes nothing", async () => {
  const log = await openPaying();
  await log.enrol("one", "verifier");
  await log.enrol("two", "verifier");
  const receipt = await log.call();
  await log.epoch(NOON_SECONDS);
  await log.verify("one", receipt);
  expect(factsOf(foldOf(log)).map(({ lags }) => [...lags])).toEqual([[]]);
  await log.epoch(NOON_SECONDS + 90);
  await log.verify("two", receipt);
  await log.epoch(NOON_SECONDS + 400);
  expect(factsOf(foldOf(log)).map(({ lags }) => [...lags])).toEqual([[[90, 1]]]);
});

test("calls through one app, and those of another, are of two lanes; what an hour apart is asked is of two facts of one", async () => {
  const log = await UsageLog.open();
  await log.grant("a", "payer", "account", "a", { app: "example.org" });
  await log.grant("b", "payer", "account", "b", { app: "example.com" });
  await log.call({ session: "a" });
  await log.call({ session: "b" });
  await log.epoch(NOON_SECONDS);
  await log.call({ session: "a" });
  await log.epoch(NOON_SECONDS + HOUR);
  const { demand } = foldOf(log);
  expect([...demand.lanes.values()].map(({ app, payer }) => [app, payer])).toEqual([
    ["example.org", keyOf(tagOf("payer"))],
    ["example.com", keyOf(tagOf("payer"))],
  ]);
  expect(factsOf(foldOf(log)).map(({ lane, hour, gross }) => [lane.app, hour - NOON_SECONDS / HOUR, gross])).toEqual([
    ["example.org", 0, 1],
    ["example.org", 1, 1],
    ["example.com", 0, 1],
  ]);
  expect(demand.firstCalls.size).toBe(1);
});
