/** What the catalogue says of each metric (docs/usage.md). */
import type { DemandStratum } from "../judgement.ts";

/** What figures are kept by. The key of `network` is empty; of `model`, `publisher` and `node` it is the digest in hex; `UNPUBLISHED` of no model. */
export const DIMENSIONS = [
  "network",
  "model",
  "publisher",
  "node",
  "category",
  "app",
  "column",
  "reason",
  "purpose",
  "stake",
  "cohort",
] as const;
export type Dimension = (typeof DIMENSIONS)[number];

/** The key of what is left of a whole. */
export const OTHER = "other";

/** The UTC hour and day; the ISO week and the calendar month, each up to the day of the document. */
export const PERIODS = ["hour", "day", "week", "month"] as const;
export type Period = (typeof PERIODS)[number];

/**
 * How figures of one metric relate. `additive`: that of a whole is the sum of those of its parts. `distinct`: something is
 * counted once in each row, so that a sum over rows may be more. Of both, a stratum is never more than the one before it.
 * `relative`: a count or an amount of which a stratum may have more than the one before it. `ratio`: a quotient. `as_of`: a state
 * at the end of the day.
 */
export const KINDS = ["additive", "distinct", "relative", "ratio", "as_of"] as const;
export type Kind = (typeof KINDS)[number];

export type Metric = {
  id: string;
  name: string;
  unit: string;
  kind: Kind;
  /** Of one stratum S, where it does not say otherwise. */
  formula: string;
  /** The entries and fields that it comes from. */
  source: string;
  by: readonly Dimension[];
  per: readonly Period[];
  /** The strata that there is a figure of; all, where it does not say. */
  strata?: readonly DemandStratum[];
  gamedBy: string;
  /** Why there is no figure yet: what it would come from. */
  needs?: string;
};

/** Those that split the whole without a rest; a lane is under one key of each. */
export const PARTS = ["network", "model", "publisher", "node", "category", "app"] as const;
/** Those and the columns, of which one receipt may be in several. */
export const ALL_PARTS = [...PARTS, "column"] as const;
export const NETWORK = ["network"] as const;
/** Those who publish or are published: of what is listed there are figures by these. */
export const LISTED = ["network", "publisher", "category"] as const;
export const SETS = ["day", "week", "month"] as const;
export const DAY_ONLY = ["day"] as const;
/** What a receipt that is not valid has none of: its price, its units, its tier. */
export const FROM_VALID = ["valid", "organic", "floor"] as const;
export const OF_GROSS = ["gross"] as const;
