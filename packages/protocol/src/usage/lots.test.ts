import { expect, test } from "vitest";
import { sha256 } from "#platform";
import { NOON_SECONDS } from "../../../../test/one-receipt.ts";
import { HOUR, UsageLog } from "../../../../test/usage-log.ts";
import { utf8 } from "../bytes.ts";
import type { Entry } from "../entry/entry.ts";
import { hashChain, lotSeedOf, ticketOf } from "../lot/draw.ts";
import { dueOf } from "../lot/due.ts";
import { applyEntry } from "./fold.ts";
import { awaitsLot, drawnFor, isDrawn, lastReveal, revealDue } from "./lots.ts";
import { createFold, type FoldState, keyOf } from "./state.ts";

function foldOf(entries: readonly Entry[]): FoldState {
  const fold = createFold();
  for (const entry of entries) applyEntry(fold, entry);
  return fold;
}

const OPEN = { authorization: { openness: "lot" } } as const;
const MINUTE = 60;

/** A log with verifiers whose chains count from its next epoch but one. */
async function openWithVerifiers(...verifiers: string[]): Promise<{ log: UsageLog; ids: string[] }> {
  const log = await UsageLog.open();
  for (const verifier of verifiers) {
    await log.enrol(verifier, "verifier");
    await log.commitLot(verifier);
  }
  await log.epoch(NOON_SECONDS);
  return { log, ids: verifiers.map((verifier) => keyOf(log.idOf(verifier))) };
}

test("a receipt is drawn once all verifiers have revealed for its epoch", async () => {
  const { log, ids } = await openWithVerifiers("one", "two");
  const receipt = keyOf(await log.call(OPEN));
  expect(awaitsLot(foldOf(log.entries), receipt)).toBe(true);
  const epoch = log.entries.length;
  await log.epoch(NOON_SECONDS + MINUTE);
  const opened = foldOf(log.entries);
  for (const id of ids) expect(revealDue(opened, id)).toEqual([epoch]);
  await log.revealLot("one", epoch);
  expect(isDrawn(foldOf(log.entries), receipt)).toBeUndefined();
  expect(awaitsLot(foldOf(log.entries), receipt)).toBe(true);
  await log.revealLot("two", epoch);
  const fold = foldOf(log.entries);
  expect(awaitsLot(fold, receipt)).toBe(false);
  const drawn = isDrawn(fold, receipt);
  expect(ids).toContain(drawn?.verifier);
  expect(drawn?.epoch).toBe(epoch);
  expect(drawnFor(fold, drawn?.verifier ?? "")).toEqual([{ receipt, index: epoch - 1, epoch }]);
  expect(ids.flatMap((id) => revealDue(fold, id))).toEqual([]);
});

test("what was drawn is no longer waited for once its verifier has spoken", async () => {
  const { log, ids } = await openWithVerifiers("one");
  const [id = ""] = ids;
  const receipt = await log.call(OPEN);
  const epoch = log.entries.length;
  await log.epoch(NOON_SECONDS + MINUTE);
  const before = lastReveal(foldOf(log.entries), id);
  await log.revealLot("one", epoch);
  expect(lastReveal(foldOf(log.entries), id)).not.toEqual(before);
  expect(drawnFor(foldOf(log.entries), id)).toHaveLength(1);
  await log.verify("one", receipt, { epoch });
  const fold = foldOf(log.entries);
  expect(drawnFor(fold, id)).toEqual([]);
  expect(fold.receipts.get(keyOf(receipt))?.tier).toBe("reexecuted");
  await log.epoch(NOON_SECONDS + 2 * MINUTE);
  expect(revealDue(foldOf(log.entries), id)).toEqual([]); // An epoch in which nothing was asked has no lot.
});

test("who does not reveal for six epochs is left out, and it is counted", async () => {
  const { log, ids } = await openWithVerifiers("one", "absent");
  const [one = "", absent = ""] = ids;
  const receipt = keyOf(await log.call(OPEN));
  const epoch = log.entries.length;
  await log.epoch(NOON_SECONDS + MINUTE);
  await log.revealLot("one", epoch);
  for (let later = 2; later <= 6; later++) await log.epoch(NOON_SECONDS + later * MINUTE);
  expect(isDrawn(foldOf(log.entries), receipt)).toBeUndefined();
  await log.epoch(NOON_SECONDS + 7 * MINUTE);
  const fold = foldOf(log.entries);
  expect(isDrawn(fold, receipt)).toEqual({ verifier: one, epoch });
  expect(fold.lots.verifiers.get(absent)?.missingReveals).toBe(1);
  expect(fold.lots.verifiers.get(one)?.missingReveals).toBe(0);
});

test("a chain that was committed to after the epoch before takes no part", async () => {
  const { log } = await openWithVerifiers();
  await log.enrol("late", "verifier");
  await log.commitLot("late");
  const receipt = keyOf(await log.call(OPEN));
  await log.epoch(NOON_SECONDS + MINUTE);
  const fold = foldOf(log.entries);
  expect(revealDue(fold, keyOf(log.idOf("late")))).toEqual([]);
  expect([...fold.proofs.coverage.values()]).toMatchObject([{ undrawnEpochs: 1, population: 1, drawn: 0 }]);
  expect(isDrawn(fold, receipt)).toBeUndefined();
});

test("a drawn receipt without a word for a day is an omitted check", async () => {
  const { log, ids } = await openWithVerifiers("one");
  const [id = ""] = ids;
  await log.call(OPEN);
  const epoch = log.entries.length;
  await log.epoch(NOON_SECONDS + MINUTE);
  await log.revealLot("one", epoch);
  await log.epoch(NOON_SECONDS + 24 * HOUR);
  expect(foldOf(log.entries).lots.verifiers.get(id)?.omitted).toBe(0);
  await log.epoch(NOON_SECONDS + 24 * HOUR + MINUTE);
  const fold = foldOf(log.entries);
  expect(fold.lots.verifiers.get(id)?.omitted).toBe(1);
  expect(drawnFor(fold, id)).toEqual([]);
  expect([...fold.proofs.coverage.values()]).toMatchObject([{ drawn: 1, checked: 0, omitted: 1 }]);
});

test("of a busy epoch the receipts with the lowest tickets are drawn, as many as are due, and nothing else", async () => {
  const { log } = await openWithVerifiers("one");
  const receipts: Uint8Array[] = [];
  for (let i = 0; i < 600; i++) receipts.push(await log.call(OPEN));
  await log.call(); // Opened to nobody.
  await log.call({ ...OPEN, receipt: { status: "failed" } });
  await log.call({ ...OPEN, model: "example/unpublished" });
  const wash = await log.call({ authorization: { openness: "lot", traffic: "test" } });
  const epoch = log.entries.length;
  await log.epoch(NOON_SECONDS + MINUTE);
  await log.revealLot("one", epoch);
  const fold = foldOf(log.entries);
  const reveal = log.entries.at(-1);
  const value = reveal?.kind === "lot" && reveal.says.action === "reveal" ? reveal.says.value : new Uint8Array(32);
  const entry = log.entries[epoch]?.signed.bytes ?? new Uint8Array(0);
  const seed = lotSeedOf(sha256(entry), [{ verifier: log.idOf("one"), value }]);
  const tickets = [...receipts, wash].map((receipt) => ({ receipt, ticket: Buffer.from(ticketOf(seed, receipt)) }));
  tickets.sort((a, b) => Buffer.compare(a.ticket, b.ticket));
  const due = dueOf(new Map(), 601);
  expect(due).toBeLessThan(400);
  const expected = tickets.slice(0, due).map(({ receipt }) => keyOf(receipt));
  expect([...fold.proofs.examinations.keys()]).toEqual(expected);
});

test("a reveal counts for the oldest lot that its verifier owes one to, by the next value of its chain", async () => {
  const { log, ids } = await openWithVerifiers("one", "two");
  const [one = ""] = ids;
  const epochs: number[] = [];
  for (const minute of [1, 2]) {
    await log.call(OPEN);
    epochs.push(log.entries.length);
    await log.epoch(NOON_SECONDS + minute * MINUTE);
  }
  const [first = 0, second = 0] = epochs;
  const chain = hashChain(sha256(utf8("secret of one")), 1_000).reverse();
  const value = chain[1] ?? new Uint8Array(32);
  const skipped = chain[2] ?? new Uint8Array(32);
  await log.reveal("one", second, value);
  await log.reveal("one", first, skipped);
  expect(revealDue(foldOf(log.entries), one)).toEqual([first, second]);
  await log.reveal("one", first, value);
  expect(revealDue(foldOf(log.entries), one)).toEqual([second]);
  await log.reveal("one", second, value); // Spent.
  expect(revealDue(foldOf(log.entries), one)).toEqual([second]);
  await log.reveal("one", second, skipped);
  expect(revealDue(foldOf(log.entries), one)).toEqual([]);
  expect(lastReveal(foldOf(log.entries), one)).toEqual(skipped);
});

test("a chain whose reveals are spent takes no part, and its verifier goes on with the next one", async () => {
  const log = await UsageLog.open();
  await log.enrol("one", "verifier");
  await log.commitLot("one", 1);
  await log.epoch(NOON_SECONDS);
  const drawnIn: boolean[] = [];
  for (const minute of [1, 2, 3, 4]) {
    const receipt = await log.call(OPEN);
    await log.epoch(NOON_SECONDS + minute * MINUTE);
    for (const due of revealDue(foldOf(log.entries), keyOf(log.idOf("one")))) await log.revealLot("one", due);
    drawnIn.push(isDrawn(foldOf(log.entries), keyOf(receipt)) !== undefined);
    if (minute === 2) await log.commitLot("one", 5);
  }
  expect(drawnIn).toEqual([true, false, false, true]);
});
