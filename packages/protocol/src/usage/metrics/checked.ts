/** What lots found on a day, and what was disputed. */
import { sumCoverage } from "../coverage-figures.ts";
import { dayOf } from "../day.ts";
import type { Coverage } from "../proof-state.ts";
import { timeOf } from "../state.ts";
import { type Making, type Rows, rowOf } from "./documents.ts";
import { ratio } from "./formulas.ts";
import { type Rank, rankOf } from "./portions.ts";
import { countRanks, mapQuad, put, putRatio, type Quad, type Row } from "./rows.ts";
import type { Shares } from "./tallies.ts";

export function checkRows({ fold, day, lanes }: Making, rows: Rows): void {
  const cells: Coverage[] = [];
  for (const [model] of fold.models) {
    const cell = fold.proofs.coverage.get(`${day} ${model}`);
    if (cell === undefined) continue;
    cells.push(cell);
    putChecks(rowOf(rows, "model", lanes.hexOf(model)), [cell]);
  }
  if (cells.length > 0) putChecks(rowOf(rows, "network", ""), cells);
}

const ofGross = (value: number | null): Quad => [value, null, null, null];

function putChecks(row: Row, cells: readonly Coverage[]): void {
  const { tiers, drawn, checked, failures, unopenable, upperBound } = sumCoverage(cells);
  const valid = Object.values(tiers).reduce((sum, count) => sum + count, 0);
  put(row, "drawn_checks", ofGross(drawn));
  putRatio(row, "failed_check_rate", ofGross(ratio(failures, checked)));
  putRatio(row, "wrong_at_most", ofGross(upperBound === null ? null : Number(upperBound)));
  putRatio(row, "unopenable_share", [null, ratio(unopenable, valid), null, null]);
}

/** Receipts of the days that were disputed by now, and that a referee found wrong. */
export function disputeRows({ fold, series, lanes }: Making, rows: Rows, days: readonly string[]): void {
  const within = new Set(days);
  const disputed = new Map<Row, Map<string, { rank: Rank; upheld: boolean }>>();
  for (const id of new Set([...fold.proofs.disputes.values()].map(({ receipt }) => receipt))) {
    const receipt = fold.receipts.get(id);
    const seconds = receipt && timeOf(fold, receipt.index);
    const day = seconds === undefined ? undefined : dayOf(seconds);
    if (receipt === undefined || day === undefined || !within.has(day)) continue;
    const rank = receipt.exclusion === undefined ? rankOf(series, day, receipt.lane) : 0;
    const upheld = fold.proofs.examinations.get(id)?.counted.upheld ?? false;
    for (const [by, key] of lanes.keysOf(receipt.lane)) {
      if (by === "column") continue;
      const row = rowOf(rows, by, key);
      disputed.set(row, (disputed.get(row) ?? new Map()).set(id, { rank, upheld }));
    }
  }
  for (const [row, receipts] of disputed) {
    const all = countRanks([...receipts.values()].map(({ rank }) => rank));
    const found = countRanks([...receipts.values()].flatMap(({ rank, upheld }) => (upheld ? [rank] : [])));
    put(row, "disputed", all);
    put(row, "disputes_upheld", found);
    putRatio(
      row,
      "upheld_rate",
      mapQuad(found, (count, at) => ratio(count, all[at] ?? 0)),
    );
    putRatio(
      row,
      "dispute_rate",
      mapQuad<number>(all, (count, at) => ratio(count, inferencesIn(row)[at] ?? 0)),
    );
  }
}

/** The inferences that a row has already. */
export function inferencesIn({ inferences }: Row): Shares {
  const [gross, valid, organic, floor] = (inferences ?? [0, 0, 0, 0]).map(Number);
  return [gross ?? 0, valid ?? 0, organic ?? 0, floor ?? 0];
}
