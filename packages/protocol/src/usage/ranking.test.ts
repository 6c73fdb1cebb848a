import { expect, test } from "vitest";
import { sha256 } from "#platform";
import { NOON_SECONDS } from "../../../../test/one-receipt.ts";
import { HOUR, UsageLog } from "../../../../test/usage-log.ts";
import { utf8 } from "../bytes.ts";
import { type Figures, figuresOf } from "./figures.ts";
import { applyEntry } from "./fold.ts";
import { standingOf } from "./standing.ts";
import { createFold } from "./state.ts";

const PRICE = 1_000n;
const PAID = { authorization: { maxPrice: PRICE }, receipt: { price: PRICE } };

async function openMarket(...models: string[]): Promise<UsageLog> {
  const log = await UsageLog.open();
  for (const model of models) await log.publish(model, "publisher", log.manifestOf(model), { priceAtomic: PRICE });
  return log;
}

async function pay(log: UsageLog, payer: string, funder: string, tagMode?: "anonymous"): Promise<void> {
  const mode = tagMode === undefined ? {} : { tagMode };
  await log.grant(payer, payer, "account", payer, { paymentClass: "credits", budget: 100_000_000n, ...mode });
  await log.topUp(payer, 100_000_000n, { funder: sha256(utf8(funder)) });
}

/** 300 calls of 60 payers who are funded apart, five at once and `stepSeconds` after the five before. */
async function callApart(log: UsageLog, model: string, stepSeconds: number): Promise<void> {
  for (let i = 0; i < 60; i++) await pay(log, `payer ${i}`, `funder ${i}`);
  for (let i = 0; i < 300; i++) {
    await log.call({ session: `payer ${i % 60}`, model, ...PAID });
    if (stepSeconds > 0 && i % 5 === 4) await log.epoch(NOON_SECONDS + Math.floor(i / 5) * stepSeconds);
  }
}

function figuresOfLog({ entries }: UsageLog): Figures {
  const fold = createFold();
  for (const entry of entries) applyEntry(fold, entry);
  return figuresOf(fold);
}

/** The models by rank, and why each stands where it does. */
function ranking(log: UsageLog): { name: string; organic: number; why: string }[] {
  return figuresOfLog(log)
    .models.filter(({ gross }) => gross > 0)
    .map((model) => ({
      name: model.name,
      organic: model.demand.organic,
      why: standingOf({ ...model, ...model.demand }),
    }));
}

test("a model with 10,000 paid calls of one key ranks below one with 300 of 60 payers who are funded apart, and it is said why", async () => {
  const log = await openMarket("example/whale", "example/used");
  await callApart(log, "example/used", 2_000);
  await pay(log, "whale", "the whale's bank");
  for (let i = 0; i < 10_000; i++) await log.call({ session: "whale", model: "example/whale", ...PAID });
  await log.epoch(NOON_SECONDS + 36 * HOUR);
  expect(ranking(log)).toEqual([
    { name: "example/used", organic: 300, why: "300 calls from 60 keys: all that are valid are organic" },
    { name: "example/whale", organic: 0, why: "10,000 calls, all from one key: too few to judge" },
  ]);
});

test("a model with 10,000 calls of 60 keys that pay nothing ranks below it too", async () => {
  const log = await openMarket("example/free", "example/used");
  await callApart(log, "example/used", 2_000);
  for (let i = 0; i < 60; i++) await log.grant(`free ${i}`);
  for (let i = 0; i < 10_000; i++) await log.call({ session: `free ${i % 60}`, model: "example/free" });
  await log.epoch(NOON_SECONDS + 36 * HOUR);
  expect(ranking(log)).toEqual([
    { name: "example/used", organic: 300, why: "300 calls from 60 keys: all that are valid are organic" },
    { name: "example/free", organic: 0, why: "10,000 calls from 60 keys: all free of charge, which shows no demand" },
  ]);
});

test("where nobody can tell what of it is demand, what more parties paid for ranks first", async () => {
  const log = await openMarket("example/whale", "example/free", "example/farmed");
  await pay(log, "whale", "the whale's bank");
  for (let i = 0; i < 1_000; i++) await log.call({ session: "whale", model: "example/whale", ...PAID });
  for (let i = 0; i < 60; i++) await log.grant(`free ${i}`);
  for (let i = 0; i < 1_000; i++) await log.call({ session: `free ${i % 60}`, model: "example/free" });
  await callApart(log, "example/farmed", 0);
  await log.epoch(NOON_SECONDS);
  expect(ranking(log).map(({ name, organic }) => [name, organic])).toEqual([
    ["example/farmed", 0],
    ["example/whale", 0],
    ["example/free", 0],
  ]);
});

test("parties that pay are told apart: anonymous tags raise no rank, whoever's money theirs is", async () => {
  const log = await openMarket("example/anonymous", "example/used");
  for (let i = 0; i < 5; i++) {
    await pay(log, `purse ${i}`, `mask ${i}`, "anonymous");
    await log.call({ session: `purse ${i}`, model: "example/anonymous", ...PAID });
    // The seller's own purses: with stable tags they would be no parties for the link.
    await log.affiliate(`purse ${i}`, ["node"], `purse ${i}`);
  }
  await log.affiliate(
    "node",
    [0, 1, 2, 3, 4].map((i) => `purse ${i}`),
  );
  await pay(log, "payer", "funder");
  await log.call({ session: "payer", model: "example/used", ...PAID });
  await log.epoch(NOON_SECONDS);
  const paying = figuresOfLog(log).models.filter(({ gross }) => gross > 0);
  expect(paying.map(({ name, demand }) => [name, demand.payingParties])).toEqual([
    ["example/used", 1],
    ["example/anonymous", 0],
  ]);
});
