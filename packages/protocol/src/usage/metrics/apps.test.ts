import { expect, test } from "vitest";
import { sha256 } from "#platform";
import { askDocuments } from "../../../../../test/day-documents.ts";
import { NOON_SECONDS } from "../../../../../test/one-receipt.ts";
import { SlowMetrics } from "../../../../../test/slow-metrics.ts";
import { DAY, UsageLog } from "../../../../../test/usage-log.ts";
import { utf8 } from "../../bytes.ts";
import type { Entry } from "../../entry/entry.ts";
import { APPS_NAMED } from "../../limits.ts";
import { applyEntry } from "../fold.ts";
import { judgeDay } from "../organic/judge.ts";
import { createFold, type FoldState } from "../state.ts";
import { WASH_RULES } from "../wash-rules.ts";
import type { Series } from "./series.ts";

/** Rules by which two payers are enough to judge a model. */
const RULES = { ...WASH_RULES, version: "of a small log", fewestClusters: 2 };

const numbered = Array.from({ length: APPS_NAMED }, (_, i) => `free-${String(i).padStart(3, "0")}`);

/** A log in which so many apps are free and of two calls, one is paid by two payers, and two have one free call each. */
async function manyApps(): Promise<UsageLog> {
  const log = await UsageLog.open(undefined, { priceAtomic: 100n });
  const call = async (app: string, payer: string, price: bigint) => {
    const session = `${payer} ${app}`;
    await log.grant(session, payer, "account", payer, { paymentClass: "credits", budget: 1_000n, app });
    for (let i = 0; i < (price === 0n && numbered.includes(app) ? 2 : 1); i++)
      await log.call({
        ...{ session, asker: payer, receipt: { price } },
        authorization: { maxPrice: 1_000n, expiry: NOON_SECONDS + 300 * DAY },
      });
  };
  for (const payer of ["alice", "bob"]) await log.topUp(payer, 900n, { funder: sha256(utf8(`the bank of ${payer}`)) });
  await log.epoch(NOON_SECONDS);
  for (const app of numbered) await call(app, "carol", 0n);
  for (const payer of ["alice", "bob"]) await call("zebra", payer, 100n);
  for (const app of ["late", "other"]) await call(app, "carol", 0n);
  await log.call({ session: "session", receipt: { price: 0n } });
  for (let i = 1; i < 4; i++) await log.epoch(NOON_SECONDS + i * DAY);
  return log;
}

function foldOf(entries: readonly Entry[]): FoldState {
  const fold = createFold([RULES]);
  for (const entry of entries) applyEntry(fold, entry);
  return fold;
}

const seriesOf = ({ series: [first] }: FoldState): Series => first ?? expect.unreachable();

test("a document names a hundred apps, those with organic receipts first, and nothing of the others is lost", async () => {
  const { entries } = await manyApps();
  const { documents } = seriesOf(foldOf(entries));
  const [[day] = expect.unreachable()] = documents;
  const asked = { metric: "inferences", per: "day", from: day, to: day } as const;
  const rows = askDocuments(documents, { ...asked, by: "app" });
  const [, ...named] = rows.map(({ key }) => key);
  expect(rows.map(({ key }) => key)).toEqual(["", ...numbered.slice(0, -1), "other", "zebra"]);
  expect(named).toHaveLength(APPS_NAMED + 1);
  expect(rows.find(({ key }) => key === "other")).toMatchObject({ gross: 4, valid: 4, organic: 0 });
  const [whole] = askDocuments(documents, { ...asked, by: "network" });
  for (const stratum of ["gross", "valid", "organic", "floor"] as const)
    expect(rows.reduce((sum, row) => sum + Number(row[stratum]), 0)).toBe(whole?.[stratum]);
  const top = askDocuments(documents, { ...asked, by: "app", top: 2 });
  expect(top.map(({ key, gross }) => [key, gross])).toEqual([
    ["free-000", 2],
    ["zebra", 2],
    ["other", 201],
  ]);
});

test("which apps are named is what the definition says, asked of the list of receipts", async () => {
  const { entries } = await manyApps();
  const fold = foldOf(entries);
  const [[day, document] = expect.unreachable()] = seriesOf(fold).documents;
  const then = entries.slice(0, fold.closedDays.get(day)?.size);
  const prefix = foldOf(then);
  const slow = new SlowMetrics(then, prefix, seriesOf(prefix), judgeDay(prefix, day, RULES), day).rows();
  const fast: Record<string, unknown> = {};
  for (const { per, start, by, rows } of document.groups)
    if (by === "app")
      for (const [key, row] of Object.entries(rows))
        for (const [id, quad] of Object.entries(row)) fast[[per, start, by, key, id].join(" ")] = quad;
  expect(fast).toEqual(Object.fromEntries(Object.entries(slow).filter(([key]) => / app /.test(key))));
});
