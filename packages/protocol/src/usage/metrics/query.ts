/** What documents of days say of one metric: a lookup, whatever the range (docs/usage.md). */
import { order } from "../counts.ts";
import { type DemandStratum, STRATA } from "../judgement.ts";
import { findMetric, METRICS, type MetricId } from "./catalogue.ts";
import { monthOf, weekOf } from "./days.ts";
import type { Group } from "./documents.ts";
import { type Dimension, type Metric, OTHER, PARTS, type Period } from "./metric.ts";
import { countValue, type Quad, type Value } from "./rows.ts";

export type Query = {
  metric: string;
  by: Dimension;
  per: Period;
  /** The first and the last day. */
  from: string;
  to: string;
  /** All, where it does not say. */
  strata?: readonly DemandStratum[];
  /** So many keys, the largest of the range; the others are summed as `other`. Of an additive metric. */
  top?: number;
  /** Each row's part of its period's whole, which come to 1 with `other`. Of an additive metric. */
  shares?: boolean;
};

/** Of a period from `start`, what `key` has of each stratum that was asked for. */
/** A network answers with so many rows at most. */
export const ROWS_MOST = 20_000;

export type QueryRow = { start: string; key: string } & Partial<Record<DemandStratum, Value>>;

/** A query of something that there is no figure of: a sentence that says what there is, and the parameter to change. */
export class NoSuchFigure extends Error {
  readonly param: "metric" | "by" | "per" | "top" | "share";

  constructor(param: NoSuchFigure["param"], message: string) {
    super(message);
    this.param = param;
  }
}

/** The start of the period that a day is in; of an hour, the day. */
export function periodStart(per: Period, day: string): string {
  if (per === "week") return weekOf(day);
  return per === "month" ? monthOf(day) : day;
}

type Found = { start: string; key: string; quad: Quad };

/** A question about one metric, which is asked of one day after another: nobody holds the documents of all at once. */
export class Question {
  readonly #query: Query;
  readonly #metric: Metric & { id: MetricId };
  readonly #found: Found[] = [];

  /** Throws NoSuchFigure. */
  constructor(query: Query) {
    this.#query = query;
    this.#metric = metricOf(query);
  }

  /** Those of `days`, which are in order, whose documents it is asked of: of a week or a month the last in the range says all. */
  daysOf(days: Iterable<string>): string[] {
    const { per, from, to } = this.#query;
    const last = new Map<string, string>();
    for (const day of days) if (from <= day && day <= to) last.set(periodStart(per, day), day);
    return [...last.values()];
  }

  /** Takes in the groups of the document of `day` that are of its period and dimension. Days come in order. */
  take(day: string, groups: readonly Group[]): void {
    const { per } = this.#query;
    if (groups.length === 0 && per !== "hour") this.#takeRows(periodStart(per, day), {});
    else for (const { start, rows } of groups) this.#takeRows(start, rows);
  }

  #takeRows(start: string, rows: Group["rows"]): void {
    for (const found of rowsOf(start, rows, this.#metric, this.#query)) this.#found.push(found);
  }

  /** How many rows the days that were taken in have. */
  get size(): number {
    return this.#found.length;
  }

  /** The rows, in order of period and key. */
  rows(): QueryRow[] {
    const { top, shares, strata = STRATA } = this.#query;
    const shown = top === undefined ? this.#found : withOther(this.#found, top);
    return (shares ? shared(shown) : shown).map(({ start, key, quad }) => ({
      ...{ start, key },
      ...Object.fromEntries(strata.map((stratum) => [stratum, quad[STRATA.indexOf(stratum)] ?? null])),
    }));
  }
}

function metricOf({ metric: id, by, per, top, shares }: Query): Metric & { id: MetricId } {
  const metric = findMetric(id);
  if (metric === undefined)
    throw new NoSuchFigure("metric", `no metric ${id}; there are ${METRICS.map((known) => known.id).join(", ")}`);
  if (!metric.by.includes(by)) throw new NoSuchFigure("by", `${id} is not by ${by}, but by ${metric.by.join(", ")}`);
  if (!metric.per.includes(per))
    throw new NoSuchFigure("per", `${id} is not per ${per}, but per ${metric.per.join(", ")}`);
  if (top === undefined && !shares) return metric;
  const parts: readonly Dimension[] = PARTS;
  if (metric.kind !== "additive" || !parts.includes(by))
    throw new NoSuchFigure(
      shares ? "share" : "top",
      `${id} by ${by} does not add up to a whole; what is additive does, by ${PARTS.join(", ")}`,
    );
  return metric;
}

function rowsOf(start: string, rows: Group["rows"], metric: Metric & { id: MetricId }, { by }: Query): Found[] {
  const found = Object.entries(rows).flatMap(([key, row]) => {
    const quad = row[metric.id];
    return quad === undefined ? [] : [{ start, key, quad }];
  });
  if (found.length === 0 && by === "network") return [{ start, key: "", quad: nothingOf(metric) }];
  return found.sort((a, b) => order(a.key, b.key));
}

/** What a row says that lacks a metric: counts and amounts are 0, of all else there is none. */
function nothingOf({ kind, unit, strata = STRATA }: Metric): Quad {
  const none = kind === "ratio" || kind === "as_of" ? null : unit === "atomic units" ? "0" : 0;
  const [gross = null, valid = null, organic = null, floor = null] = STRATA.map((stratum) =>
    strata.includes(stratum) ? none : null,
  );
  return [gross, valid, organic, floor];
}

const amountOf = (value: Value) => (value === null ? 0n : BigInt(value));

/** The keys that have most over the range, by the last stratum that tells them apart, and the sum of the others. */
function withOther(found: readonly Found[], top: number): Found[] {
  const totals = new Map<string, bigint[]>();
  for (const { key, quad } of found) {
    const known = totals.get(key) ?? [0n, 0n, 0n, 0n];
    totals.set(
      key,
      known.map((sum, at) => sum + amountOf(quad[at] ?? null)),
    );
  }
  const compare = ([a, one]: [string, bigint[]], [b, other]: [string, bigint[]]) => {
    for (const at of [2, 1, 0]) if (one[at] !== other[at]) return (one[at] ?? 0n) > (other[at] ?? 0n) ? -1 : 1;
    return order(a, b);
  };
  const kept = new Set(
    [...totals]
      .sort(compare)
      .map(([key]) => key)
      .filter((key) => key !== OTHER) // What a document has no name for stays without one.
      .slice(0, top),
  );
  const periods = new Map<string, { rows: Found[]; other: Quad | undefined }>();
  for (const row of found) {
    const period = periods.get(row.start) ?? { rows: [], other: undefined };
    periods.set(row.start, period);
    if (kept.has(row.key)) period.rows.push(row);
    else period.other = period.other === undefined ? row.quad : added(period.other, row.quad);
  }
  return [...periods].flatMap(([start, { rows, other }]) =>
    other === undefined ? rows : [...rows, { start, key: OTHER, quad: other }],
  );
}

function added(a: Quad, b: Quad): Quad {
  const sum = (at: 0 | 1 | 2 | 3): Value => {
    const [one, other] = [a[at], b[at]];
    if (one === null || other === null) return null;
    const whole = BigInt(one) + BigInt(other);
    return typeof one === "string" && typeof other === "string" ? String(whole) : countValue(whole);
  };
  return [sum(0), sum(1), sum(2), sum(3)];
}

/** Shares in six digits, rounded down; the largest of a period has what that leaves, so that they come to 1. */
function shared(found: readonly Found[]): Found[] {
  const byStart = new Map<string, Found[]>();
  for (const row of found) {
    const own = byStart.get(row.start) ?? [];
    own.push(row);
    byStart.set(row.start, own);
  }
  return [...byStart.values()].flatMap((rows) => {
    const [gross, valid, organic, floor] = STRATA.map((_, at) => sharesOf(rows.map(({ quad }) => quad[at] ?? null)));
    const shareOf = (shares: (number | null)[] | undefined, i: number) => shares?.[i] ?? null;
    return rows.map(({ start, key }, i) => ({
      ...{ start, key },
      quad: [shareOf(gross, i), shareOf(valid, i), shareOf(organic, i), shareOf(floor, i)],
    }));
  });
}

const MILLION = 1_000_000n;

function sharesOf(values: readonly Value[]): (number | null)[] {
  const amounts = values.map(amountOf);
  const whole = amounts.reduce((sum, amount) => sum + amount, 0n);
  if (whole === 0n) return values.map(() => null);
  const shares = amounts.map((amount) => (amount * MILLION) / whole);
  const largest = amounts.reduce((at, amount, i) => (amount > (amounts[at] ?? 0n) ? i : at), 0);
  const left = MILLION - shares.reduce((sum, share) => sum + share, 0n);
  return shares.map((share, i) => Number(i === largest ? share + left : share) / 1e6);
}
