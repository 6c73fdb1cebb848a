import { expect, test } from "vitest";
import { askDocuments } from "../../../../../test/day-documents.ts";
import { STRATA } from "../judgement.ts";
import type { DayDocument } from "./documents.ts";
import { NoSuchFigure, type Query, type QueryRow } from "./query.ts";
import type { Row } from "./rows.ts";

type Rows = Record<string, Row>;

/** The document of a day in which models have so many inferences, gross and the rest alike. */
function documentOf(day: string, models: Record<string, number>, network: Row = {}): [string, DayDocument] {
  const rows: Rows = Object.fromEntries(
    Object.entries(models).map(([key, count]) => [key, { inferences: [count, count, count, 0] }]),
  );
  const groups: DayDocument["groups"] = [
    { per: "hour", start: `${day}T07:00:00Z`, by: "network", rows: { "": network } },
    { per: "day", start: day, by: "network", rows: { "": network } },
    { per: "day", start: day, by: "model", rows },
    { per: "week", start: "2026-11-16", by: "model", rows },
  ];
  return [day, { metrics: "m", rules: "r", rulesDigest: "", day, models: {}, groups }];
}

const DAYS = new Map([
  documentOf("2026-11-20", { a: 5, b: 3, c: 1 }, { inferences: [9, 9, 9, 0] }),
  documentOf("2026-11-22", { a: 1, c: 8, d: 2 }),
]);
const query = (changes: Partial<Query> = {}, days: ReadonlyMap<string, DayDocument> = DAYS): QueryRow[] => {
  return askDocuments(days, {
    ...{ metric: "inferences", by: "model", per: "day", from: "2026-11-01", to: "2026-11-30", strata: ["organic"] },
    ...changes,
  });
};
const told = (rows: ReturnType<typeof query>) => rows.map(({ start, key, organic }) => [start, key, organic]);

test("rows are those of the days that there are, in order of day and key", () => {
  expect(told(query())).toEqual([
    ["2026-11-20", "a", 5],
    ["2026-11-20", "b", 3],
    ["2026-11-20", "c", 1],
    ["2026-11-22", "a", 1],
    ["2026-11-22", "c", 8],
    ["2026-11-22", "d", 2],
  ]);
  expect(query({ from: "2026-11-21", to: "2026-11-21" })).toEqual([]);
});

test("a week says what its last day in the range says, and nothing of the days after the range", () => {
  expect(told(query({ per: "week" })).map(([, key]) => key)).toEqual(["a", "c", "d"]);
  expect(told(query({ per: "week", to: "2026-11-21" })).map(([, key]) => key)).toEqual(["a", "b", "c"]);
});

test("what a day has nothing of is 0 where it is counted, and none where it is a quotient", () => {
  expect(query({ by: "network", from: "2026-11-22", strata: ["gross", "organic"] })).toEqual([
    { start: "2026-11-22", key: "", gross: 0, organic: 0 },
  ]);
  const [refunds] = query({ metric: "revenue_refunded", by: "network", strata: ["gross", "valid"] });
  expect(refunds).toEqual({ start: "2026-11-20", key: "", gross: null, valid: "0" });
  expect(query({ metric: "payers", by: "network" })[0]?.organic).toBe(0);
  expect(query({ metric: "wash_gap", by: "network" })[0]?.organic).toBeNull();
});

test("beyond the largest of the whole range the rest is one row a period, and nothing is lost", () => {
  expect(told(query({ top: 2 }))).toEqual([
    ["2026-11-20", "a", 5],
    ["2026-11-20", "c", 1],
    ["2026-11-20", "other", 3],
    ["2026-11-22", "a", 1],
    ["2026-11-22", "c", 8],
    ["2026-11-22", "other", 2],
  ]);
});

test("shares come to one in every period, with whatever is rounded, and to none where there is nothing", () => {
  const thirds = new Map([documentOf("2026-11-20", { a: 1, b: 1, c: 1, d: 1, e: 1, f: 1, g: 1 })]);
  const rows = query({ strata: STRATA, shares: true, top: 3 }, thirds);
  expect(rows.map(({ key }) => key)).toEqual(["a", "b", "c", "other"]);
  expect(rows.map(({ gross }) => gross)).toEqual([0.142857, 0.142857, 0.142857, 0.571429]);
  expect(rows.map(({ floor }) => floor)).toEqual([null, null, null, null]);
  const millionths = rows.reduce((sum, { organic }) => sum + Math.round(Number(organic) * 1e6), 0);
  expect(millionths).toBe(1_000_000);
});

test("of what there is no figure of, one sentence says what there is", () => {
  const refusal = (changes: Partial<Query>) => expect(() => query(changes));
  refusal({ metric: "hits" }).toThrow(/^no metric hits; there are acknowledged, .*inferences/);
  refusal({ metric: "hhi_models" }).toThrow("hhi_models is not by model, but by network");
  refusal({ metric: "payers", per: "hour" }).toThrow("payers is not per hour, but per day, week, month");
  refusal({ metric: "payers", top: 3 }).toThrow("payers by model does not add up to a whole");
  refusal({ by: "column", shares: true }).toThrow("inferences by column does not add up to a whole");
  refusal({ metric: "hits" }).toThrow(NoSuchFigure);
});

test("what is left of counts is exact over 2^53, where a count is a text", () => {
  const most = Number.MAX_SAFE_INTEGER;
  const [day, document] = documentOf("2026-11-22", { a: 0 });
  const unitsOf = (count: number | string): Row => ({ units: [null, count, count, 0] });
  const rows = {
    a: unitsOf(String(2n ** 60n)),
    b: unitsOf(most),
    c: unitsOf(2),
    d: unitsOf(1),
    e: unitsOf("9007199254740993"),
  };
  const groups: DayDocument["groups"] = [{ per: "day", start: day, by: "model", rows }];
  const leftOf = (top: number) => {
    const asked = { metric: "units", top, strata: ["valid", "floor"] } as const;
    return query(asked, new Map([[day, { ...document, groups }]])).find(({ key }) => key === "other");
  };
  expect(leftOf(1)).toMatchObject({ valid: String(BigInt(most) + 9007199254740993n + 3n), floor: 0 });
  expect(leftOf(2)).toMatchObject({ valid: String(BigInt(most) + 3n), floor: 0 });
  expect(leftOf(3)).toMatchObject({ valid: 3, floor: 0 });
});
