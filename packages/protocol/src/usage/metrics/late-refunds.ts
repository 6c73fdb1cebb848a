/** What was refunded in a period of days that were closed before: no judgement of theirs saw it (docs/usage.md). */
import { dayOf } from "../day.ts";
import { isLate } from "../organic/refunds.ts";
import { timeOf } from "../state.ts";
import { type Making, type Rows, rowOf } from "./documents.ts";
import { rankOf } from "./portions.ts";
import { put, type Row } from "./rows.ts";

export function lateRefundRows({ fold, series, lanes }: Making, rows: Rows, days: readonly string[]): void {
  const within = new Set(days);
  const amounts = new Map<Row, [bigint, bigint, bigint]>();
  for (const { index, receipt: id, amountAtomic } of fold.demand.refunds) {
    const receipt = fold.receipts.get(id);
    const [paidSeconds, seconds] = [receipt && timeOf(fold, receipt.index), timeOf(fold, index)];
    if (receipt === undefined || paidSeconds === undefined || seconds === undefined) continue;
    if (!within.has(dayOf(seconds)) || !isLate(paidSeconds, seconds)) continue;
    const rank = rankOf(series, dayOf(paidSeconds), receipt.lane);
    for (const [by, key] of lanes.keysOf(receipt.lane)) {
      const row = rowOf(rows, by, key);
      const [valid, organic, floor] = amounts.get(row) ?? [0n, 0n, 0n];
      amounts.set(row, [
        valid + amountAtomic,
        rank >= 2 ? organic + amountAtomic : organic,
        rank === 3 ? floor + amountAtomic : floor,
      ]);
    }
  }
  for (const [row, [valid, organic, floor]] of amounts)
    put(row, "revenue_refunded_late", [null, String(valid), String(organic), String(floor)]);
}
