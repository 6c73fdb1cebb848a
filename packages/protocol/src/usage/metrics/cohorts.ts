/** Payers by the month of their first receipt, and who of them is here this month. */
import { STRATA } from "../judgement.ts";
import type { Key } from "../state.ts";
import { daysFrom, monthOf } from "./days.ts";
import { type Making, type Rows, rowOf } from "./documents.ts";
import { ratio } from "./formulas.ts";
import { cumulate, mapQuad, put, putRatio } from "./rows.ts";
import type { Series } from "./series.ts";
import type { Lanes, Shares } from "./tallies.ts";

/** The first day of each cluster that any of its members had, by stratum. */
export function firstDayOf(series: Series, lanes: Lanes): Map<Key, string>[] {
  return STRATA.map((stratum) => {
    const firsts = new Map<Key, string>();
    for (const [payer, day] of series.firstDays[stratum]) {
      const cluster = lanes.clusterOf(payer);
      const known = firsts.get(cluster);
      if (known === undefined || day < known) firsts.set(cluster, day);
    }
    return firsts;
  });
}

type Cohort = { sizes: Shares; payers: Shares; inferences: Shares };

export function cohortRows(making: Making, rows: Rows): void {
  const { day, lanes, firsts, portions } = making;
  const cohorts = new Map<string, Cohort>();
  const cohortOf = (month: string) => {
    const cohort: Cohort = cohorts.get(month) ?? {
      sizes: [0, 0, 0, 0],
      payers: [0, 0, 0, 0],
      inferences: [0, 0, 0, 0],
    };
    cohorts.set(month, cohort);
    return cohort;
  };
  firsts.forEach((ofStratum, at) => {
    for (const first of ofStratum.values()) if (first <= day) add(cohortOf(monthOf(first)).sizes, at, 1);
  });
  const active = new Map<Key, Shares>();
  for (const { lane, rank, excluded, sums } of portions(daysFrom(monthOf(day), day))) {
    const payer = lanes.payerOf(lane);
    if (payer === undefined) continue;
    const shares: Shares = active.get(payer) ?? [0, 0, 0, 0];
    active.set(payer, shares);
    shares[0] += excluded;
    shares[rank] += sums.inferences;
  }
  for (const [payer, shares] of active)
    cumulate(shares).forEach((count, at) => {
      const first = firsts[at]?.get(payer);
      if (count === 0 || first === undefined) return;
      const cohort = cohortOf(monthOf(first));
      add(cohort.payers, at, 1);
      add(cohort.inferences, at, count);
    });
  for (const [month, { sizes, payers, inferences }] of cohorts) {
    const row = rowOf(rows, "cohort", month);
    put(row, "cohort_payers", payers);
    put(row, "cohort_inferences", inferences);
    putRatio(
      row,
      "retention",
      mapQuad(payers, (count, at) => ratio(count, sizes[at] ?? 0)),
    );
  }
}

function add(shares: Shares, at: number, count: number): void {
  shares[at] = (shares[at] ?? 0) + count;
}
