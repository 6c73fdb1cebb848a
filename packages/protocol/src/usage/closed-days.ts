/** Days that are closed: their figures as they stood then, beside those as of the log (docs/spec/usage.md, "Closed days"). */
import { type Counts, groupBy, order, revisionOfModel, sum } from "./counts.ts";
import { type CoverageFigures, sumCoverage } from "./coverage-figures.ts";
import { WINDOW_SECONDS } from "./lots.ts";
import { documentDigest } from "./metrics/documents.ts";
import { oldestFor, takeDay } from "./metrics/series.ts";
import { clustersOf } from "./organic/clusters.ts";
import { judgeDay } from "./organic/judge.ts";
import type { Coverage } from "./proof-state.ts";
import { reliedByDay, reliedOn } from "./relied.ts";
import type { Cell, FoldState } from "./state.ts";
import { WASH_RULES } from "./wash-rules.ts";

export type DayFigures = Counts & { day: string; verification: DayCoverage };
/** `missingReveals` are those of verifiers that took part in the lots of the day's epochs. */
export type DayCoverage = CoverageFigures & { missingReveals: number };

/** The figures of a day as of the first epoch a day after its end; nothing changes them. */
export type ClosedDay = DayFigures & {
  /** How many entries had been folded. */
  size: number;
  /** By revision in order, of those with anything; of no model as `UNPUBLISHED`. */
  models: { revision: string; gross: number; valid: number; verification: CoverageFigures }[];
};

/** The figures of one day, as of the log; `cells` and `coverage` are the day's. */
export function dayFigures(
  { proofs }: FoldState,
  day: string,
  cells: readonly Cell[],
  coverage: readonly Coverage[],
  decisionsReliedOn: number,
): DayFigures {
  const missingReveals = proofs.missingReveals.get(day) ?? 0;
  const counts = sum(cells, decisionsReliedOn);
  return { day, ...counts, verification: { ...sumCoverage(coverage), missingReveals } };
}

/** When a day may be closed, Unix seconds: a day after its end, for whoever has something to say of it. */
export function closesAt(day: string): number {
  return Date.parse(day) / 1000 + 86_400 + WINDOW_SECONDS;
}

/** Closes the days that ended a day before. */
export function closeDays(fold: FoldState, timeSeconds: number): void {
  const due = [...fold.unclosed].filter((day) => closesAt(day) <= timeSeconds).sort();
  if (due.length === 0) return;
  const [series] = fold.series;
  const relied = reliedByDay(fold, reliedOn(fold, clustersOf(fold, series?.rules ?? WASH_RULES)));
  for (const { documents } of fold.series) documents.clear();
  for (const day of due) {
    fold.unclosed.delete(day);
    fold.closedDays.set(day, closedDay(fold, day, relied.get(day) ?? 0));
    for (const series of fold.series) {
      const document = takeDay(fold, series, day, judgeDay(fold, day, series.rules));
      series.documents.set(day, document);
      series.digests.set(day, documentDigest(document));
    }
    forgetFacts(fold, day);
  }
}

/** Forgets what came of lanes on closed days that neither a document nor a judgement of `day`, or of a later day, looks back to. */
function forgetFacts({ demand, closedDays }: FoldState, day: string): void {
  const oldest = oldestFor(day);
  for (const known of demand.facts.keys()) if (known < oldest && closedDays.has(known)) demand.facts.delete(known);
}

function closedDay(fold: FoldState, day: string, decisionsReliedOn: number): ClosedDay {
  const cells = [...fold.cells.values()].filter((cell) => cell.day === day);
  const coverage = [...fold.proofs.coverage.values()].filter((cell) => cell.day === day);
  const coverageByModel = groupBy(coverage, ({ model }) => model);
  const models = [...groupBy(cells, ({ model }) => model)].map(([model, own]) => {
    const { gross, valid } = sum(own, 0);
    const verification = sumCoverage(coverageByModel.get(model) ?? []);
    return { revision: revisionOfModel(model), gross, valid, verification };
  });
  models.sort((a, b) => order(a.revision, b.revision));
  return { ...dayFigures(fold, day, cells, coverage, decisionsReliedOn), size: fold.size, models };
}
