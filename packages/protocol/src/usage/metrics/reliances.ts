/** Who relied on which decisions in a period (docs/usage.md). */
import { dayOf } from "../day.ts";
import type { Relied } from "../lanes.ts";
import { isEligibleRelier } from "../organic/reliers.ts";
import { type FoldState, type Key, timeOf } from "../state.ts";
import { inferencesIn } from "./checked.ts";
import { numberOfDay } from "./days.ts";
import { type Making, type Rows, rowOf } from "./documents.ts";
import { effective, ratio } from "./formulas.ts";
import type { Dimension } from "./metric.ts";
import { type Rank, raise, rankOf } from "./portions.ts";
import { amountsByStratum, countRanks, mapQuad, put, putRatio, type Row } from "./rows.ts";
import type { Shares } from "./tallies.ts";

/** A reliance on a receipt of more days before counts as valid and no more: nobody judges what is so long ago. */
const RECEIPT_DAYS = 30;

/** Of a row: the highest rank of each decision, receipt, and relier with a decision; and decisions not taken back. */
type Relying = {
  decisions: Map<Key, Rank>;
  receipts: Map<Key, Rank>;
  stated: Map<string, { relier: Key; rank: Rank }>;
  standing: Set<Key>;
};

export function relianceRows(making: Making, rows: Rows, days: readonly string[]): void {
  const { fold, lanes } = making;
  const relying = new Map<Row, Relying & { isPartial: boolean }>();
  for (const statement of statementsOf(fold, days)) {
    const receipt = fold.receipts.get(statement.receipt);
    if (receipt === undefined) continue;
    const rank = rankOfStatement(making, statement);
    const relier = lanes.clusterOf(statement.relier);
    for (const [by, key] of keysOf(making, statement)) {
      const row = rowOf(rows, by, key);
      let own = relying.get(row);
      if (own === undefined) {
        own = {
          decisions: new Map(),
          receipts: new Map(),
          stated: new Map(),
          standing: new Set(),
          isPartial: by === "purpose" || by === "stake",
        };
        relying.set(row, own);
      }
      raise(own.decisions, statement.decision, rank);
      raise(own.receipts, statement.receipt, rank);
      const pair = `${relier} ${statement.decision}`;
      const known = own.stated.get(pair);
      if (known === undefined || known.rank < rank) own.stated.set(pair, { relier, rank });
      if (statement.reversedAt === undefined) own.standing.add(statement.decision);
    }
  }
  for (const [row, own] of relying) putRelying(row, own.isPartial, own);
}

/** What was stated on the days, in order. */
function statementsOf(fold: FoldState, days: readonly string[]): Relied[] {
  const within = new Set(days);
  const lowest = Math.min(...days.map((day) => fold.dayStarts.get(day) ?? Number.POSITIVE_INFINITY));
  const statements: Relied[] = [];
  for (const stated of fold.demand.relied.values())
    for (const one of stated) {
      if (one.index < lowest) continue;
      const seconds = timeOf(fold, one.index);
      if (seconds !== undefined && within.has(dayOf(seconds))) statements.push(one);
    }
  return statements.sort((a, b) => a.index - b.index);
}

/** The last stratum that a statement speaks of. */
function rankOfStatement({ fold, series, judgement }: Making, statement: Relied): Rank {
  const receipt = fold.receipts.get(statement.receipt);
  const seconds = receipt && timeOf(fold, receipt.index);
  const stated = timeOf(fold, statement.index);
  if (receipt === undefined || seconds === undefined || stated === undefined) return 0;
  if (statement.reversedAt !== undefined || !isEligibleRelier(fold, judgement, statement)) return 0;
  const [day, on] = [dayOf(seconds), dayOf(stated)];
  const isRecent = day <= on && numberOfDay(on) - numberOfDay(day) <= RECEIPT_DAYS;
  return isRecent ? rankOf(series, day, receipt.lane) : 1;
}

/** Under which keys a statement counts: those of its receipt's lane, and what for and how much it says. */
function keysOf({ fold, lanes }: Making, { receipt: id, purpose, valueBucket }: Relied): [Dimension, string][] {
  const receipt = fold.receipts.get(id);
  if (receipt === undefined) return [];
  return [
    ...lanes.keysOf(receipt.lane),
    ["purpose", purpose ?? ""],
    ["stake", valueBucket === undefined ? "" : String(valueBucket).padStart(2, "0")],
  ];
}

/** Of a purpose and of a stake there are decisions alone. */
function putRelying(row: Row, isPartial: boolean, { decisions, receipts, stated, standing }: Relying): void {
  const parties = new Map<Key, Shares>();
  for (const { relier, rank } of stated.values()) {
    const shares: Shares = parties.get(relier) ?? [0, 0, 0, 0];
    parties.set(relier, shares);
    shares[rank]++;
  }
  const byParty = amountsByStratum(parties.values());
  put(row, "decisions_relied_on", countRanks(decisions.values()));
  if (isPartial) return;
  const receiptCounts = countRanks(receipts.values());
  put(row, "receipts_relied_on", receiptCounts);
  put(
    row,
    "relying_parties",
    mapQuad(byParty, (amounts) => amounts.length),
  );
  putRatio(row, "effective_relying_parties", mapQuad(byParty, effective));
  const inferences = inferencesIn(row);
  putRatio(
    row,
    "reliance_rate",
    mapQuad(receiptCounts, (count, at) => ratio(count, inferences[at] ?? 0)),
  );
  const reversed = ratio(decisions.size - standing.size, decisions.size);
  putRatio(row, "reversed_share", [reversed, null, null, null]);
}
