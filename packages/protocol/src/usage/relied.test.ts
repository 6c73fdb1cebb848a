import { expect, test } from "vitest";
import { NOON_SECONDS } from "../../../../test/one-receipt.ts";
import { DAY, UsageLog } from "../../../../test/usage-log.ts";
import { figuresOf } from "./figures.ts";
import { applyEntry } from "./fold.ts";
import { createFold, type FoldState } from "./state.ts";

const DECISION = { authorization: { decision: new Uint8Array(16).fill(7) } };

function foldOf({ entries }: Pick<UsageLog, "entries">): FoldState {
  const fold = createFold();
  for (const entry of entries) applyEntry(fold, entry);
  return fold;
}

/** Decisions relied on by day, in all, and of each model. */
function reliedOn({ entries }: UsageLog) {
  const { totals, days, models } = figuresOf(foldOf({ entries }));
  return {
    total: totals.decisionsReliedOn,
    days: Object.fromEntries(
      days.filter((day) => day.decisionsReliedOn > 0).map(({ day, decisionsReliedOn }) => [day, decisionsReliedOn]),
    ),
    models: models.map((model) => model.decisionsReliedOn),
  };
}

async function openWithTwo(): Promise<UsageLog> {
  const log = await UsageLog.open();
  await log.enrol("other", "relier");
  return log;
}

test("a decision that its first relier takes back counts on the day of the next, and once nobody is left, not at all", async () => {
  const log = await openWithTwo();
  const [one, same] = [await log.call(DECISION), await log.call(DECISION)];
  await log.rely(one);
  await log.epoch(NOON_SECONDS);
  await log.rely(same, "other");
  await log.epoch(NOON_SECONDS + DAY);
  expect(reliedOn(log)).toEqual({ total: 1, days: { "2026-11-22": 1 }, models: [1] });
  await log.reverse(one);
  await log.epoch(NOON_SECONDS + 2 * DAY);
  expect(reliedOn(log)).toEqual({ total: 1, days: { "2026-11-23": 1 }, models: [1] });
  await log.reverse(one, "other");
  await log.epoch(NOON_SECONDS + 3 * DAY);
  expect(reliedOn(log)).toEqual({ total: 0, days: {}, models: [0] });
  await log.rely(one);
  expect(reliedOn(log).total).toBe(0);
});

test("what is taken back before any epoch covers it leaves what others said in its place", async () => {
  const log = await openWithTwo();
  const receipt = await log.call();
  await log.rely(receipt);
  await log.rely(receipt, "other");
  await log.call();
  await log.reverse(receipt);
  expect(reliedOn(log)).toEqual({ total: 1, days: { open: 1 }, models: [1] });
  // The epoch covers the second statement and not the call after it.
  await log.epoch(NOON_SECONDS, log.entries.length - 2);
  expect(reliedOn(log)).toEqual({ total: 1, days: { "2026-11-22": 1 }, models: [1] });
});

test("of two models behind one decision, each counts it as long as somebody relies on an answer of that model", async () => {
  const log = await openWithTwo();
  await log.publish("example/second");
  const [one, two] = [await log.call(DECISION), await log.call({ model: "example/second", ...DECISION })];
  await log.rely(one);
  await log.rely(two);
  await log.rely(two, "other");
  await log.epoch(NOON_SECONDS);
  expect(reliedOn(log)).toEqual({ total: 1, days: { "2026-11-22": 1 }, models: [1, 1] });
  await log.reverse(one);
  expect(reliedOn(log).total).toBe(1);
  expect(reliedOn(log).models.sort()).toEqual([0, 1]);
});

test("a day closes with what was relied on then, whatever is taken back later", async () => {
  const log = await openWithTwo();
  const receipt = await log.call();
  await log.rely(receipt);
  await log.epoch(NOON_SECONDS);
  await log.epoch(NOON_SECONDS + 3 * DAY);
  await log.reverse(receipt);
  const { closedDays, totals } = figuresOf(foldOf(log));
  expect(closedDays.map(({ decisionsReliedOn }) => decisionsReliedOn)).toEqual([1]);
  expect(totals.decisionsReliedOn).toBe(0);
});

test("a day that has nothing but what counts again once another took back is closed as well", async () => {
  const log = await openWithTwo();
  const receipt = await log.call();
  await log.rely(receipt);
  await log.epoch(NOON_SECONDS);
  await log.rely(receipt, "other");
  await log.epoch(NOON_SECONDS + 5 * DAY);
  await log.reverse(receipt);
  await log.epoch(NOON_SECONDS + 8 * DAY);
  const fold = foldOf(log);
  expect(reliedOn(log).days).toEqual({ "2026-11-27": 1 });
  expect([...fold.closedDays.keys()]).toEqual(["2026-11-22", "2026-11-27"]);
});

/** Makes `relier` one party with another key. */
async function joinTo(log: UsageLog, party: string): Promise<void> {
  await log.affiliate("relier", [party]);
  await log.affiliate(party, ["relier"]);
}

/** The headline, that of the day, and the models by rank, where "relier" relies on a call of the model that is last by name. */
async function openRelied(party?: string) {
  const log = await openWithTwo();
  await log.enrol("verifier", "verifier");
  await log.publish("example/zeta");
  await log.call();
  const receipt = await log.call({ model: "example/zeta", ...DECISION });
  await log.verify("verifier", receipt);
  await log.rely(receipt);
  if (party !== undefined) await joinTo(log, party);
  await log.epoch(NOON_SECONDS);
  return { log, receipt };
}

test("a relier in the cluster of the node, the publisher or a verifier moves no headline, no day and no rank", async () => {
  const seen = async (party?: string) => {
    const { log } = await openRelied(party);
    await log.epoch(NOON_SECONDS + 3 * DAY);
    const { totals, days, closedDays, models } = figuresOf(foldOf(log));
    const counts = [totals, ...days, ...closedDays].map(({ decisionsReliedOn }) => decisionsReliedOn);
    return { first: models[0]?.name, counts: new Set(counts) };
  };
  for (const party of ["node", "publisher", "verifier"])
    expect(await seen(party), party).toEqual({ first: "example/double", counts: new Set([0]) });
  expect((await seen("gateway")).first).toBe("example/zeta");
  expect((await seen()).first).toBe("example/zeta");
});

test("a decision that the seller's relier relied on first counts where an outsider does, and a closed day keeps what it had", async () => {
  const { log, receipt } = await openRelied("node");
  await log.epoch(NOON_SECONDS + DAY);
  await log.rely(receipt, "other");
  await log.epoch(NOON_SECONDS + DAY + 1);
  expect(reliedOn(log)).toEqual({ total: 1, days: { "2026-11-23": 1 }, models: [1, 0] });
  await log.epoch(NOON_SECONDS + 5 * DAY);
  await log.affiliate("other", ["publisher"]);
  await log.affiliate("publisher", ["other"]);
  expect(reliedOn(log).total).toBe(0);
  const closed = figuresOf(foldOf(log)).closedDays.map(({ day, decisionsReliedOn: count }) => [day, count]);
  expect(closed).toEqual([
    ["2026-11-22", 0],
    ["2026-11-23", 1],
  ]);
});
