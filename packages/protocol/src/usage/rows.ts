/**
 * One row a receipt, as its day stood when it was closed: what questions are asked of that no metric answers. A pure function
 * of the log, and nothing is in it that the log does not say (docs/operating/analytics.md).
 */
import { type ClosedRows, type JudgedRows, verdictOf } from "./closed-rows.ts";
import { hexOf, UNPUBLISHED } from "./counts.ts";
import { NO_MODEL } from "./lanes.ts";
import type { DayDocument } from "./metrics/documents.ts";
import type { Key } from "./state.ts";

/** What a column holds: counts, any numbers, atomic units, texts, yes or no, a UTC day, and Unix seconds. */
export type ColumnValues = {
  integer: number;
  number: number;
  amount: bigint;
  text: string;
  flag: boolean;
  day: string;
  time: number;
};
export type Columns = Readonly<Record<string, keyof ColumnValues>>;
/** One row of a table with those columns; null where the log says nothing. */
export type RowOf<C extends Columns> = { [Name in keyof C]: ColumnValues[C[Name]] | null };

/** The layout of rows; another layout is another version. */
export const ROWS_VERSION = "tallystick-rows-v1";

export const RECEIPT_COLUMNS = {
  index: "integer",
  time: "time",
  hour: "time",
  day: "day",
  receipt: "text",
  decision: "text",
  revision: "text",
  model: "text",
  version: "text",
  category: "text",
  publisher: "text",
  node: "text",
  gateway: "text",
  payer: "text",
  custody: "text",
  tag_mode: "text",
  app: "text",
  funding: "text",
  tier_asked: "text",
  tier: "text",
  status: "text",
  exclusion: "text",
  label: "text",
  stratum: "text",
  units: "integer",
  output_units: "integer",
  price: "amount",
  subsidised: "amount",
  refunded: "amount",
  acknowledged: "flag",
  relied: "flag",
} as const satisfies Columns;
export type ReceiptRow = RowOf<typeof RECEIPT_COLUMNS>;

const { index, time, hour, receipt, decision, units, output_units, price, subsidised, refunded, ...rest } =
  RECEIPT_COLUMNS;

/** What of a row is of its receipt alone, and at which place of its day's `shared` the rest is. */
export const OWN_COLUMNS = {
  shared: "integer",
  ...{ index, time, hour, receipt, decision, units, output_units, price, subsidised, refunded },
} as const satisfies Columns;

/** What receipts that stood alike share. */
export const SHARED_COLUMNS = { shared: "integer", ...rest } as const satisfies Columns;

/** The figures of a day's document, each in a row. Of the week and the month they are as of that day. */
export const METRIC_COLUMNS = {
  day: "day",
  metric: "text",
  per: "text",
  start: "text",
  dimension: "text",
  key: "text",
  gross: "number",
  valid: "number",
  organic: "number",
  floor: "number",
} as const satisfies Columns;

export function* metricRows({ day, groups }: DayDocument): Generator<RowOf<typeof METRIC_COLUMNS>> {
  for (const { per, start, by, rows } of groups)
    for (const [key, row] of Object.entries(rows))
      for (const [metric, quad] of Object.entries(row)) {
        const [gross, valid, organic, floor] = quad.map((value) => (value === null ? null : Number(value)));
        const figures = { gross: gross ?? null, valid: valid ?? null, organic: organic ?? null, floor: floor ?? null };
        yield { day, metric, per, start, dimension: by, key, ...figures };
      }
}

/** The receipts of a closed day. */
export function* ownRows({ receipts }: ClosedRows): Generator<RowOf<typeof OWN_COLUMNS>> {
  for (const [i, id] of receipts.id.entries()) {
    const decision = receipts.decision[i];
    const outputUnits = receipts.outputUnits[i] ?? Number.NaN;
    const time = receipts.timeSeconds[i] ?? Number.NaN;
    yield {
      shared: receipts.shared[i] ?? null,
      index: receipts.index[i] ?? null,
      time,
      hour: time - (time % 3_600),
      receipt: hexOf(id),
      decision: decision === undefined ? null : hexOf(decision),
      units: receipts.units[i] ?? null,
      output_units: Number.isNaN(outputUnits) ? null : outputUnits,
      price: receipts.priceAtomic[i] ?? null,
      subsidised: receipts.subsidisedAtomic[i] ?? null,
      refunded: receipts.refundedAtomic[i] ?? null,
    };
  }
}

/** What the receipts of a closed day share, as one set of rules judged it. */
export function* sharedRows(
  { day, shared, models }: ClosedRows,
  { verdicts, relied }: JudgedRows,
): Generator<RowOf<typeof SHARED_COLUMNS>> {
  const known = new Map<Key, string>();
  const hexOrNull = (key: Key) => {
    if (key === "") return null;
    const spelled = known.get(key) ?? hexOf(key);
    known.set(key, spelled);
    return spelled;
  };
  for (const [at, { lane, status, tier, exclusion, reached, acknowledged }] of shared.entries()) {
    const model = models.get(lane.model);
    yield {
      shared: at,
      day,
      revision: lane.model === NO_MODEL ? UNPUBLISHED : hexOrNull(lane.model),
      model: model?.model ?? null,
      version: model?.version ?? null,
      category: model?.category ?? null,
      publisher: hexOrNull(model?.publisher ?? ""),
      node: hexOrNull(lane.node),
      gateway: hexOrNull(lane.gateway),
      payer: hexOrNull(lane.payer),
      custody: lane.custody,
      tag_mode: lane.tagMode,
      app: lane.app ?? null,
      funding: lane.funding,
      tier_asked: tier,
      tier: reached ?? null,
      status,
      exclusion: exclusion ?? null,
      ...verdictOf(verdicts[at] ?? "gross"),
      acknowledged,
      relied: relied[at] ?? false,
    };
  }
}
