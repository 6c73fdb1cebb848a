/** What is kept of one set of rules from day to day: what each came to, and what later ones look back to. */
import { type JudgedCount, judgedCounts } from "../demand-figures.ts";
import type { DemandStratum, Judgement, Label } from "../judgement.ts";
import { STRATA } from "../judgement.ts";
import type { Lane } from "../lanes.ts";
import { judgeDay } from "../organic/judge.ts";
import type { FoldState, Key } from "../state.ts";
import type { WashRules } from "../wash-rules.ts";
import { dayOfNumber, numberOfDay } from "./days.ts";
import { type DayDocument, dayDocument } from "./documents.ts";
import { isTold, rankOf } from "./portions.ts";

/** A document looks back so many days, its own among them: a month's, and the thirty before a reliance in it. */
export const LOOK_BACK_DAYS = 61;

/** What each stratum of something had first, each in order of the log's days. */
export type Firsts<T> = Record<DemandStratum, Map<Key, T>>;

export type Series = {
  rules: WashRules;
  /** SHA-256 of the document of each closed day. Neither ever changes. */
  digests: Map<string, Uint8Array>;
  /** The documents of the days that closed last, all by one epoch: who keeps documents has them before the next day closes. */
  documents: Map<string, DayDocument>;
  /** What the lanes of the closed days that are looked back to were judged, by day. */
  labels: Map<string, ReadonlyMap<Lane, Label>>;
  /** Those without a label, of which some are floor. What is dated to a day after it closed was never judged, and is neither. */
  organics: Map<string, ReadonlySet<Lane>>;
  floors: Map<string, ReadonlySet<Lane>>;
  /** What the judgement of each closed day came to, by model. */
  judged: Map<string, readonly JudgedCount[]>;
  /** The first closed day with a receipt of each payer's tag, and the first hour with one of each model. */
  firstDays: Firsts<string>;
  firstHours: Firsts<number>;
};

export function createSeries(rules: WashRules): Series {
  return {
    rules,
    digests: new Map(),
    documents: new Map(),
    labels: new Map(),
    organics: new Map(),
    floors: new Map(),
    judged: new Map(),
    firstDays: firstsOf(() => new Map()),
    firstHours: firstsOf(() => new Map()),
  };
}

function firstsOf<T>(mapOf: (stratum: DemandStratum) => Map<Key, T>): Firsts<T> {
  const [gross, valid, organic, floor] = STRATA.map(mapOf);
  return {
    gross: gross ?? new Map(),
    valid: valid ?? new Map(),
    organic: organic ?? new Map(),
    floor: floor ?? new Map(),
  };
}

/** A series that days may be taken into for once, as those that are not closed are: the series itself stays as it is. */
export function draftOf(series: Series): Series {
  return {
    ...series,
    labels: new Map(series.labels),
    organics: new Map(series.organics),
    floors: new Map(series.floors),
    judged: new Map(series.judged),
    firstDays: firstsOf((stratum) => new Map(series.firstDays[stratum])),
    firstHours: firstsOf((stratum) => new Map(series.firstHours[stratum])),
  };
}

/** Takes a day, after those before it, into its series, and gives its document. */
export function takeDay(fold: FoldState, series: Series, day: string, judgement: Judgement): DayDocument {
  series.labels.set(day, new Map(judgement.labels));
  const lanes = [...(fold.demand.facts.get(day)?.keys() ?? [])];
  series.organics.set(day, new Set(lanes.filter((lane) => !judgement.labels.has(lane))));
  series.floors.set(day, new Set(judgement.floor));
  series.judged.set(day, judgedCounts(fold, day, judgement));
  countFirsts(fold, series, day);
  const document = dayDocument(fold, series, day, judgement);
  const oldest = oldestFor(day);
  for (const kept of [series.labels, series.organics, series.floors])
    for (const known of kept.keys()) if (known < oldest) kept.delete(known);
  return document;
}

/** The first day that the document of `day` looks back to. */
export function oldestFor(day: string): string {
  return dayOfNumber(numberOfDay(day) - LOOK_BACK_DAYS + 1);
}

/** The documents, as of the log, of the days that are not closed, in order. What no epoch covers yet is in none. */
export function openDocuments(fold: FoldState, series: Series): DayDocument[] {
  const draft = draftOf(series);
  const days = [...fold.unclosed].sort();
  return days.map((day) => takeDay(fold, draft, day, judgeDay(fold, day, series.rules)));
}

/** Who and what had its first receipt of a stratum on this day, or on an earlier one that closes after later ones. */
function countFirsts(fold: FoldState, series: Series, day: string): void {
  for (const [lane, facts] of fold.demand.facts.get(day) ?? [])
    for (const { hour, gross, valid } of facts) {
      const strata = valid > 0 ? rankOf(series, day, lane) + 1 : gross > 0 ? 1 : 0;
      for (const stratum of STRATA.slice(0, strata)) {
        if (isTold(lane)) setLeast(series.firstDays[stratum], lane.payer, day);
        setLeast(series.firstHours[stratum], lane.model, hour);
      }
    }
}

function setLeast<T extends string | number>(firsts: Map<Key, T>, key: Key, value: T): void {
  const known = firsts.get(key);
  if (known === undefined || value < known) firsts.set(key, value);
}
