/** Every metric there is, as data (docs/usage.md). */
import { INTEGRITY } from "./catalogue/integrity.ts";
import { MONEY } from "./catalogue/money.ts";
import { RELIANCE_METRICS } from "./catalogue/reliance.ts";
import { SUPPLY } from "./catalogue/supply.ts";
import { SPREAD, USE } from "./catalogue/use.ts";
import { VERIFICATION } from "./catalogue/verification.ts";
import type { Metric } from "./metric.ts";

/** The metrics by what they are of, in the order that a reader meets them. */
export const METRIC_GROUPS = [
  { title: "Reliance", metrics: RELIANCE_METRICS },
  { title: "Use", metrics: USE },
  { title: "Verification", metrics: VERIFICATION },
  { title: "Supply", metrics: SUPPLY },
  { title: "Concentration", metrics: SPREAD },
  { title: "Money", metrics: MONEY },
  { title: "The numbers themselves", metrics: INTEGRITY },
] as const;

const ALL = METRIC_GROUPS.flatMap<(typeof METRIC_GROUPS)[number]["metrics"][number]>(({ metrics }) => metrics);

export type MetricId = (typeof ALL)[number]["id"];

/** The version of the catalogue and of the documents' form; another formula is another version. */
export const METRICS_VERSION = "tallystick-metrics-v2";

export const METRICS: readonly (Metric & { id: MetricId })[] = ALL;

const BY_ID: ReadonlyMap<string, Metric & { id: MetricId }> = new Map(METRICS.map((metric) => [metric.id, metric]));

export function findMetric(id: string): (Metric & { id: MetricId }) | undefined {
  return BY_ID.get(id);
}
