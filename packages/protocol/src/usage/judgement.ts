/** What a day's demand is judged as. The rules are docs/spec/usage.md, "Organic". */
import type { Lane } from "./lanes.ts";
import type { Key } from "./state.ts";

/** Every receipt; those that no rule excludes; those that are judged to be demand; those whose demand cost something for good. */
export const STRATA = ["gross", "valid", "organic", "floor"] as const;
export type DemandStratum = (typeof STRATA)[number];

/** Why a valid receipt is not organic: the first that holds. `too_few` says that nobody can tell. */
export const LABELS = [
  "free",
  "subsidised",
  "unattributed",
  "anonymous",
  "same_key",
  "declared_owner",
  "common_funder",
  "refunded",
  "recirculated",
  "closed_cluster",
  "cohort",
  "too_few",
] as const;
export type Label = (typeof LABELS)[number];

/** One day's, by one version of the rules. A lane without a label is organic. */
export type Judgement = {
  labels: ReadonlyMap<Lane, Label>;
  /** The organic lanes of which somebody outside the seller's and the payer's cluster keeps a part of the price. */
  floor: ReadonlySet<Lane>;
  /** The cluster that a payer's tag or a key's id is in, by the name of its first member; itself where nothing joins it. */
  clusterOf(member: Key): Key;
};
