/** What the usage API takes and answers, as schemas: requests are read by them, and the OpenAPI document is made of them. */
import { DIMENSIONS, KINDS, type Metric, PERIODS, STRATA } from "@tallystick/protocol";
import { z } from "zod";

/** Whether a text is a day that the calendar has. */
const isDay = (text: string) =>
  /^[0-9]{4}-[0-9]{2}-[0-9]{2}$/.test(text) && !Number.isNaN(Date.parse(text)) && asDay(Date.parse(text)) === text;
const asDay = (timeMs: number) => new Date(timeMs).toISOString().slice(0, 10);

/** One of some words, whose refusal lists them. */
const oneOf = <const T extends readonly string[]>(words: T) =>
  z.enum(words, `${words.length === 1 ? "is" : "is one of"} ${words.join(", ")}`);

export const Day = z
  .string()
  .refine(isDay, "is a day that the calendar has, as 2026-11-22")
  .meta({ format: "date", description: "A UTC day.", examples: ["2026-11-22"] });

const Strata = z
  .string()
  .transform((text) => text.split(","))
  .pipe(z.array(z.enum(STRATA, `is of ${STRATA.join(", ")}, with commas between`)).min(1))
  .transform((list) => STRATA.filter((stratum) => list.includes(stratum)));

export const FORMAT_NAMES = ["json", "csv", "ndjson", "parquet"] as const;

/** So many keys can be asked for by `top`, so many rows by `limit`. */
const TOP_MOST = 1_000;
export const LIMIT_MOST = 1_000;
const LIMIT = 100;

/** A whole number from 1. */
function countTo(most: number) {
  const says = `is a whole number from 1 to ${most}`;
  return z.coerce.number(says).int(says).min(1, says).max(most, says);
}

const Rules = z
  .string()
  .max(100, "is the version or the digest of rules")
  .exactOptional()
  .describe("The rules' version or digest; else those that the network judges by.");

export const DayQuery = z.strictObject({ rules: Rules });

/** The parameters of a metric. */
export const MetricQuery = z.strictObject({
  by: oneOf(DIMENSIONS)
    .default("network")
    .describe("What each row is of; else the network, or the first that the metric is by."),
  from: Day.exactOptional().describe("The first day; else 29 days before the last."),
  to: Day.exactOptional().describe("The last day; else the day of the log's clock."),
  per: oneOf(PERIODS)
    .default("day")
    .describe("How long a row's period is. A week begins on Monday, as ISO 8601 has it."),
  strata: Strata.exactOptional().describe("Which strata, with commas between; else all four."),
  top: countTo(TOP_MOST)
    .exactOptional()
    .describe("So many keys, the largest of the range; the others are one row, `other`. Of what adds up."),
  share: oneOf(["yes"])
    .exactOptional()
    .describe("Each row's part of its period's whole in place of figures; they come to 1. Of what adds up."),
  rules: Rules,
  format: oneOf(FORMAT_NAMES).exactOptional().describe("In place of the header Accept."),
});
export type MetricQuery = z.infer<typeof MetricQuery>;

/** The parameters of one metric: what it is by and per, the network by day where it is that. */
export function queryOf({ by, per }: Metric) {
  const first = <T extends string>(words: readonly T[], usual: T): T =>
    words.includes(usual) ? usual : (words[0] ?? usual);
  return MetricQuery.extend({
    by: oneOf(by).default(first(by, "network")),
    per: oneOf(per).default(first(per, "day")),
  });
}

const Value = z
  .union([z.number(), z.string(), z.null()])
  .describe(
    "A count or a ratio; money as atomic units in a text, as is a count of units over 2^53 − 1; null where there is nothing to divide by.",
  );

export const Row = z.strictObject({
  start: z.string().describe("When its period begins: a day, an hour in RFC 3339, or open."),
  key: z
    .string()
    .describe(
      "What it is of: a model by its revision, a key by its id; `unpublished` is of no model, `other` the rest of a share.",
    ),
  name: z.string().exactOptional().describe("The name that goes with the key, as it was published or enrolled."),
  gross: Value.exactOptional(),
  valid: Value.exactOptional(),
  organic: Value.exactOptional(),
  floor: Value.exactOptional(),
  provisional: z.boolean().describe("Whether a day in it may still change: it is not closed."),
});
export type Row = z.infer<typeof Row>;

export const Meta = z.strictObject({
  as_of: z.iso.datetime().nullable().describe("The log's own clock; null before its first epoch."),
  size: z.int().describe("How many entries of the log these are figures of."),
  root: z.string().describe("Its root at that size, base64."),
  checkpoint: z.string().describe("The signed note that says so (C2SP tlog-checkpoint)."),
  rules: z.string().describe("The version of the rules that tell organic from the rest."),
  rules_digest: z.string().describe("SHA-256 of those rules as canonical JSON, hex."),
  provisional: z.boolean().describe("Whether a day among the rows may still change."),
});
export type Meta = z.infer<typeof Meta>;

export const UsageAnswer = z.strictObject({
  metric: z.string(),
  unit: z.string(),
  by: z.enum(DIMENSIONS),
  per: z.enum(PERIODS),
  strata: z.array(z.enum(STRATA)),
  rows: z.array(Row),
  meta: Meta,
});
export type UsageAnswer = z.infer<typeof UsageAnswer>;

export const Catalogue = z.strictObject({
  metrics: z.array(
    z.strictObject({
      id: z.string(),
      name: z.string(),
      unit: z.string(),
      kind: z.enum(KINDS).describe("How figures of it relate (docs/usage.md)."),
      formula: z.string().describe("Of one stratum S, where it does not say otherwise."),
      source: z.string().describe("The entries and fields that it comes from."),
      by: z.array(z.enum(DIMENSIONS)),
      per: z.array(z.enum(PERIODS)),
      strata: z.array(z.enum(STRATA)),
      gamed_by: z.string(),
      needs: z.string().exactOptional().describe("Why there is no figure yet: what it would come from."),
    }),
  ),
});
export type Catalogue = z.infer<typeof Catalogue>;

const Hex = z.string().regex(/^[0-9a-f]{64}$/);

const Snapshot = z.strictObject({
  index: z.int().describe("Its entry in the log."),
  size: z.int().describe("How many entries had been folded when the day closed."),
  rules_digest: Hex,
  result_digest: Hex.describe("SHA-256 of the day's document as canonical JSON (RFC 8785)."),
});

export const DayAnswer = z.strictObject({
  day: z.string(),
  digest: Hex.nullable().describe("SHA-256 of the document as canonical JSON; null while the day is open."),
  snapshot: Snapshot.nullable().describe("What the log's own key says that it is; null until it does."),
  document: z.unknown().describe("Every metric of the day (docs/usage.md)."),
  meta: Meta,
});
export type DayAnswer = z.infer<typeof DayAnswer>;

const KEYS_ASKED_MOST = 20;

/** The parameters of the list of recomputations. */
export const RecomputationsQuery = z.strictObject({
  agrees: oneOf(["yes", "no"]).exactOptional().describe("Only those that agree, or only those that do not."),
  auditor: z
    .string()
    .transform((text) => text.split(","))
    .refine(
      (ids) => ids.length <= KEYS_ASKED_MOST && ids.every((id) => Hex.safeParse(id).success),
      `is the ids of at most ${KEYS_ASKED_MOST} keys, 64 hex digits each, with commas between`,
    )
    .exactOptional()
    .describe("All that these keys say, by the ids of those whom you trust; else the last word of each auditor."),
  limit: countTo(LIMIT_MOST).default(LIMIT).describe("How many rows an answer has at most."),
  cursor: z
    .string()
    .regex(/^(?:yes|no)\.\d{1,15}$/, "is `next` of the page before")
    .exactOptional()
    .describe("The next page: `next` of the one before."),
});
export type RecomputationsQuery = z.infer<typeof RecomputationsQuery>;

export const Recomputations = z.strictObject({
  recomputations: z.array(
    z.strictObject({
      index: z.int(),
      auditor: Hex.describe("The id of the key that signed it."),
      name: z.string().describe("The name that the key enrolled under: its holder's word."),
      time: z.iso.datetime().nullable().describe("When the log's clock saw it; null until an epoch covers it."),
      size: z.int().describe("How many entries were counted again."),
      rules_digest: Hex,
      result_digest: Hex,
      agrees: z.boolean(),
      disagrees_with: z.string().nullable().describe("The day of the snapshot that it says is wrong."),
    }),
  ),
  agreed: z.int().describe("Auditors whose last word agrees."),
  disagreed: z.int().describe("Auditors whose last word disagrees."),
  next: z.string().nullable().describe("The cursor of the next page; null on the last."),
});
export type Recomputations = z.infer<typeof Recomputations>;

export const BADGE_METRICS = ["decisions_relied_on", "organic_inferences"] as const;

export const BadgeQuery = z.strictObject({
  metric: oneOf(BADGE_METRICS)
    .default("decisions_relied_on")
    .describe("Decisions relied on a day, or organic inferences: of the last 30 closed days."),
});
