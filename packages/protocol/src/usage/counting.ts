/** How events are counted once they have a day: in the cells and days of the figures, and in the facts of demand. */
import { addOne } from "./counts.ts";
import { dayOf, OPEN_DAY } from "./day.ts";
import { type Fact, factOf, findFact, type Lane, laterOf } from "./lanes.ts";
import { type Cell, type Event, type FoldState, type Key, timeOf } from "./state.ts";

/** What says when receipts were. */
type Dated = Pick<FoldState, "receipts" | "times">;
/** The part of a fold that events are counted into. */
export type Tally = Dated & Pick<FoldState, "cells" | "demand">;

/** Counts one event on `day`, at a time that is of it, and says among what of its lane; undefined of what is no lane's. */
export function count(tally: Tally, day: string, timeSeconds: number, event: Event): Fact | undefined {
  // A verification belongs to its receipt's day; which reliance counts, only the whole log says.
  if (event.kind === "verification" || event.kind === "reliance") return undefined;
  const cell = cellOf(tally.cells, day, event.lane);
  const fact = factOf(tally.demand, day, timeSeconds, event.lane);
  if (event.kind === "acknowledgement") {
    cell.acknowledged++;
    laterOf(fact, dayOfReceipt(tally, event.receipt)).acknowledged++;
  } else if (event.kind === "refund") {
    cell.revenue.refundedAtomic += event.amountAtomic;
    cell.revenue.subsidisedAtomic -= event.subsidisedAtomic;
    const later = laterOf(fact, dayOfReceipt(tally, event.receipt));
    later.refundedAtomic += event.amountAtomic;
    later.refundedSubsidisedAtomic += event.subsidisedAtomic;
  } else countInference(cell, fact, event);
  return fact;
}

/** Counts what is said of a receipt with the receipt, too, where its day is looked back to. */
export function countWithReceipt(fold: Tally, event: Event & { kind: "acknowledgement" | "refund" }): void {
  const timeSeconds = timeOfReceipt(fold, event.receipt);
  if (timeSeconds === undefined) return;
  const fact = findFact(fold.demand, dayOf(timeSeconds), timeSeconds, event.lane);
  if (fact === undefined) return;
  if (event.kind === "refund") fact.ownRefundedAtomic += event.amountAtomic;
  else fact.ownAcknowledged++;
}

function dayOfReceipt(fold: Dated, id: Key): string {
  const timeSeconds = timeOfReceipt(fold, id);
  return timeSeconds === undefined ? OPEN_DAY : dayOf(timeSeconds);
}

function timeOfReceipt(fold: Dated, id: Key): number | undefined {
  const receipt = fold.receipts.get(id);
  return receipt && timeOf(fold, receipt.index);
}

function countInference(cell: Cell, fact: Fact, event: Event & { kind: "inference" }): void {
  cell.gross++;
  fact.gross++;
  if (event.exclusion !== undefined) {
    addOne(cell.exclusions, event.exclusion);
    addOne(fact.exclusions, event.exclusion);
    return;
  }
  cell.valid++;
  cell.requesters.add(event.lane.payer);
  cell.revenue.grossAtomic += event.priceAtomic;
  cell.revenue.subsidisedAtomic += event.subsidisedAtomic;
  fact.valid++;
  if (event.units > 0) fact.units += BigInt(event.units);
  if (event.outputUnits > 0) fact.outputUnits += BigInt(event.outputUnits);
  fact.priceAtomic += event.priceAtomic;
  fact.subsidisedAtomic += event.subsidisedAtomic;
}

/** The cell of a lane's model on `day`, made where there is none. */
export function cellOf(cells: Map<string, Cell>, day: string, { model }: Pick<Lane, "model">): Cell {
  const name = `${day} ${model}`;
  let cell = cells.get(name);
  if (cell === undefined) {
    const counts = { gross: 0, valid: 0, acknowledged: 0 };
    const revenue = { grossAtomic: 0n, refundedAtomic: 0n, subsidisedAtomic: 0n };
    cell = { day, model, ...counts, revenue, requesters: new Set(), exclusions: new Map() };
    cells.set(name, cell);
  }
  return cell;
}
