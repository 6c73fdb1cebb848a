import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { runIn, SIMULATOR_PAGE, USAGE_PAGE, usagePage } from "../../../../../scripts/make-usage-page.ts";
import { foldDays } from "../../../../../test/day-documents.ts";
import { NOON_SECONDS } from "../../../../../test/one-receipt.ts";
import { DAY, HOUR, UsageLog } from "../../../../../test/usage-log.ts";
import { readVectors, type Vector } from "../../../../../test/vectors.ts";
import { hex, parseBase64 } from "../../bytes.ts";
import { parseEntry } from "../../entry/entry.ts";
import { rulesDigest, WASH_RULES } from "../wash-rules.ts";
import { findMetric, METRICS } from "./catalogue.ts";
import { type DayDocument, documentDigest } from "./documents.ts";

type UsageVector = Vector & { entries: string[]; documents: { day: string; rules: string; digest: string }[] };
const VECTORS = readVectors<UsageVector>("usage/logs.json").map((vector) => ({
  ...vector,
  ...foldDays(vector.entries.map((text) => parseEntry(parseBase64(text) ?? new Uint8Array(0)))),
  committed: vector.documents,
}));

const wholeOf = (document: DayDocument | undefined) =>
  document?.groups.find(({ per, by }) => per === "day" && by === "network")?.rows[""] ?? {};

test.each(VECTORS)("$desc: its closed days have the documents that are committed", ({ fold, documents, committed }) => {
  const own = [...documents.values()].map((document) => ({
    ...{ day: document.day, rules: document.rulesDigest },
    digest: hex(documentDigest(document)),
  }));
  expect(own).toEqual(committed);
  expect([...(fold.series[0]?.digests.values() ?? [])].map(hex)).toEqual(own.map(({ digest }) => digest));
});

test("docs/usage.md says of each metric what its data says, and of the simulator what docs/usage-simulator.md does", () => {
  const run = runIn(readFileSync(SIMULATOR_PAGE, "utf8"));
  expect(readFileSync(USAGE_PAGE, "utf8")).toBe(usagePage(run));
});

test("each metric has a name of its own, and says how it is gamed", () => {
  expect(new Set(METRICS.map(({ id }) => id)).size).toBe(METRICS.length);
  expect(new Set(METRICS.map(({ name }) => name)).size).toBe(METRICS.length);
  for (const { id, gamedBy, formula, source } of METRICS) {
    expect(id).toMatch(/^[a-z][a-z0-9_]*$/);
    for (const text of [gamedBy, formula, source]) expect(text.length, id).toBeGreaterThan(3);
  }
});

test("a day's checks, drawn and failed, are those of the closed day's figures, and a dispute upheld is of its stratum", () => {
  const { fold, documents } = VECTORS.find(({ desc }) => desc.startsWith("every tier")) ?? expect.unreachable();
  const [document] = documents.values();
  const closed = fold.closedDays.get(document?.day ?? "")?.verification ?? expect.unreachable();
  const row = wholeOf(document);
  const { drawn, tiers, unopenable, disputesUpheld, upperBound } = closed;
  expect([drawn, disputesUpheld].every((count) => count > 0)).toBe(true);
  expect(row.drawn_checks?.[0]).toBe(drawn);
  expect(row.wrong_at_most?.[0]).toBe(Number(upperBound));
  expect(row.disputes_upheld?.[1]).toBe(disputesUpheld);
  expect([row.disputed, row.upheld_rate?.[1]]).toEqual([row.disputes_upheld, 1]);
  const valid = Object.values(tiers).reduce((sum, count) => sum + count, 0);
  expect(row.unopenable_share?.[1]).toBeCloseTo(unopenable / valid, 6);
  expect([row.attested_inferences?.[1] ?? 0, row.proved_inferences?.[1] ?? 0]).toEqual([tiers.attested, tiers.proved]);
  expect(row.untrusted_inferences?.[1] ?? 0).toBe(tiers.none);
});

/** A log of two days in which an auditor recomputes and a session expires with gaps. */
async function watched(): Promise<UsageLog> {
  const log = await UsageLog.open();
  await log.enrol("auditor", "auditor");
  await log.enrol("second auditor", "auditor");
  await log.grant("brief", "brief", "account", "brief", { expiry: NOON_SECONDS + HOUR });
  const at = (nonce: number) => ({
    session: "brief",
    authorization: { nonce, expiry: NOON_SECONDS + 60 },
  });
  for (const nonce of [0, 1, 5]) await log.call(at(nonce));
  await log.epoch(NOON_SECONDS);
  const rules = rulesDigest(WASH_RULES);
  await log.recompute({ rules, agrees: "no" });
  await log.recompute({ rules, agrees: "yes" });
  await log.recompute({ rules, agrees: "no" }, "second auditor");
  await log.recompute({ agrees: "yes" }, "second auditor");
  await log.epoch(NOON_SECONDS + 2 * HOUR);
  await log.epoch(NOON_SECONDS + 2 * DAY);
  return log;
}

test("of auditors the last word by these rules counts, of an expired session the calls below its last that are missing", async () => {
  const row = wholeOf([...foldDays((await watched()).entries).documents.values()][0]);
  const { recomputations, recompute_agreement: agreement, nonce_gaps: gaps, nonce_gap_rate: rate } = row;
  expect([recomputations, agreement, gaps, rate].map((quad) => quad?.[0])).toEqual([2, 0.5, 3, 500_000]);
  expect([row.epochs, row.epoch_gap_seconds].map((quad) => quad?.[0])).toEqual([2, 2 * HOUR]);
});

test("no row has a metric that the catalogue does not say it has", () => {
  for (const { documents } of VECTORS)
    for (const { groups } of documents.values())
      for (const { per, by, rows } of groups)
        for (const row of Object.values(rows))
          for (const [id, quad] of Object.entries(row)) {
            const metric = findMetric(id) ?? expect.unreachable(id);
            expect(metric.needs, id).toBeUndefined();
            expect(metric.by, `${id} by ${by}`).toContain(by);
            expect(metric.per, `${id} per ${per}`).toContain(per);
            const strata = metric.strata ?? ["gross", "valid", "organic", "floor"];
            quad.forEach((value, at) => {
              const stratum = (["gross", "valid", "organic", "floor"] as const)[at] ?? expect.unreachable();
              if (value !== null) expect(strata, `${id} of ${stratum}`).toContain(stratum);
            });
          }
});
