import { expect, test } from "vitest";
import { sha256 } from "#platform";
import { NOON_SECONDS } from "../../../../test/one-receipt.ts";
import { DAY, HOUR, JUDGE, MEASUREMENT, UsageLog, VENDOR_ROOT } from "../../../../test/usage-log.ts";
import { utf8 } from "../bytes.ts";
import type { RootKind } from "../entry/verification.ts";
import { type Figures, figuresOf } from "./figures.ts";
import { applyEntry } from "./fold.ts";
import { blastRadius, rootsOf, tierOf } from "./roots.ts";
import { createFold, type FoldState, keyOf } from "./state.ts";

function foldOf({ entries }: UsageLog): FoldState {
  const fold = createFold();
  for (const entry of entries) applyEntry(fold, entry);
  return fold;
}
const figuresFor = (log: UsageLog): Figures => figuresOf(foldOf(log));
const tiers = (log: UsageLog) => figuresFor(log).totals.verification.tiers;
const tier = (log: UsageLog, receipt: Uint8Array) => tierOf(foldOf(log), keyOf(receipt));

const OPEN = { authorization: { openness: "lot" } } as const;
const MINUTE = 60;
const CEREMONY = sha256(utf8("ceremony"));

async function openWithVerifier(): Promise<UsageLog> {
  const log = await UsageLog.open();
  await log.enrol("verifier", "verifier");
  await log.enrol("second verifier", "verifier");
  await log.enrol("referee", "referee");
  await log.commitLot("verifier");
  await log.epoch(NOON_SECONDS);
  return log;
}

/** Asks so often, has an epoch cover it, and has its lot drawn; gives the receipts and the epoch's index. */
async function askAndDraw(log: UsageLog, count: number, timeSeconds: number) {
  const receipts: Uint8Array[] = [];
  for (let i = 0; i < count; i++) receipts.push(await log.call(OPEN));
  const epoch = log.entries.length;
  await log.epoch(timeSeconds);
  await log.revealLot("verifier", epoch);
  return { receipts, epoch };
}

test("each valid receipt counts in one tier, the highest it has reached", async () => {
  const log = await openWithVerifier();
  await log.call();
  const [drawn, proved] = [await log.call(OPEN), await log.call(OPEN)];
  await log.call({ receipt: { status: "failed" } });
  await log.verify("verifier", drawn);
  await log.verify("verifier", proved, { method: "proof", ceremony: CEREMONY });
  await log.verify("verifier", proved);
  const expected = { none: 0, signed: 1, attested: 0, reexecuted: 1, proved: 1 };
  expect(tiers(log)).toEqual(expected); // Before an epoch covers them, and after.
  await log.epoch(NOON_SECONDS + MINUTE);
  expect(tiers(log)).toEqual(expected);
  expect(figuresFor(log).totals.verification).toMatchObject({ unopenable: 1, requested: 2, requestedFailures: 0 });
});

test("a check that names no engine, and a proof that names no ceremony, give no tier", async () => {
  const log = await openWithVerifier();
  const receipt = await log.call();
  const { entries } = log;
  await log.verify("verifier", receipt, { method: "proof" });
  expect(tier(log, receipt)).toBe("signed");
  expect(entries.at(-1)?.kind).toBe("verification");
});

test("hardware vouches for receipts after its appraisal, while a publisher approves what it measured; a GPU alone never does", async () => {
  const log = await openWithVerifier();
  const early = await log.call();
  await log.appraise("verifier", "node");
  const unapproved = await log.call();
  await log.reference("publisher");
  const good = await log.call();
  await log.epoch(NOON_SECONDS + MINUTE);
  await log.reference("publisher", { action: "withdraw" });
  const withdrawn = await log.call();
  await log.reference("publisher");
  await log.appraise("verifier", "node", { outcome: "failed" });
  const failed = await log.call();
  await log.appraise("verifier", "node", { technology: "simulated" });
  await log.reference("publisher", { technology: "simulated" });
  const simulated = await log.call();
  await log.appraise("verifier", "node", { technology: "hopper" });
  await log.reference("publisher", { technology: "hopper" });
  const ofGpu = await log.call();
  await log.appraise("verifier", "node");
  await log.epoch(NOON_SECONDS + 2 * MINUTE);
  const expired = await log.call();
  await log.epoch(NOON_SECONDS + DAY + 1);
  const all = [early, unapproved, good, withdrawn, failed, simulated, ofGpu, expired].map((id) => tier(log, id));
  expect(all).toEqual(["signed", "signed", "attested", "signed", "signed", "signed", "signed", "signed"]);
  expect(tiers(log)).toMatchObject({ attested: 1, signed: 7 });
});

test("what was drawn and nobody checked is bounded as if it were wrong", async () => {
  const log = await openWithVerifier();
  const { receipts, epoch } = await askAndDraw(log, 20, NOON_SECONDS + MINUTE);
  for (const receipt of receipts.slice(3)) await log.verify("verifier", receipt, { epoch });
  await log.verify("verifier", receipts[0] ?? JUDGE, { epoch, outcome: "undecided" });
  await log.epoch(NOON_SECONDS + MINUTE + DAY);
  const { verification } = figuresFor(log).totals;
  expect(verification).toMatchObject({ checked: 17, omitted: 2, undecided: 1, failures: 0, upperBound: "0.150000" });
});

test("a model has no bound while a check is waited for, and then what was found wrong", async () => {
  const log = await openWithVerifier();
  const { receipts, epoch } = await askAndDraw(log, 20, NOON_SECONDS + MINUTE);
  expect(figuresFor(log).models[0]?.verification.upperBound).toBeNull();
  for (const receipt of receipts.slice(2)) await log.verify("verifier", receipt, { epoch });
  const [model] = figuresFor(log).models;
  expect(model?.verification).toMatchObject({
    population: 20,
    drawn: 20,
    checked: 18,
    failures: 0,
    upperBound: null,
  });
  expect(model?.verification.recent).toEqual({
    population: 20,
    checked: 18,
    failures: 0,
    settled: 0,
    upperBound: null,
  });
  await log.verify("verifier", receipts[0] ?? new Uint8Array(32), { epoch, outcome: "failed" });
  await log.verify("verifier", receipts[1] ?? new Uint8Array(32), { epoch, outcome: "unopened" });
  const figures = figuresFor(log);
  expect(figures.models[0]?.verification).toMatchObject({
    checked: 20,
    failures: 2,
    unopened: 1,
    upperBound: "0.100000",
  });
  expect(figures.nodes).toMatchObject([{ checked: 20, failures: 2, unopened: 1, disputesUpheld: 0 }]);
  expect(figures.verifiers).toMatchObject([
    { passed: 18, failed: 1, unopened: 1, waiting: 0, costMicroseconds: 2_000 },
  ]);
});

test("what is a day old leaves the trailing bound and stays in the whole one", async () => {
  const log = await openWithVerifier();
  await askAndDraw(log, 3, NOON_SECONDS + MINUTE);
  await log.epoch(NOON_SECONDS + MINUTE + DAY);
  const [model] = figuresFor(log).models;
  expect(model?.verification).toMatchObject({ population: 3, omitted: 3, upperBound: "1.000000" });
  expect(model?.verification.recent).toEqual({ population: 0, checked: 0, failures: 0, settled: 0, upperBound: null });
});

test("a check that was not drawn bounds nothing, and its failure is its node's all the same", async () => {
  const log = await openWithVerifier();
  const receipt = await log.call(OPEN);
  await log.verify("second verifier", receipt, { outcome: "failed" });
  await log.epoch(NOON_SECONDS + MINUTE);
  const figures = figuresFor(log);
  expect(figures.totals.verification).toMatchObject({ checked: 0, requested: 1, requestedFailures: 1 });
  expect(figures.nodes).toMatchObject([{ checked: 1, failures: 1 }]);
});

test("a referee's word overturns a failure, or makes one of what passed", async () => {
  const log = await openWithVerifier();
  const { receipts, epoch } = await askAndDraw(log, 2, NOON_SECONDS + MINUTE);
  const [first = new Uint8Array(32), second = new Uint8Array(32)] = receipts;
  await log.verify("verifier", first, { epoch, outcome: "failed" });
  await log.verify("verifier", second, { epoch });
  expect(tier(log, second)).toBe("reexecuted");
  const disputes = [await log.dispute("verifier", first), await log.dispute("second verifier", second)];
  await log.resolve("referee", disputes[0] ?? first, "rejected");
  await log.resolve("referee", disputes[1] ?? first, "upheld");
  const { totals, nodes } = figuresFor(log);
  expect(totals.verification).toMatchObject({ checked: 1, failures: 1, undecided: 1, disputesUpheld: 1 });
  expect(nodes).toMatchObject([{ failures: 1, disputesUpheld: 1 }]);
  expect(tier(log, second)).toBe("signed");
});

/** A log in which every kind of root is in use. */
async function withEveryRoot(): Promise<{ log: UsageLog; roots: [RootKind, Uint8Array][] }> {
  const log = await openWithVerifier();
  await log.appraise("second verifier", "node");
  await log.reference("publisher");
  const { receipts, epoch } = await askAndDraw(log, 6, NOON_SECONDS + MINUTE);
  for (const receipt of receipts.slice(0, 4)) await log.verify("verifier", receipt, { epoch });
  const [first = new Uint8Array(32)] = receipts;
  await log.verify("second verifier", first, { method: "proof", ceremony: CEREMONY });
  await log.call();
  const keys = ["node", "gateway", "verifier", "second verifier", "publisher"].map((label) => log.idOf(label));
  const others: [RootKind, Uint8Array][] = [
    ["vendor", VENDOR_ROOT],
    ["ceremony", CEREMONY],
    ["judge", JUDGE],
    ["release", MEASUREMENT],
  ];
  return { log, roots: [...keys.map((key): [RootKind, Uint8Array] => ["key", key]), ...others] };
}

test("the blast radius of every root is what its revocation does", async () => {
  const { roots } = await withEveryRoot();
  for (const [kind, root] of roots) {
    const { log } = await withEveryRoot();
    const fold = foldOf(log);
    const before = [...fold.receipts.keys()].map((id) => tierOf(fold, id));
    const radius = blastRadius(fold, { kind, root });
    expect(radius.receipts).toBeGreaterThan(0);
    expect(figuresFor(log)).toEqual(figuresOf(fold)); // The dry run changes nothing.
    await log.revoke(kind, root);
    const revoked = foldOf(log);
    const after = [...revoked.receipts.keys()].map((id) => tierOf(revoked, id));
    expect(after.filter((tier, i) => tier !== before[i])).toHaveLength(radius.receipts);
    expect(blastRadius(revoked, { kind, root }).receipts).toBe(0);
    const counted = tiers(log);
    for (const grade of ["none", "signed", "attested", "reexecuted", "proved"] as const)
      expect(counted[grade]).toBe(after.filter((tier) => tier === grade).length);
  }
});

test("the register lists every root in use, with how many receipts rest on it", async () => {
  const { log, roots } = await withEveryRoot();
  const { validReceipts, roots: listed } = rootsOf(foldOf(log));
  expect(validReceipts).toBe(7);
  const restsOn = ([kind, root]: [RootKind, Uint8Array]) =>
    listed.find((some) => some.kind === kind && some.root === Buffer.from(root).toString("hex"))?.receipts;
  expect(roots.map(restsOn)).toEqual([7, 7, 4, 7, 7, 7, 1, 4, 7]);
});

test("what has a time before a revocation's keeps its tier", async () => {
  const log = await openWithVerifier();
  const early = await askAndDraw(log, 1, NOON_SECONDS + MINUTE);
  const late = await askAndDraw(log, 1, NOON_SECONDS + HOUR);
  for (const { receipts, epoch } of [early, late])
    for (const receipt of receipts) await log.verify("verifier", receipt, { epoch });
  expect(tiers(log)).toMatchObject({ reexecuted: 2 });
  await log.revoke("judge", JUDGE, NOON_SECONDS + HOUR);
  expect(tiers(log)).toMatchObject({ signed: 1, reexecuted: 1 });
  expect(figuresFor(log).totals.verification).toMatchObject({ checked: 1, upperBound: "0.500000" });
  await log.revoke("judge", JUDGE);
  expect(tiers(log)).toMatchObject({ signed: 2, reexecuted: 0 });
});

test("a day closes a day after its end, and nothing moves its figures then", async () => {
  const log = await openWithVerifier();
  const { receipts, epoch } = await askAndDraw(log, 3, NOON_SECONDS + MINUTE);
  for (const receipt of receipts) await log.verify("verifier", receipt, { epoch });
  await log.epoch(NOON_SECONDS + 12 * HOUR + DAY - 1);
  expect(figuresFor(log).closedDays).toEqual([]);
  await log.call();
  await log.epoch(NOON_SECONDS + 12 * HOUR + DAY);
  const closed = figuresFor(log);
  expect(closed.closedDays).toMatchObject([
    { day: "2026-11-22", valid: 3, size: log.entries.length, verification: { upperBound: "0.000000" } },
  ]);
  expect(closed.closedDays[0]?.models).toMatchObject([{ valid: 3, verification: { tiers: { reexecuted: 3 } } }]);
  await log.revoke("judge", JUDGE);
  for (const receipt of receipts) await log.rely(receipt);
  const after = figuresFor(log);
  expect(JSON.stringify(after.closedDays)).toBe(JSON.stringify(closed.closedDays));
  expect(after.days[0]?.verification).toMatchObject({ tiers: { signed: 3, reexecuted: 0 }, upperBound: "1.000000" });
});

test("who has retired or whose key is revoked stands against grinding no more", async () => {
  const log = await openWithVerifier();
  const independent = () => figuresFor(log).independentVerifiers;
  expect(independent()).toBe(2);
  await log.enrol("second verifier", "verifier", "retire");
  expect(independent()).toBe(1);
  await log.revoke("key", log.idOf("verifier"));
  expect(independent()).toBe(0);
});
