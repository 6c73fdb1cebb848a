/** Days that are closed: their figures as they stood then, beside those as of the log (docs/spec/usage.md, "Closed days"). */
import { type Counts, groupBy, hexOf, order, sum } from "./counts.ts";
import { type CoverageFigures, sumCoverage } from "./coverage-figures.ts";
import { WINDOW_SECONDS } from "./lots.ts";
import type { Coverage } from "./proof-state.ts";
import type { Cell, FoldState } from "./state.ts";

export type DayFigures = Counts & { day: string; verification: DayCoverage };
/** `missingReveals` are those of verifiers that took part in the lots of the day's epochs. */
export type DayCoverage = CoverageFigures & { missingReveals: number };

/** The figures of a day as of the first epoch a day after its end; nothing changes them. */
export type ClosedDay = DayFigures & {
  /** How many entries had been folded. */
  size: number;
  models: { revision: string; gross: number; valid: number; verification: CoverageFigures }[];
};

/** The figures of one day, as of the log; `cells` and `coverage` are the day's. */
export function dayFigures(
  { days, proofs }: FoldState,
  day: string,
  cells: readonly Cell[],
  coverage: readonly Coverage[],
): DayFigures {
  const missingReveals = proofs.missingReveals.get(day) ?? 0;
  const counts = sum(cells, days.get(day)?.decisionsReliedOn ?? 0);
  return { day, ...counts, verification: { ...sumCoverage(coverage), missingReveals } };
}

/** Closes the days that ended a day before. */
export function closeDays(fold: FoldState, timeSeconds: number): void {
  for (const day of [...fold.unclosed].sort()) {
    const endSeconds = Date.parse(day) / 1000 + 86_400;
    if (endSeconds + WINDOW_SECONDS > timeSeconds) continue;
    fold.unclosed.delete(day);
    fold.closedDays.set(day, closedDay(fold, day));
  }
}

function closedDay(fold: FoldState, day: string): ClosedDay {
  const cells = [...fold.cells.values()].filter((cell) => cell.day === day);
  const coverage = [...fold.proofs.coverage.values()].filter((cell) => cell.day === day);
  const models = [...groupBy(cells, ({ model }) => model)].map(([model, own]) => {
    const { gross, valid } = sum(own, 0);
    const verification = sumCoverage(coverage.filter((cell) => cell.model === model));
    return { revision: hexOf(model), gross, valid, verification };
  });
  models.sort((a, b) => order(a.revision, b.revision));
  return { ...dayFigures(fold, day, cells, coverage), size: fold.size, models };
}
