import { deserialize, serialize } from "node:v8";
import fc from "fast-check";
import { expect, test } from "vitest";
import { sha256 } from "#platform";
import { foldDays } from "../../../../../test/day-documents.ts";
import { NOON_SECONDS } from "../../../../../test/one-receipt.ts";
import { type FlatRows, SlowMetrics } from "../../../../../test/slow-metrics.ts";
import { DAY, HOUR, UsageLog } from "../../../../../test/usage-log.ts";
import { utf8 } from "../../bytes.ts";
import type { Entry } from "../../entry/entry.ts";
import { encodeJson } from "../../json/canonical.ts";
import { dayOf } from "../day.ts";
import { judgeDay } from "../organic/judge.ts";
import { createFold, type FoldState } from "../state.ts";
import { WASH_RULES } from "../wash-rules.ts";
import { findMetric } from "./catalogue.ts";
import type { DayDocument } from "./documents.ts";
import { LOOK_BACK_DAYS, openDocuments } from "./series.ts";

/** Rules by which two payers are enough to judge a model: else nothing in a small log would be organic. */
const RULES = { ...WASH_RULES, version: "of a small log", fewestClusters: 2 };

function foldOf(entries: readonly Entry[]): FoldState {
  return foldDays(entries, createFold([RULES])).fold;
}

const PAYERS = ["alice", "bob", "carol", "free", "veiled", "owner", "daily"] as const;
/** The last but two is published midway, the last two never. */
const MODELS = [
  "example/double",
  "example/second",
  "other/third",
  "example/late",
  "example/unpublished",
  "other/unpublished",
] as const;

type Step =
  | {
      kind: "call";
      payer: (typeof PAYERS)[number];
      model: (typeof MODELS)[number];
      node: string;
      price: bigint;
      like: string;
    }
  | { kind: "epoch"; hours: number }
  | { kind: "acknowledge"; receipt: number }
  | { kind: "refund"; receipt: number }
  | { kind: "verify"; receipt: number }
  | { kind: "rely"; relier: string; receipt: number }
  | { kind: "reverse"; relier: string; receipt: number };

const of = <const T>(...values: T[]) => fc.constantFrom(...values);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 9,
    arbitrary: fc.record({
      kind: of("call"),
      payer: of(...PAYERS, "alice", "bob", "carol"),
      model: of(...MODELS, "example/double"),
      node: of("node", "node", "second node"),
      price: of(0n, 7n, 100n, 100n),
      like: of("any", "any", "any", "any", "test", "failed", "decision", "two tokens"),
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: of("epoch"), hours: of(0, 1, 5, 11, 24, 24 * 34) }) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: of("acknowledge", "refund", "verify"), receipt: fc.nat() }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: of("rely", "rely", "rely", "reverse"),
      relier: of("relier", "second relier", "node's relier"),
      receipt: fc.nat(),
    }),
  },
);

/** The log of what happened, and days after it until all of it is closed. */
async function logOf(steps: readonly Step[]): Promise<UsageLog> {
  const log = await UsageLog.open(undefined, { priceAtomic: 100n });
  await log.publish("example/second", "publisher", log.manifestOf("example/second"), { priceAtomic: 100n });
  for (const [label, role] of [
    ["second node", "node"],
    ["second publisher", "publisher"],
    ["second relier", "relier"],
    ["node's relier", "relier"],
    ["verifier", "verifier"],
  ] as const)
    await log.enrol(label, role);
  await log.publish("other/third", "second publisher", log.manifestOf("other/third"), { priceAtomic: 100n });
  await log.affiliate("node", ["node's relier"]);
  await log.affiliate("node's relier", ["node"]);
  for (const payer of PAYERS) {
    const tagMode = payer === "veiled" ? "anonymous" : payer === "daily" ? "scoped" : "stable";
    const app = payer === "bob" ? { app: "shop" } : payer === "carol" ? { app: "other" } : {};
    const terms = { paymentClass: "credits", budget: 1_000_000n, tagMode, ...app } as const;
    await log.grant(payer, payer, payer === "carol" ? "wallet" : "account", payer, terms);
    // Who first paid for both has made them one cluster.
    const own = sha256(utf8(`the bank of ${payer === "carol" ? "alice" : payer}`));
    if (payer !== "free") await log.topUp(payer, 900n, { funder: payer === "owner" ? log.idOf("node") : own });
  }
  // A key of a seller pays for itself.
  await log.affiliate("publisher", ["daily"]);
  await log.affiliate("daily", ["publisher"], "daily");
  let timeSeconds = NOON_SECONDS;
  await log.epoch(timeSeconds);
  const receipts: { id: Uint8Array; payer: string }[] = [];
  for (const [i, next] of steps.entries()) {
    if (i === steps.length >> 1)
      await log.publish("example/late", "publisher", log.manifestOf("example/late"), { priceAtomic: 100n });
    if (next.kind === "epoch") {
      timeSeconds += next.hours * HOUR + 61;
      await log.epoch(timeSeconds);
    } else if (next.kind === "call") {
      const { payer, model, node, like } = next;
      const id = await log.call({
        ...{ session: payer, model, node },
        authorization: {
          maxPrice: 1_000n,
          expiry: NOON_SECONDS + 300 * DAY,
          ...(like === "test" && { traffic: "test" }),
          ...(like === "decision" && { decision: new Uint8Array(16) }),
        },
        receipt: {
          price: next.price,
          units: 3,
          ...(like === "two tokens" && { outputUnits: 2 }),
          ...(like === "failed" && { status: "failed", price: 0n }),
        },
      });
      receipts.push({ id, payer });
    } else {
      const receipt = receipts[next.receipt % Math.max(1, receipts.length)];
      if (receipt === undefined) continue;
      if (next.kind === "acknowledge") await log.acknowledge(receipt.id, receipt.payer);
      else if (next.kind === "refund") await log.refund(receipt.payer, 7n, receipt.id);
      else if (next.kind === "verify") await log.verify("verifier", receipt.id);
      else if (next.kind === "rely")
        await log.rely(receipt.id, next.relier, { purpose: "credit", valueBucket: next.receipt % 3 });
      else await log.reverse(receipt.id, next.relier);
    }
  }
  for (let i = 0; i < 3; i++) {
    timeSeconds += DAY;
    await log.epoch(timeSeconds);
  }
  return log;
}

/** What lots found has a slow road of its own (slow-verification); disputes and the policy are in tests of their own. */
const ELSEWHERE = new Set(["drawn_checks", "failed_check_rate", "wrong_at_most", "unopenable_share", "witnesses"]);

function flat({ groups }: DayDocument): FlatRows {
  const rows: FlatRows = {};
  for (const { per, start, by, rows: own } of groups)
    for (const [key, row] of Object.entries(own))
      for (const [id, quad] of Object.entries(row))
        if (!ELSEWHERE.has(id)) rows[[per, start, by, key, id].join(" ")] = quad;
  return rows;
}

/** The documents of a log's closed days. */
function documentsOf(entries: readonly Entry[]): [string, DayDocument][] {
  return [...foldDays(entries, createFold([RULES])).documents];
}

/** Two who pay and whom nothing ties to the seller: organic. */
const TWO_PAYERS: Step[] = [
  { kind: "call", payer: "alice", model: "example/double", node: "node", price: 100n, like: "any" },
  { kind: "call", payer: "bob", model: "example/double", node: "node", price: 100n, like: "any" },
  { kind: "epoch", hours: 1 },
];

const ALL_OF_IT: Step[] = [0, 1].flatMap((receipt): Step[] => [
  { kind: "acknowledge", receipt },
  { kind: "refund", receipt },
]);
/** Of what was sold, all is refunded on a day on which only one of the two buys; or once the first day is closed. */
const REFUNDED_LATER: Step[] = [
  ...TWO_PAYERS,
  { kind: "epoch", hours: 24 },
  ...TWO_PAYERS.slice(0, 1),
  ...ALL_OF_IT,
  { kind: "epoch", hours: 1 },
];
const REFUNDED_LATE: Step[] = [
  ...TWO_PAYERS,
  { kind: "epoch", hours: 24 },
  { kind: "epoch", hours: 24 },
  ...TWO_PAYERS.slice(0, 1),
  ...ALL_OF_IT,
  { kind: "epoch", hours: 1 },
];

const steps = fc.array(step, { minLength: 5, maxLength: 45 });

test("every metric of every day is what its definition says, asked of the list of receipts", async () => {
  let organic = 0;
  await fc.assert(
    fc.asyncProperty(steps, async (all) => {
      const { entries } = await logOf(all);
      const { fold, documents } = foldDays(entries, createFold([RULES]));
      for (const [day, document] of documents) {
        const then = entries.slice(0, fold.closedDays.get(day)?.size);
        const prefix = foldOf(then);
        const series = prefix.series[0];
        if (series === undefined) throw new Error("no series");
        const slow = new SlowMetrics(then, prefix, series, judgeDay(prefix, day, RULES), day).rows();
        expect(flat(document), day).toEqual(slow);
        organic += Number(slow[`day ${day} network  inferences`]?.[2] ?? 0);
      }
    }),
    { numRuns: 8, examples: [[TWO_PAYERS]] },
  );
  expect(organic, "organic inferences in all").toBeGreaterThan(0);
});

test("of what is counted, gross is at least valid, valid organic, and organic the floor; in every row of every period", async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (all) => {
      for (const [, { groups }] of documentsOf((await logOf(all)).entries))
        for (const { rows } of groups)
          for (const row of Object.values(rows))
            for (const [id, quad] of Object.entries(row)) {
              const kind = findMetric(id)?.kind;
              if (kind !== "additive" && kind !== "distinct") continue;
              expectFalling(id, quad);
            }
    }),
    { numRuns: 15 },
  );
});

function expectFalling(id: string, quad: FlatRows[string]): void {
  const amounts = quad.flatMap((value) => (value === null ? [] : BigInt(value)));
  expect(amounts, id).toEqual([...amounts].sort((a, b) => (a > b ? -1 : 1)));
}

test("what is said late is where its receipt is: no share of receipts is over 1, and what a whole log's receipts left is floor, organic and valid in that order", async () => {
  let late = 0;
  await fc.assert(
    fc.asyncProperty(steps, async (all) => {
      for (const [, { groups }] of documentsOf((await logOf(all)).entries))
        for (const { start, rows } of groups)
          for (const row of Object.values(rows)) {
            for (const id of ["acknowledged_share", "refund_rate"] as const)
              for (const value of row[id] ?? []) expect(Number(value ?? 0), id).toBeLessThanOrEqual(1);
            if (row.revenue_refunded_late !== undefined) late++;
            // A period that begins before the log has every receipt of which anything is said in it.
            if (start >= dayOf(NOON_SECONDS)) continue;
            for (const id of ["revenue_net", "revenue_subsidised"] as const) expectFalling(id, row[id] ?? [0, 0, 0, 0]);
          }
    }),
    { numRuns: 15, examples: [[REFUNDED_LATER], [REFUNDED_LATE]] },
  );
  expect(late).toBeGreaterThan(0);
});

test("what is additive adds up: the hours of a day to the day, the keys of a dimension to the network", async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (all) => {
      for (const [day, { groups }] of documentsOf((await logOf(all)).entries)) {
        const whole = groups.find(({ per, by }) => per === "day" && by === "network")?.rows[""] ?? {};
        const additive = Object.entries(whole).filter(([id]) => findMetric(id)?.kind === "additive");
        const hours = groups
          .filter(({ per, by }) => per === "hour" && by === "network")
          .map(({ rows }) => rows[""] ?? {});
        for (const [id, quad] of additive) {
          const sumOf = (rows: readonly object[]) =>
            quad.map((_, at) => rows.reduce((sum, row) => sum + amountIn(row, id, at), 0n).toString());
          const expected = quad.map((value) => String(value ?? 0));
          if (findMetric(id)?.per.includes("hour")) expect(sumOf(hours), `${day} ${id} by hour`).toEqual(expected);
          for (const by of ["model", "publisher", "node", "category", "app"] as const) {
            if (!findMetric(id)?.by.includes(by)) continue;
            const rows = groups.find((group) => group.per === "day" && group.by === by)?.rows ?? {};
            expect(sumOf(Object.values(rows)), `${day} ${id} by ${by}`).toEqual(expected);
          }
        }
      }
    }),
    { numRuns: 15 },
  );
});

function amountIn(row: object, id: string, at: number): bigint {
  const quad: unknown = Object.entries(row).find(([name]) => name === id)?.[1];
  const value: unknown = Array.isArray(quad) ? quad[at] : undefined;
  return BigInt(typeof value === "number" || typeof value === "string" ? value : 0);
}

test("a fold taken up again from any entry on makes the same documents, byte for byte", async () => {
  await fc.assert(
    fc.asyncProperty(steps, fc.nat(), async (all, cut) => {
      const { entries } = await logOf(all);
      const whole = foldDays(entries, createFold([RULES]));
      const size = cut % entries.length;
      const first = foldDays(entries.slice(0, size), createFold([RULES]));
      const stored: unknown = deserialize(serialize(first.fold));
      const resumed = foldDays(entries.slice(size), stored as FoldState); // What was stored is the fold that was.
      const documents = [...first.documents, ...resumed.documents];
      expect(encodeJson(documents), `from ${size} of ${entries.length}`).toEqual(encodeJson([...whole.documents]));
      expect(resumed.fold).toEqual(whole.fold);
    }),
    { numRuns: 5 },
  );
});

/** The documents of a fold to which all that it forgets is given back before the next entry. */
function documentsRemembering(entries: readonly Entry[]): [string, DayDocument][] {
  const fold = createFold([RULES]);
  const documents: [string, DayDocument][] = [];
  const facts: FoldState["demand"]["facts"] = new Map();
  for (const entry of entries) {
    documents.push(...foldDays([entry], fold).documents);
    for (const [day, lanes] of fold.demand.facts) facts.set(day, lanes);
    fold.demand.facts = new Map(facts);
  }
  return documents;
}

const leaps = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: step },
    {
      weight: 1,
      arbitrary: fc.record({ kind: of("epoch"), hours: of(...[61, 60, 34, 33, 10, -9, -29].map((days) => 24 * days)) }),
    },
  ),
  { minLength: 15, maxLength: 50 },
);

test("what a fold forgets changes no document, over gaps of months and with a clock that is set back by a month", async () => {
  let forgotten = 0;
  await fc.assert(
    fc.asyncProperty(leaps, async (all) => {
      const { entries } = await logOf(all);
      const { fold, documents } = foldDays(entries, createFold([RULES]));
      expect(encodeJson([...documents])).toEqual(encodeJson(documentsRemembering(entries)));
      forgotten += [...fold.closedDays.keys()].filter((day) => !fold.demand.facts.has(day)).length;
    }),
    { numRuns: 20 },
  );
  expect(forgotten).toBeGreaterThan(0);
});

test("of a log of half a year a fold keeps what two months came to, a digest of each day, and one day's documents", async () => {
  const log = await UsageLog.open();
  for (let day = 0; day < 180; day++) {
    await log.call({ authorization: { expiry: NOON_SECONDS + 300 * DAY } });
    await log.epoch(NOON_SECONDS + day * DAY);
  }
  const { fold, documents } = foldDays(log.entries, createFold([RULES]));
  const [series] = fold.series;
  expect([documents.size, series?.digests.size, fold.closedDays.size]).toEqual([178, 178, 178]);
  expect([...(series?.documents.keys() ?? [])]).toEqual([[...documents.keys()].at(-1)]);
  const open = fold.unclosed.size;
  for (const kept of [fold.demand.facts, series?.labels, series?.organics, series?.floors])
    expect(kept?.size).toBeLessThanOrEqual(LOOK_BACK_DAYS + open);
  expect(RULES.windowDays).toBeLessThanOrEqual(LOOK_BACK_DAYS);
});

test("the document of an open day is the one that it closes with, where nothing comes to it any more", async () => {
  const days = await logOf(TWO_PAYERS);
  const fold = foldOf(days.entries.slice(0, -3));
  const [open] = openDocuments(fold, fold.series[0] ?? expect.unreachable());
  const closed = documentsOf(days.entries)[0]?.[1];
  expect(fold.closedDays.size).toBe(0);
  expect(open?.day).toBe("2026-11-22");
  expect(open).toEqual(closed);
});
