import { expect, test } from "vitest";
import { sha256 } from "#platform";
import { NOON_SECONDS } from "../../../../test/one-receipt.ts";
import { DAY, HOUR, UsageLog } from "../../../../test/usage-log.ts";
import { upperBound } from "../lot/bound.ts";
import { lotSeedOf, ticketOf, verifierIndexOf } from "../lot/draw.ts";
import { dueOf } from "../lot/due.ts";
import { ASKED_MOST } from "./asked.ts";
import { figuresOf } from "./figures.ts";
import { applyEntry } from "./fold.ts";
import { awaitsLot, drawnFor, isDrawn, revealDue } from "./lots.ts";
import { createFold, type FoldState, keyOf } from "./state.ts";

const OPEN = { authorization: { openness: "lot" } } as const;
const ASKED = { authorization: { openness: "lot", tier: "reexecuted" } } as const;
const MINUTE = 60;

function foldOf({ entries }: UsageLog): FoldState {
  const fold = createFold();
  for (const entry of entries) applyEntry(fold, entry);
  return fold;
}

async function openWithVerifiers(...verifiers: string[]): Promise<UsageLog> {
  const log = await UsageLog.open();
  for (const verifier of verifiers) {
    await log.enrol(verifier, "verifier");
    await log.commitLot(verifier);
  }
  await log.epoch(NOON_SECONDS);
  return log;
}

async function callOften(log: UsageLog, count: number, changes: Parameters<UsageLog["call"]>[0]) {
  const receipts: Uint8Array[] = [];
  for (let i = 0; i < count; i++) receipts.push(await log.call(changes));
  return receipts;
}

/** An epoch over everything so far, and what the verifiers reveal for it. */
async function closeLot(log: UsageLog, timeSeconds: number, ...verifiers: string[]): Promise<number> {
  const epoch = log.entries.length;
  await log.epoch(timeSeconds);
  const fold = foldOf(log);
  for (const verifier of verifiers)
    for (const due of revealDue(fold, keyOf(log.idOf(verifier)))) await log.revealLot(verifier, due);
  return epoch;
}

const coverage = (log: UsageLog) => figuresOf(foldOf(log)).totals.verification;

test("of those whose check was asked for all are drawn, by verifiers that anybody computes, and of the others as many as are due", async () => {
  const log = await openWithVerifiers("one", "two");
  const [others, asked] = [await callOften(log, 300, OPEN), await callOften(log, 40, ASKED)];
  const epoch = await closeLot(log, NOON_SECONDS + MINUTE, "one", "two");
  const reveals = log.entries.flatMap(({ kind, says, signed }) =>
    kind === "lot" && "value" in says ? [{ verifier: signed.keyId, value: says.value }] : [],
  );
  reveals.sort((a, b) => Buffer.compare(a.verifier, b.verifier));
  const seed = lotSeedOf(sha256(log.entries[epoch]?.signed.bytes ?? new Uint8Array(0)), reveals);
  const ticketed = (receipts: Uint8Array[]) =>
    receipts.map((receipt) => ({ receipt, ticket: ticketOf(seed, receipt) }));
  const tickets = ticketed(others).sort((a, b) => Buffer.compare(a.ticket, b.ticket));
  const due = dueOf(new Map(), 300);
  expect(due).toBeLessThan(300);
  const fold = foldOf(log);
  expect(fold.proofs.examinations.size).toBe(due + 40);
  for (const { receipt, ticket } of [...tickets.slice(0, due), ...ticketed(asked)]) {
    const verifier = keyOf(reveals[verifierIndexOf(ticket, 2)]?.verifier ?? receipt);
    expect(isDrawn(fold, keyOf(receipt))).toEqual({ verifier, epoch });
  }
  const shown = coverage(log);
  expect(shown).toMatchObject({ population: 300, drawn: due, asked: { population: 40, waiting: 0, drawn: 40 } });
});

test("what was asked for makes the bound of the others neither better nor worse, whatever is found", async () => {
  const log = await openWithVerifiers("one");
  const [others, asked] = [await callOften(log, 200, OPEN), await callOften(log, 30, ASKED)];
  const epoch = await closeLot(log, NOON_SECONDS + MINUTE, "one");
  const { examinations } = foldOf(log).proofs;
  const drawn = others.filter((receipt) => examinations.has(keyOf(receipt)));
  for (const receipt of drawn) await log.verify("one", receipt, { epoch });
  const due = dueOf(new Map(), 200);
  const bound = upperBound(new Map([[`200 ${due}`, 1]]), 0);
  const sampled = { population: 200, drawn: due, checked: due, failures: 0, settled: 200, upperBound: bound };
  expect(coverage(log)).toMatchObject(sampled); // Although checks that were asked for are waited for.
  for (const [i, receipt] of asked.slice(2).entries())
    await log.verify("one", receipt, { epoch, outcome: (["failed", "unopened", "undecided"] as const)[i] ?? "passed" });
  const counts = { population: 30, waiting: 0, drawn: 30, checked: 27, failures: 2, unopened: 1, undecided: 1 };
  expect(coverage(log)).toMatchObject({ ...sampled, asked: { ...counts, omitted: 0 }, requested: 0 });
  expect(figuresOf(foldOf(log)).models[0]?.verification.recent).toMatchObject({ population: 200, upperBound: bound });
  expect(figuresOf(foldOf(log)).nodes).toMatchObject([{ failures: 2, unopened: 1 }]);
  await log.epoch(NOON_SECONDS + MINUTE + DAY);
  expect(coverage(log)).toMatchObject({ ...sampled, omitted: 0, asked: { ...counts, omitted: 2 } });
});

test("what nobody asked to have checked is drawn as if the others were not there", async () => {
  const [quiet, busy] = [await openWithVerifiers("one"), await openWithVerifiers("one")];
  for (const minute of [1, 2, 3]) {
    for (const log of [quiet, busy]) await callOften(log, 150, OPEN);
    await callOften(busy, 20, ASKED);
    for (const log of [quiet, busy]) await closeLot(log, NOON_SECONDS + minute * MINUTE, "one");
  }
  expect(coverage(busy)).toMatchObject({ drawn: coverage(quiet).drawn, asked: { drawn: 60 } });
  expect(foldOf(busy).lots.windows).toEqual(foldOf(quiet).lots.windows);
});

test("an epoch of what was asked for alone has a lot and no stratum", async () => {
  const log = await openWithVerifiers("one");
  const [receipt = new Uint8Array(32)] = await callOften(log, 1, ASKED);
  await closeLot(log, NOON_SECONDS + MINUTE);
  expect(awaitsLot(foldOf(log), keyOf(receipt))).toBe(true);
  expect(coverage(log)).toMatchObject({ asked: { population: 1, waiting: 1, drawn: 0 } });
  for (const epoch of revealDue(foldOf(log), keyOf(log.idOf("one")))) await log.revealLot("one", epoch);
  expect(awaitsLot(foldOf(log), keyOf(receipt))).toBe(false);
  const none = { population: 0, drawn: 0, undrawnEpochs: 0, upperBound: null };
  expect(coverage(log)).toMatchObject({ ...none, asked: { waiting: 0, drawn: 1 } });
});

test("what is over a lot's limit waits for the next, and nobody who asks for more holds up another", async () => {
  const log = await openWithVerifiers("one");
  await log.grant("second", "second payer");
  const many = await callOften(log, ASKED_MOST + 20, ASKED);
  const [few = new Uint8Array(32)] = await callOften(log, 1, { session: "second", ...ASKED });
  await closeLot(log, NOON_SECONDS + MINUTE, "one");
  const fold = foldOf(log);
  expect(isDrawn(fold, keyOf(few))).toBeDefined();
  const drawn = many.map((receipt) => isDrawn(fold, keyOf(receipt)) !== undefined);
  expect(drawn).toEqual(many.map((_, i) => i < ASKED_MOST - 1)); // The oldest first.
  expect(coverage(log).asked).toMatchObject({ population: ASKED_MOST + 21, waiting: 21, drawn: ASKED_MOST });
  // What the next epoch is the first to cover is a reveal.
  const next = await closeLot(log, NOON_SECONDS + 2 * MINUTE, "one");
  expect(coverage(log).asked).toMatchObject({ waiting: 0, drawn: ASKED_MOST + 21 });
  expect(isDrawn(foldOf(log), keyOf(many.at(-1) ?? few))).toMatchObject({ epoch: next });
  await log.epoch(NOON_SECONDS + 3 * MINUTE);
  expect(revealDue(foldOf(log), keyOf(log.idOf("one")))).toEqual([]); // Nothing waits: nothing is drawn.
});

test("a lot for which nobody reveals leaves what was asked for to the next one", async () => {
  const log = await openWithVerifiers("one");
  const [receipt = new Uint8Array(32)] = await callOften(log, 1, ASKED);
  for (let minute = 1; minute <= 7; minute++) await closeLot(log, NOON_SECONDS + minute * MINUTE);
  expect(coverage(log)).toMatchObject({ missingReveals: 1, asked: { waiting: 1, drawn: 0 } });
  const epoch = log.entries.length - 1;
  await closeLot(log, NOON_SECONDS + 8 * MINUTE, "one");
  expect(isDrawn(foldOf(log), keyOf(receipt))).toMatchObject({ epoch });
});

test("what no lot has drawn within a day, and what was drawn and nobody checked, are omitted checks", async () => {
  const log = await openWithVerifiers("one");
  await callOften(log, ASKED_MOST + 6, ASKED);
  await closeLot(log, NOON_SECONDS + MINUTE, "one");
  await log.epoch(NOON_SECONDS + DAY); // Its lot draws nothing: nobody reveals.
  expect(coverage(log).asked).toMatchObject({ waiting: 6, drawn: ASKED_MOST, omitted: 0 });
  await log.epoch(NOON_SECONDS + DAY + HOUR);
  expect(coverage(log).asked).toMatchObject({ waiting: 0, drawn: ASKED_MOST, omitted: ASKED_MOST + 6 });
  expect(foldOf(log).lots.verifiers.get(keyOf(log.idOf("one")))?.omitted).toBe(ASKED_MOST);
  await closeLot(log, NOON_SECONDS + DAY + 2 * HOUR, "one");
  expect(coverage(log).asked).toMatchObject({ drawn: ASKED_MOST, omitted: ASKED_MOST + 6 });
});

test("a verifier looks at what was drawn by chance before what was asked for: nobody keeps it from the former", async () => {
  const log = await openWithVerifiers("one");
  const [asked = new Uint8Array(32)] = await callOften(log, 1, ASKED);
  await closeLot(log, NOON_SECONDS + MINUTE, "one");
  const [other = new Uint8Array(32)] = await callOften(log, 1, OPEN);
  await closeLot(log, NOON_SECONDS + 2 * MINUTE, "one");
  const waiting = drawnFor(foldOf(log), keyOf(log.idOf("one")));
  expect(waiting.map(({ receipt }) => receipt)).toEqual([keyOf(other), keyOf(asked)]);
});
