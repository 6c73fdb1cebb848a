/**
 * The document of a day: every metric of it by every dimension, and of its week and month so far. Plain JSON, digested in its
 * canonical spelling (RFC 8785); what it says is docs/usage.md.
 */
import { sha256 } from "#platform";
import { hex } from "../../bytes.ts";
import { encodeJson } from "../../json/canonical.ts";
import { order } from "../counts.ts";
import type { Judgement } from "../judgement.ts";
import type { FoldState, Key } from "../state.ts";
import { rulesDigest } from "../wash-rules.ts";
import { METRICS_VERSION } from "./catalogue.ts";
import { checkRows, disputeRows } from "./checked.ts";
import { cohortRows, firstDayOf } from "./cohorts.ts";
import { DAY_SECONDS, daysFrom, monthOf, numberOfDay, trailing, weekOf } from "./days.ts";
import { integrityRow } from "./integrity.ts";
import { lateRefundRows } from "./late-refunds.ts";
import type { Dimension, Period } from "./metric.ts";
import { type Portion, Portions, portionsOf } from "./portions.ts";
import { relianceRows } from "./reliances.ts";
import { putSets, putSums, putUnitPrice, type Row } from "./rows.ts";
import type { Series } from "./series.ts";
import { putNetwork } from "./spread.ts";
import { supplyRows } from "./supply.ts";
import { Lanes, namedApps, type Tallies, tally } from "./tallies.ts";

/** Which apps are named follows from the longest period of a document, which is a month. */
const APPS_LOOK_BACK_DAYS = 31;

/** The rows of one period by one dimension, by key in order. What a row lacks is nothing. */
export type Group = { per: Period; start: string; by: Dimension; rows: Record<string, Row> };

export type DayDocument = {
  metrics: string;
  rules: string;
  /** SHA-256 of the rules, hex. */
  rulesDigest: string;
  day: string;
  /** The models that rows name, by revision. */
  models: Record<string, { name: string; version: string; publisher: string; category: string }>;
  groups: Group[];
};

/** SHA-256 of the document's canonical bytes. */
export function documentDigest(document: DayDocument): Uint8Array {
  return sha256(encodeJson(document));
}

/** Rows by dimension and key, as parts of a document are made of several. */
export type Rows = Map<Dimension, Map<string, Row>>;

export function rowOf(rows: Rows, by: Dimension, key: string): Row {
  const ofDimension = rows.get(by) ?? new Map<string, Row>();
  rows.set(by, ofDimension);
  const row = ofDimension.get(key) ?? {};
  ofDimension.set(key, row);
  return row;
}

/** What the parts of a document are made from. */
export type Making = {
  fold: FoldState;
  series: Series;
  judgement: Judgement;
  day: string;
  /** The end of the day, Unix seconds. */
  endSeconds: number;
  lanes: Lanes;
  /** By stratum, the first day of each cluster. */
  firsts: readonly ReadonlyMap<Key, string>[];
  /** Of days without a gap. */
  portions: (days: readonly string[]) => Portion[];
};

/** The document of `day`, once `series` has the judgement of it and of the days before. */
export function dayDocument(fold: FoldState, series: Series, day: string, judgement: Judgement): DayDocument {
  const kept = new Map<string, Portion[]>();
  const portions = (days: readonly string[]) => {
    const span = `${days[0]} ${days.at(-1)}`;
    const known = kept.get(span) ?? portionsOf(fold, series, days);
    kept.set(span, known);
    return known;
  };
  const apps = namedApps(fold, series, trailing(day, APPS_LOOK_BACK_DAYS));
  const lanes = new Lanes(fold, (member) => judgement.clusterOf(member), apps);
  const making: Making = {
    ...{ fold, series, judgement, day, lanes, portions },
    firsts: firstDayOf(series, lanes),
    endSeconds: (numberOfDay(day) + 1) * DAY_SECONDS,
  };
  const groups = [
    ...hourGroups(making),
    ...groupsOf("day", day, dayRows(making)),
    ...groupsOf("week", weekOf(day), periodRows(making, daysFrom(weekOf(day), day))),
    ...groupsOf("month", monthOf(day), monthRows(making)),
  ];
  return {
    metrics: METRICS_VERSION,
    rules: series.rules.version,
    rulesDigest: hex(rulesDigest(series.rules)),
    day,
    models: modelsOf(making, groups),
    groups,
  };
}

function hourGroups({ fold, series, day, lanes }: Making): Group[] {
  const byHour = new Map<number, Portions>();
  for (const [lane, facts] of fold.demand.facts.get(day) ?? [])
    for (const fact of facts) {
      const own = byHour.get(fact.hour) ?? new Portions(series);
      byHour.set(fact.hour, own);
      own.add(own.of(lane, day), fact);
    }
  return [...byHour]
    .sort(([a], [b]) => a - b)
    .flatMap(([hour, own]) => {
      const start = `${new Date(hour * 3_600_000).toISOString().slice(0, 13)}:00:00Z`;
      return groupsOf("hour", start, sumRows(tally(lanes, own.all, false)));
    });
}

/** The additive metrics of each tally; of a reason, what it keeps out. */
function sumRows(tallies: Tallies): Rows {
  const rows: Rows = new Map();
  for (const [by, ofDimension] of tallies)
    for (const [key, one] of ofDimension)
      if (by === "reason") putReason(rowOf(rows, by, key), one);
      else putSums(rowOf(rows, by, key), one);
  return rows;
}

function putReason(row: Row, one: Parameters<typeof putSums>[1]): void {
  const whole: Row = {};
  putSums(whole, one);
  for (const id of ["inferences", "revenue_gross"] as const) if (whole[id] !== undefined) row[id] = whole[id];
}

function periodRows(making: Making, days: readonly string[]): Rows {
  const tallies = tally(making.lanes, making.portions(days), true);
  const rows = sumRows(tallies);
  for (const [by, ofDimension] of tallies)
    for (const [key, one] of ofDimension) {
      if (by === "reason") continue;
      putSets(rowOf(rows, by, key), one);
      if (by === "model") putUnitPrice(rowOf(rows, by, key), one);
    }
  putNetwork(making, rows, tallies, days);
  relianceRows(making, rows, days);
  lateRefundRows(making, rows, days);
  disputeRows(making, rows, days);
  return rows;
}

function dayRows(making: Making): Rows {
  const { day } = making;
  const rows = periodRows(making, [day]);
  supplyRows(making, rows, { week: trailing(day, 7), month: trailing(day, 30) });
  checkRows(making, rows);
  integrityRow(making, rowOf(rows, "network", ""));
  return rows;
}

function monthRows(making: Making): Rows {
  const rows = periodRows(making, daysFrom(monthOf(making.day), making.day));
  cohortRows(making, rows);
  return rows;
}

function groupsOf(per: Period, start: string, rows: Rows): Group[] {
  return [...rows].flatMap(([by, ofDimension]) => {
    const full = [...ofDimension].filter(([, row]) => Object.keys(row).length > 0);
    full.sort(([a], [b]) => order(a, b));
    return full.length === 0 ? [] : [{ per, start, by, rows: Object.fromEntries(full) }];
  });
}

/** Who is behind the digests of models. */
function modelsOf({ fold, lanes }: Making, groups: readonly Group[]): DayDocument["models"] {
  const named = new Set(groups.flatMap(({ by, rows }) => (by === "model" ? Object.keys(rows) : [])));
  const models = [...fold.models].flatMap(([key, { manifest, publisher }]) => {
    const { name, version, category } = manifest;
    const revision = lanes.hexOf(key);
    return named.has(revision)
      ? [[revision, { name, version, publisher: lanes.hexOf(publisher), category }] as const]
      : [];
  });
  return Object.fromEntries(models.sort(([a], [b]) => order(a, b)));
}
