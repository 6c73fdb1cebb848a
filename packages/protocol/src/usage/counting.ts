/** How events are counted once they have a day: in the cells and days of the figures, and in the facts of demand. */
import { addOne } from "./counts.ts";
import { type Fact, factOf, type Lane } from "./lanes.ts";
import type { Cell, Event, FoldState } from "./state.ts";

/** The part of a fold that events are counted into. */
export type Tally = Pick<FoldState, "cells" | "demand">;

/** Counts one event on `day`, at a time that is of it, and says among what of its lane; undefined of what is no lane's. */
export function count(tally: Tally, day: string, timeSeconds: number, event: Event): Fact | undefined {
  // A verification belongs to its receipt's day; which reliance counts, only the whole log says.
  if (event.kind === "verification" || event.kind === "reliance") return undefined;
  const cell = cellOf(tally.cells, day, event.lane);
  const fact = factOf(tally.demand, day, timeSeconds, event.lane);
  if (event.kind === "acknowledgement") {
    cell.acknowledged++;
    fact.acknowledged++;
  } else if (event.kind === "refund") {
    cell.revenue.refundedAtomic += event.amountAtomic;
    cell.revenue.subsidisedAtomic -= event.subsidisedAtomic;
    fact.refundedAtomic += event.amountAtomic;
    fact.refundedSubsidisedAtomic += event.subsidisedAtomic;
  } else countInference(cell, fact, event);
  return fact;
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
  fact.units += event.units;
  fact.outputUnits += event.outputUnits;
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
