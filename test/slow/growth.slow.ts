/** What one party may log without a bound: four times as much of it takes some four times as long, never sixteen. */
import { expect, test } from "vitest";
import { applyDispute, applyResolution } from "../../packages/protocol/src/usage/checks.ts";
import { applyEntry } from "../../packages/protocol/src/usage/fold.ts";
import type { Group } from "../../packages/protocol/src/usage/metrics/documents.ts";
import { Question } from "../../packages/protocol/src/usage/metrics/query.ts";
import { openDocuments } from "../../packages/protocol/src/usage/metrics/series.ts";
import { addRelied, takeBack } from "../../packages/protocol/src/usage/relied.ts";
import { createFold, type FoldState } from "../../packages/protocol/src/usage/state.ts";
import { applySnapshot } from "../../packages/protocol/src/usage/statements.ts";
import { NOON_SECONDS } from "../one-receipt.ts";
import { UsageLog } from "../usage-log.ts";

/** A fold with one valid receipt that has a time, its model, and the key of the receipt. */
async function foldOfOne(): Promise<{ fold: FoldState; receipt: string }> {
  const log = await UsageLog.open();
  await log.call();
  await log.epoch(NOON_SECONDS);
  const fold = createFold();
  for (const entry of log.entries) applyEntry(fold, entry);
  const [receipt = ""] = fold.receipts.keys();
  return { fold, receipt };
}

/** Between four and sixteen. Of processor time, and the best of some: what else the machine does is not counted. */
const TIMES_MOST = 9;
const ROUNDS = 2;
/** What takes less is as if it took this: so little says nothing of how it grows. */
const LEAST_MICROSECONDS = 20_000;

async function timesAsLong(count: number, run: (count: number) => Promise<() => void>): Promise<number> {
  const costOf = async (of: number) => {
    const costs: number[] = [];
    for (let i = 0; i < ROUNDS; i++) {
      const act = await run(of);
      const before = process.cpuUsage();
      act();
      const { user, system } = process.cpuUsage(before);
      costs.push(user + system);
    }
    return Math.max(LEAST_MICROSECONDS, Math.min(...costs));
  };
  await costOf(count); // So that the engine has made its code for both.
  return (await costOf(4 * count)) / (await costOf(count));
}

test("a relier's statements on one decision, sent again and taken back again", async () => {
  const ratio = await timesAsLong(3_000, async (count) => {
    const { fold, receipt } = await foldOfOne();
    const one = fold.receipts.get(receipt);
    if (one === undefined) throw new Error("no receipt");
    for (let i = 0; i < count; i++) fold.receipts.set(`receipt ${i}`, { ...one, decision: "decision" });
    const rely = (i: number) =>
      addRelied(fold, "relier decision", {
        ...{ index: i, relier: "relier", receipt: `receipt ${i}`, decision: "decision" },
        ...{ purpose: undefined, valueBucket: undefined },
      });
    return () => {
      for (let i = 0; i < 2 * count; i++) rely(i % count);
      for (let i = 0; i < count; i++) takeBack(fold, "relier decision", i);
      expect(fold.demand.relied.get("relier decision")).toHaveLength(count);
    };
  });
  expect(ratio).toBeLessThan(TIMES_MOST);
});

const bytesOf = (kind: number, number: number) => {
  const bytes = new Uint8Array(32).fill(kind);
  new DataView(bytes.buffer).setUint32(0, number);
  return bytes;
};

test("disputes of one receipt, and what a referee decides of each", async () => {
  const log = await UsageLog.open();
  const id = await log.call();
  await log.epoch(NOON_SECONDS);
  await log.dispute("disputer", id);
  const entry = log.entries.find(({ kind }) => kind === "dispute");
  if (entry?.kind !== "dispute") throw new Error("no dispute");
  const ratio = await timesAsLong(3_000, async (count) => {
    const fold = createFold();
    for (const before of log.entries) applyEntry(fold, before);
    const signedBy = (number: number) =>
      Object.create(entry.signed, { keyId: { value: bytesOf(1, number) }, id: { value: bytesOf(2, number) } });
    const says = { version: 1, evidence: new Uint8Array(32), outcome: "rejected" } as const;
    return () => {
      for (let i = 0; i < count; i++) applyDispute(fold, { ...entry, signed: signedBy(i) });
      for (let i = 0; i < count; i++)
        applyResolution(fold, { kind: "resolution", signed: signedBy(0), says: { ...says, dispute: bytesOf(2, i) } });
      expect([...fold.proofs.disputes.values()].filter(({ outcome }) => outcome === "rejected")).toHaveLength(count);
    };
  });
  expect(ratio).toBeLessThan(TIMES_MOST);
});

test("models of one publisher, none of which anybody pays for", async () => {
  const ratio = await timesAsLong(4_000, async (count) => {
    const { fold } = await foldOfOne();
    const [model] = fold.models.values();
    if (model === undefined) throw new Error("no model");
    for (let i = 0; i < count; i++) fold.models.set(String(i).padStart(32, "m"), model);
    const [series] = fold.series;
    if (series === undefined) throw new Error("no rules");
    return () => expect(openDocuments(fold, series)).toHaveLength(1);
  });
  expect(ratio).toBeLessThan(TIMES_MOST);
});

test("shares of a day with very many keys", async () => {
  const ratio = await timesAsLong(4_000, async (count) => {
    const day = "2026-11-22";
    const rows: Group["rows"] = {};
    for (let i = 0; i < count; i++) rows[`key ${i}`] = { inferences: [1, 1, 1, 0] };
    const groups: Group[] = [{ per: "day", start: day, by: "model", rows }];
    return () => {
      const asked = { metric: "inferences", by: "model", per: "day", from: day, to: day, shares: true } as const;
      const question = new Question(asked);
      question.take(day, groups);
      expect(question.rows()).toHaveLength(count);
    };
  });
  expect(ratio).toBeLessThan(TIMES_MOST);
});

test("snapshots by the log's own key, each by other rules", async () => {
  const log = await UsageLog.open();
  await log.snapshot();
  const entry = log.entries.find(({ kind }) => kind === "snapshot");
  if (entry?.kind !== "snapshot") throw new Error("no snapshot");
  const ratio = await timesAsLong(3_000, async (count) => {
    const fold = createFold();
    return () => {
      for (let i = 0; i < count; i++)
        applySnapshot(fold, i, { ...entry, says: { ...entry.says, rules: bytesOf(3, i) } });
      expect(fold.snapshots.size).toBe(count);
    };
  });
  expect(ratio).toBeLessThan(TIMES_MOST);
});
