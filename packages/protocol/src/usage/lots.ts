/** The fold of the lot: who takes part, what is revealed, what is drawn and what is left out (docs/spec/lot.md). */
import { sha256 } from "#platform";
import type { EntryOf } from "../entry/entry.ts";
import { lotSeedOf, precedes, type Reveal, ticketOf, verifierIndexOf } from "../lot/draw.ts";
import { dueOf } from "../lot/due.ts";
import { addShape } from "../lot/shapes.ts";
import { awaitLot, awaitsDraw, countDrawn, omitAsked, queueAsked, takeAsked } from "./asked.ts";
import { dayOf } from "./day.ts";
import { reliedBy } from "./grade.ts";
import { type Lots, type OpenLot, type Stratum, verifierOf, type Window } from "./lot-state.ts";
import { countStratum, coverageOf, examinationOf, plannedOf, regrade } from "./regrade.ts";
import { bytesOf, type Event, type FoldState, type Key, keyOf } from "./state.ts";

/** A lot is closed by this epoch after its own at the latest. */
export const LOT_EPOCHS = 6;
/** The window that the bound is kept over, and how long a drawn receipt waits for its check. */
export const WINDOW_SECONDS = 86_400;

/** A verifier begins a chain, or reveals the next value of one. What does not follow counts as nothing. */
export function applyLot(fold: FoldState, index: number, { says, signed }: EntryOf<"lot">): void {
  const key = keyOf(signed.keyId);
  const verifier = verifierOf(fold.lots, key);
  if (says.action === "commit") {
    const newest = verifier.chains.at(-1);
    // One that no lot can rest on yet gives way.
    if (newest !== undefined && newest.index >= (fold.epochs.at(-1)?.index ?? 0)) verifier.chains.pop();
    verifier.chains.push({ index, last: says.anchor.slice(), left: says.length });
    return;
  }
  const lot = dueLots(fold, key)[0];
  const part = lot?.participants.find((some) => some.verifier === key);
  if (lot === undefined || part === undefined || lot.epoch !== says.epoch || !precedes(says.value, part.chain.last))
    return;
  part.chain.last = says.value.slice();
  part.chain.left--;
  part.value = part.chain.last;
  if (lot.participants.every(({ value }) => value !== undefined)) closeLot(fold, lot);
}

/** The open lots for which a verifier still has to reveal, oldest first: it reveals for them in this order. */
function dueLots({ lots }: FoldState, verifier: Key): OpenLot[] {
  return lots.open.filter((lot) => lot.participants.some((some) => some.verifier === verifier && !some.value));
}

/** Opens the lot of the last epoch for what it is the first to cover, where some of that can be drawn. */
export function openLot(fold: FoldState, entryBytes: Uint8Array, covered: readonly Event[]): void {
  const ordinal = fold.times.seconds.length - 1;
  const { index: epoch = 0, timeSeconds = 0 } = fold.epochs.at(-1) ?? {};
  const byModel = new Map<Key, Key[]>();
  for (const event of covered) {
    const receipt = event.kind === "inference" ? fold.receipts.get(event.receipt) : undefined;
    if (event.kind !== "inference" || !receipt?.openable) continue;
    if (receipt.asked) {
      awaitLot(fold, event.receipt);
      awaitCheck(fold.lots, event.receipt, timeSeconds);
      continue;
    }
    const known = byModel.get(event.lane.model);
    if (known === undefined) byModel.set(event.lane.model, [event.receipt]);
    else known.push(event.receipt);
  }
  const asked = takeAsked(fold);
  if (byModel.size === 0 && asked.size === 0) return;
  const population = [...byModel].map(([model, receipts]) => ({ model, receipts }));
  const participants = participantsOf(fold, fold.epochs.at(-2)?.index ?? 0, timeSeconds);
  const lot = { epoch, digest: sha256(entryBytes), ordinal, timeSeconds, participants, population, asked };
  fold.lots.open.push(lot);
  if (participants.length === 0) closeLot(fold, lot);
}

/** Verifiers whose chain was there before the epoch before, so that none could be chosen to fit. In order of key id. */
function participantsOf(fold: FoldState, before: number, timeSeconds: number): OpenLot["participants"] {
  const isRelied = reliedBy(fold);
  const participants: OpenLot["participants"] = [];
  for (const [verifier, { chains }] of fold.lots.verifiers) {
    const enrolled = fold.keys.get(verifier);
    if (enrolled?.role !== "verifier" || enrolled.retired || !isRelied("key", verifier, timeSeconds)) continue;
    const chain = chains.findLast(({ index }) => index < before);
    const owed = fold.lots.open.filter((lot) => lot.participants.some((some) => some.chain === chain && !some.value));
    if (chain !== undefined && chain.left > owed.length) participants.push({ verifier, chain, value: undefined });
  }
  return participants.sort((a, b) => (a.verifier < b.verifier ? -1 : 1));
}

/** Draws by what was revealed; who did not reveal is left out, and it is counted. */
function closeLot(fold: FoldState, lot: OpenLot): void {
  const { lots, proofs } = fold;
  lots.open.splice(lots.open.indexOf(lot), 1);
  const day = dayOf(lot.timeSeconds);
  const reveals = lot.participants.flatMap(({ verifier, value }) =>
    value === undefined ? [] : [{ verifier: bytesOf(verifier), value }],
  );
  const missing = lot.participants.filter(({ value }) => value === undefined);
  for (const { verifier } of missing) verifierOf(lots, verifier).missingReveals++;
  if (missing.length > 0) proofs.missingReveals.set(day, (proofs.missingReveals.get(day) ?? 0) + missing.length);
  const seed = lotSeedOf(lot.digest, reveals);
  for (const { model, receipts } of lot.population) {
    const window = windowOf(fold, model);
    const drawn = reveals.length === 0 ? 0 : dueOf(window.planned, receipts.length);
    const counts = { population: receipts.length, drawn, checked: 0, failures: 0, lost: 0, isRecent: true };
    const stratum: Stratum = { day, model, timeSeconds: lot.timeSeconds, ...counts };
    const cell = coverageOf(proofs, day, model);
    cell.population += receipts.length;
    cell.drawn += drawn;
    if (drawn === 0) cell.undrawnEpochs++;
    countStratum(cell, stratum, 1);
    insertByTime(window.strata, stratum, (some) => some.timeSeconds);
    addShape(window.planned, plannedOf(stratum), 1);
    const tickets = receipts.map((receipt) => ({ receipt, ticket: ticketOf(seed, bytesOf(receipt)) }));
    tickets.sort((a, b) => (keyOf(a.ticket) < keyOf(b.ticket) ? -1 : 1));
    for (const { receipt, ticket } of tickets.slice(0, drawn)) {
      draw(fold, lot, receipt, drawnVerifier(reveals, ticket), stratum);
      awaitCheck(lots, receipt, fold.timeSeconds ?? 0);
    }
  }
  for (const receipt of lot.asked) {
    if (reveals.length === 0) {
      queueAsked(fold, receipt);
      continue;
    }
    countDrawn(fold, receipt);
    draw(fold, lot, receipt, drawnVerifier(reveals, ticketOf(seed, bytesOf(receipt))), undefined);
  }
  forgetChains(fold);
}

function drawnVerifier(reveals: readonly Reveal[], ticket: Uint8Array): Key {
  const { verifier } = reveals[verifierIndexOf(ticket, reveals.length)] ?? {};
  return verifier === undefined ? "" : keyOf(verifier);
}

function draw(fold: FoldState, { epoch }: OpenLot, receipt: Key, verifier: Key, stratum: Stratum | undefined): void {
  examinationOf(fold.proofs, receipt).draw = { verifier, epoch, stratum, omitted: false };
  verifierOf(fold.lots, verifier).waiting.add(receipt);
  regrade(fold, receipt); // A dispute may have been decided before.
}

/** Drops the chains that neither an open lot nor a lot to come can rest on. */
function forgetChains({ lots, epochs }: FoldState): void {
  const before = epochs.at(-1)?.index ?? 0;
  const inUse = new Set(lots.open.flatMap(({ participants }) => participants.map(({ chain }) => chain)));
  for (const verifier of lots.verifiers.values()) {
    const { chains } = verifier;
    const newest = chains.findLastIndex(({ index }) => index < before);
    if (chains.length > 1) verifier.chains = chains.filter((chain, i) => i >= newest || inUse.has(chain));
  }
}

function awaitCheck({ deadlines }: Lots, receipt: Key, sinceSeconds: number): void {
  const deadline = { receipt, untilSeconds: sinceSeconds + WINDOW_SECONDS };
  insertByTime(deadlines, deadline, ({ untilSeconds }) => untilSeconds);
}

/** Lots do not close in the order of their epochs, and a clock may go back: what comes last need not be the newest. */
function insertByTime<T>(sorted: T[], item: T, secondsOf: (item: T) => number): void {
  const seconds = secondsOf(item);
  let [low, high] = [0, sorted.length];
  if (high === 0 || secondsOf(sorted[high - 1] as T) <= seconds) low = high;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (secondsOf(sorted[middle] as T) <= seconds) low = middle + 1;
    else high = middle;
  }
  sorted.splice(low, 0, item);
}

function windowOf({ lots }: FoldState, model: Key): Window {
  let window = lots.windows.get(model);
  if (window === undefined) {
    window = { strata: [], planned: new Map() };
    lots.windows.set(model, window);
  }
  return window;
}

/** What an epoch ends: lots that waited long enough, checks that did not come, strata that are a day old. */
export function expire(fold: FoldState, timeSeconds: number): void {
  const { lots, times } = fold;
  for (const window of lots.windows.values()) {
    const isOld = (stratum: Stratum | undefined) =>
      stratum !== undefined && stratum.timeSeconds <= timeSeconds - WINDOW_SECONDS;
    for (let oldest = window.strata[0]; oldest !== undefined && isOld(oldest); oldest = window.strata[0]) {
      addShape(window.planned, plannedOf(oldest), -1);
      oldest.isRecent = false;
      window.strata.shift();
    }
  }
  for (const lot of [...lots.open]) if (lot.ordinal + LOT_EPOCHS < times.seconds.length) closeLot(fold, lot);
  for (let next = lots.deadlines[0]; next !== undefined && next.untilSeconds <= timeSeconds; next = lots.deadlines[0]) {
    lots.deadlines.shift();
    omit(fold, next.receipt);
  }
}

function omit(fold: FoldState, receipt: Key): void {
  const drawn = fold.proofs.examinations.get(receipt)?.draw;
  if (drawn === undefined) {
    omitAsked(fold, receipt);
    return;
  }
  const verifier = verifierOf(fold.lots, drawn.verifier);
  if (!verifier.waiting.delete(receipt)) return;
  verifier.omitted++;
  drawn.omitted = true;
  regrade(fold, receipt);
}

/** A receipt that waits for a verifier: its id, its index, and the entry of the epoch whose lot drew it. */
export type Drawn = { receipt: Key; index: number; epoch: number };

/** The receipts that wait for this verifier: those drawn by chance, on which the bound rests, and then those asked for. */
export function drawnFor(fold: FoldState, verifier: Key): Drawn[] {
  const waiting = [...(fold.lots.verifiers.get(verifier)?.waiting ?? [])];
  const isAsked = (receipt: Key) => fold.receipts.get(receipt)?.asked === true;
  const inOrder = [...waiting.filter((receipt) => !isAsked(receipt)), ...waiting.filter(isAsked)];
  return inOrder.flatMap((receipt) => {
    const drawn = isDrawn(fold, receipt);
    const index = fold.receipts.get(receipt)?.index;
    return drawn === undefined || index === undefined ? [] : [{ receipt, index, epoch: drawn.epoch }];
  });
}

/** Who was drawn to check a receipt, and by the lot of which epoch's entry; undefined where nobody was. */
export function isDrawn({ proofs }: FoldState, receipt: Key): { verifier: Key; epoch: number } | undefined {
  const drawn = proofs.examinations.get(receipt)?.draw;
  return drawn && { verifier: drawn.verifier, epoch: drawn.epoch };
}

/** The epochs, by the index of their entry, for whose lots this verifier still has to reveal: in this order. */
export function revealDue(fold: FoldState, verifier: Key): number[] {
  return dueLots(fold, verifier).map(({ epoch }) => epoch);
}

/** What the verifier's next reveal has to come before: the value it revealed last, or the anchor. */
export function lastReveal(fold: FoldState, verifier: Key): Uint8Array | undefined {
  const due = dueLots(fold, verifier)[0]?.participants.find((some) => some.verifier === verifier);
  return (due?.chain ?? fold.lots.verifiers.get(verifier)?.chains.at(-1))?.last;
}

/** Whether a receipt waits for a lot to close: until then nobody knows whether, or for whom, it is drawn. */
export function awaitsLot(fold: FoldState, receipt: Key): boolean {
  const known = fold.receipts.get(receipt);
  if (known === undefined || !known.openable) return false;
  if ((fold.epochs.at(-1)?.size ?? 0) <= known.index) return true;
  return (
    awaitsDraw(fold, receipt) ||
    fold.lots.open.some((lot) => lot.population.some(({ receipts }) => receipts.includes(receipt)))
  );
}
