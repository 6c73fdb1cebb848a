/** The answer to a question about one metric: a lookup in the documents of days, within limits. */
import {
  dayOf,
  daysFrom,
  type FoldState,
  keyOf,
  type Metric,
  NoSuchFigure,
  parseHex,
  periodStart,
  type Query,
  Question,
  ROWS_MOST,
  STRATA,
} from "@tallystick/protocol";
import { ServiceError } from "../platform/errors.ts";
import type { Documents } from "./documents.ts";
import { refused } from "./parameters.ts";
import type { MetricQuery, UsageAnswer } from "./schemas.ts";

/** How far a question may reach by the period, and how many rows it may be about. */
const DAYS_MOST: Readonly<Record<MetricQuery["per"], number>> = { hour: 31, day: 400, week: 1_200, month: 4_000 };
const LOOKED_AT_MOST = 200_000;
const DAYS_ASKED = 30;
const DAY_MS = 86_400_000;
const DAY_LENGTH = "2026-11-22".length;

export type Answered = Omit<UsageAnswer, "meta"> & { provisional: boolean };
type Held = { documents: Documents; fold: FoldState };

/** Throws where there is no such figure, or where there is too much of it. */
export async function answerMetric(metric: Metric, query: MetricQuery, { documents, fold }: Held): Promise<Answered> {
  const { id, unit, needs, strata: own = STRATA } = metric;
  if (needs !== undefined) throw new ServiceError("not_found", `there is no figure of ${id} yet: it needs ${needs}`);
  const { by, per, top, share, strata = own } = query;
  const strange = strata.find((stratum) => !own.includes(stratum));
  if (strange !== undefined) throw refused("strata", `${id} is of ${own.join(", ")}, not of ${strange}`);
  const [from, to] = rangeOf(query, documents, fold);
  const open = new Set(daysFrom(from, to).flatMap((day) => (documents.isClosed(day) ? [] : [periodStart(per, day)])));
  const asked = { ...{ metric: id, by, per, from, to, strata }, ...(top === undefined ? {} : { top }) };
  const question = questionOf({ ...asked, shares: share === "yes" });
  const days = documents.days.filter((day) => from <= day && day <= to);
  for (const day of question.daysOf(days)) {
    question.take(day, await documents.groups(day, per, by));
    if (question.size > LOOKED_AT_MOST) throw tooMuch();
  }
  const found = question.rows();
  if (found.length > ROWS_MOST) throw tooMuch();
  const nameOf = namesIn(fold, by);
  return {
    ...{ metric: id, unit, by, per, strata: [...strata] },
    rows: found.map(({ start, key, ...figures }) => ({
      ...{ start, key, ...nameOf(key), ...figures },
      provisional: open.has(per === "hour" ? start.slice(0, DAY_LENGTH) : start),
    })),
    provisional: open.size > 0,
  };
}

function rangeOf({ from, to, per }: MetricQuery, { days }: Documents, fold: FoldState): [from: string, to: string] {
  const today = fold.timeSeconds === undefined ? undefined : dayOf(fold.timeSeconds);
  const last = to ?? today ?? days.at(-1) ?? "1970-01-01";
  const first = from ?? new Date(Date.parse(last) - (DAYS_ASKED - 1) * DAY_MS).toISOString().slice(0, 10);
  if (first > last) throw refused("from", `${first} is after ${last}: from is the first day and to the last`);
  const most = DAYS_MOST[per];
  if ((Date.parse(last) - Date.parse(first)) / DAY_MS >= most)
    throw refused(
      "from",
      `a question per ${per} is of at most ${most} days, not from ${first} to ${last}: ask for fewer at once`,
    );
  return [first, last];
}

const tooMuch = () =>
  refused("from", `the answer has more than ${ROWS_MOST} rows: ask for fewer days, a longer period, or the top ones`);

function questionOf(query: Query): Question {
  try {
    return new Question(query);
  } catch (cause) {
    if (cause instanceof NoSuchFigure) throw refused(cause.param, cause.message, cause);
    throw cause;
  }
}

/** What people call a key: a model's name and version, or the name that a key enrolled under. */
function namesIn({ keys, models }: FoldState, by: MetricQuery["by"]): (key: string) => { name?: string } {
  const idOf = (key: string) => keyOf(parseHex(key) ?? new Uint8Array(0));
  if (by === "model")
    return (key) => named(models.get(idOf(key)), ({ manifest: { name, version } }) => `${name} ${version}`);
  if (by !== "publisher" && by !== "node") return () => ({});
  return (key) => named(keys.get(idOf(key)), ({ name }) => name);
}

function named<T>(found: T | undefined, nameOf: (found: T) => string): { name?: string } {
  return found === undefined ? {} : { name: nameOf(found) };
}
