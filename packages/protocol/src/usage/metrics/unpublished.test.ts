import { expect, test } from "vitest";
import { sha256 } from "#platform";
import { foldDays } from "../../../../../test/day-documents.ts";
import { NOON_SECONDS } from "../../../../../test/one-receipt.ts";
import { DAY, HOUR, UsageLog } from "../../../../../test/usage-log.ts";
import { utf8 } from "../../bytes.ts";
import { applyToRows, createRowFold, type RowFold } from "../closed-rows.ts";
import { figuresOf } from "../figures.ts";
import { sharedRows } from "../rows.ts";
import { createFold } from "../state.ts";
import { WASH_RULES } from "../wash-rules.ts";
import type { DayDocument } from "./documents.ts";
import type { Period } from "./metric.ts";

const RULES = { ...WASH_RULES, version: "of a small log", fewestClusters: 2 };

/** A closed day in which two models are paid for by two payers, and receipts name so many revisions that nobody published. */
async function dayWith(revisions: number): Promise<{ rows: RowFold; document: DayDocument }> {
  const log = await UsageLog.open(undefined, { priceAtomic: 100n });
  await log.publish("example/other", "publisher", log.manifestOf("example/other"), { priceAtomic: 100n });
  for (const payer of ["alice", "bob"]) {
    await log.topUp(payer, 900n, { funder: sha256(utf8(`the bank of ${payer}`)) });
    await log.grant(payer, payer, "account", payer, { paymentClass: "credits", budget: 900n });
    for (const model of ["example/double", "example/double", "example/other"])
      await log.call({ session: payer, model, authorization: { maxPrice: 100n }, receipt: { price: 100n } });
  }
  for (let i = 0; i < revisions; i++)
    await log.call({ authorization: { revision: sha256(utf8(`invented ${i}`)) }, receipt: { price: 0n } });
  await log.epoch(NOON_SECONDS);
  await log.epoch(NOON_SECONDS + 2 * DAY + HOUR);
  const rows = createRowFold(createFold([RULES]));
  for (const entry of log.entries) applyToRows(rows, entry);
  const [document] = rows.fold.series[0]?.documents.values() ?? [];
  return { rows, document: document ?? expect.unreachable() };
}

const rowsOf = ({ groups }: DayDocument, by: string, per: Period = "day") =>
  groups.find((group) => group.per === per && group.by === by)?.rows ?? {};

test("receipts of however many revisions that nobody published are one row of each dimension, and the parts make the whole", async () => {
  const [few, many] = [await dayWith(1), await dayWith(60)];
  for (const per of ["hour", "day", "week", "month"] as const)
    for (const by of ["model", "publisher", "category"]) {
      const rows = rowsOf(many.document, by, per);
      expect(Object.keys(rows), `${per} ${by}`).toEqual(Object.keys(rowsOf(few.document, by, per)));
      expect(rows.unpublished?.inferences).toEqual([60, 0, 0, 0]);
      const parts = Object.values(rows).reduce((sum, { inferences }) => sum + Number(inferences?.[0] ?? 0), 0);
      expect(parts).toBe(66);
    }
  expect(Object.keys(many.document.models)).toHaveLength(2);
  const closed = figuresOf(many.rows.fold).closedDays[0]?.models.map(({ revision, gross }) => [revision, gross]);
  expect(closed).toEqual([
    ...Object.keys(many.document.models).map((revision) => [revision, expect.anything()]),
    ["unpublished", 60],
  ]);
});

test("what nobody published is no model: it changes no figure of how use is spread over models", async () => {
  const [none, many] = [await dayWith(0), await dayWith(60)];
  const spread = ({ document }: { document: DayDocument }) => {
    const { active_models, hhi_models, effective_models, effective_models_by_entropy, ...row } =
      rowsOf(document, "network")[""] ?? {};
    const { top_model_share, top10_model_share, fewest_models_for_half, gini_models } = row;
    const shares = { top_model_share, top10_model_share, fewest_models_for_half, gini_models };
    return { active_models, hhi_models, effective_models, effective_models_by_entropy, ...shares };
  };
  expect(spread(many)).toEqual(spread(none));
  expect(spread(none)).toMatchObject({
    active_models: [2, 2, 2, 2],
    gini_models: [0.166667, 0.166667, 0.166667, 0.166667],
  });
  expect(rowsOf(many.document, "publisher").unpublished?.active_models).toBeUndefined();
});

test("a model that is not listed is in the population of the strata that used it alone", async () => {
  const log = await UsageLog.open();
  await log.publish("example/yanked");
  await log.yank("example/yanked");
  for (const model of ["example/double", "example/yanked", "example/yanked"]) await log.call({ model });
  await log.epoch(NOON_SECONDS);
  await log.epoch(NOON_SECONDS + 2 * DAY);
  const { documents } = foldDays(log.entries);
  const [document = expect.unreachable()] = documents.values();
  expect(rowsOf(document, "network")[""]?.gini_models).toEqual([0.166667, 0, null, null]);
});

test("the rows of receipts say unpublished where no revision was", async () => {
  const { rows } = await dayWith(2);
  const [day = expect.unreachable()] = rows.closed.values();
  const [judged = expect.unreachable()] = day.judged;
  const shared = [...sharedRows(day, judged)].filter(({ exclusion }) => exclusion === "unknown_model");
  expect(shared).toMatchObject([{ revision: "unpublished", model: null, publisher: null, stratum: "gross" }]);
});

test("a receipt before its revision is published stays of no model, and one after it is of the model", async () => {
  const log = await UsageLog.open();
  await log.call({ model: "example/late" });
  await log.publish("example/late");
  await log.call({ model: "example/late" });
  const { fold } = foldDays(log.entries);
  expect([...fold.receipts.values()].map(({ model }) => fold.models.get(model)?.manifest.name)).toEqual([
    undefined,
    "example/late",
  ]);
  const late = figuresOf(fold).models.find(({ name }) => name === "example/late");
  expect([late?.gross, late?.valid]).toEqual([1, 1]);
});
