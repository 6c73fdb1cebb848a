/** Sums over cells, as every figure has them. */
import { NO_MODEL } from "./lanes.ts";
import type { Cell, CellRevenue, Key } from "./state.ts";

export type Counts = {
  /** Every unique receipt. */
  gross: number;
  /** Those that no rule excludes. */
  valid: number;
  /** Distinct payer tags of the valid ones: keys, not people. */
  requesters: number;
  /** Answers whose requester signed that it accepted them. */
  acknowledged: number;
  /** Decisions that a relier outside the seller's and the verifiers' clusters signed to act on, each once. */
  decisionsReliedOn: number;
  /** Decisions that a contract would have reverted without: none until contracts exist. */
  decisionsEnforced: number;
  revenue: Revenue;
};

/** What valid receipts cost their payers. Amounts are atomic units in decimal; of a day, net may be under 0. */
export type Revenue = {
  gross: string;
  /** What was given back, on the day it was. */
  refunded: string;
  net: string;
  /** The part of net that operators paid with their own money. */
  subsidised: string;
};

export function sum(cells: readonly Cell[], decisionsReliedOn: number): Counts {
  const total = (field: "gross" | "valid" | "acknowledged") => cells.reduce((all, cell) => all + cell[field], 0);
  return {
    gross: total("gross"),
    valid: total("valid"),
    requesters: new Set(cells.flatMap(({ requesters }) => [...requesters])).size,
    acknowledged: total("acknowledged"),
    decisionsReliedOn,
    decisionsEnforced: 0,
    revenue: sumRevenue(cells),
  };
}

function sumRevenue(cells: readonly Cell[]): Revenue {
  const total = (field: keyof CellRevenue) => sumOf(cells, ({ revenue }) => revenue[field]);
  const [gross, refunded] = [total("grossAtomic"), total("refundedAtomic")];
  const net = String(gross - refunded);
  return { gross: String(gross), refunded: String(refunded), net, subsidised: String(total("subsidisedAtomic")) };
}

export function sumOf<T>(items: readonly T[], amountOf: (item: T) => bigint): bigint {
  let total = 0n;
  for (const item of items) total += amountOf(item);
  return total;
}

export function addOne<T>(counts: Map<T, number>, item: T): void {
  counts.set(item, (counts.get(item) ?? 0) + 1);
}

export function groupBy<T>(cells: readonly T[], nameOf: (cell: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const cell of cells) {
    const group = groups.get(nameOf(cell));
    if (group === undefined) groups.set(nameOf(cell), [cell]);
    else group.push(cell);
  }
  return groups;
}

export function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** What stands for the revision of receipts that are of no model. */
export const UNPUBLISHED = "unpublished";

export function revisionOfModel(model: Key): string {
  return model === NO_MODEL ? UNPUBLISHED : hexOf(model);
}

/** Each byte in hex: a look-up is a fraction of what bytes made of the key would be. */
const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

export function hexOf(key: Key): string {
  let text = "";
  for (let i = 0; i < key.length; i++) text += HEX[key.charCodeAt(i)];
  return text;
}
