/** Metrics of what is offered against what is used. */
import { DAY_ONLY, LISTED, type Metric, NETWORK, SETS } from "../metric.ts";

const BY_LISTING = "model: publish, yank; receipt";

export const SUPPLY = [
  {
    id: "listed_models",
    name: "Models listed",
    unit: "models",
    kind: "as_of",
    formula: "revisions published by the day's end and not yanked at its close; the same of every stratum",
    source: "model: publish, yank",
    by: LISTED,
    per: DAY_ONLY,
    gamedBy: "publishing is all but free: hosting is not use",
  },
  {
    id: "idle_models",
    name: "Idle models",
    unit: "models",
    kind: "as_of",
    formula: "listed models without a receipt in S in the last thirty days",
    source: BY_LISTING,
    by: LISTED,
    per: DAY_ONLY,
    gamedBy: "one call to each of one's models: of organic it takes payers that pay",
  },
  {
    id: "idle_share",
    name: "Idle inventory",
    unit: "share",
    kind: "ratio",
    formula: "of the models listed for thirty days, the share without a receipt in S in the last thirty",
    source: BY_LISTING,
    by: LISTED,
    per: DAY_ONLY,
    gamedBy: "as idle_models; yanking what nobody uses, and publishing it again",
  },
  ...([1, 3, 10] as const).map(
    (fewest) =>
      ({
        id: `active_model_ratio_${fewest}`,
        name: `Active-model ratio, ${fewest} ${fewest === 1 ? "payer" : "payers"} or more`,
        unit: "share",
        kind: "ratio",
        formula: `of the models listed for thirty days, the share with ${fewest} or more payer clusters in S in the last thirty`,
        source: "model: publish, yank; receipt; grant: payerTag",
        by: LISTED,
        per: DAY_ONLY,
        gamedBy: `${fewest} separately funded ${fewest === 1 ? "key" : "keys"} for each of one's models`,
      }) as const,
  ),
  {
    id: "inference_density",
    name: "Inference density",
    unit: "inferences a model and day",
    kind: "ratio",
    formula: "inferences of the period / (listed_models at its last day × its days so far)",
    source: BY_LISTING,
    by: LISTED,
    per: SETS,
    gamedBy: "as inferences; unlisting what nobody uses",
  },
  {
    id: "hours_to_first_inference",
    name: "Time to first inference",
    unit: "hours",
    kind: "as_of",
    formula:
      "Kaplan and Meier's median of the whole hours from a model's publication to its first receipt in S, over the listed models, those without one as censored at the day's end; none while fewer than half are estimated to have one. Of organic: time to first organic inference",
    source: BY_LISTING,
    by: LISTED,
    per: DAY_ONLY,
    gamedBy: "one organic call to each of one's models; yanking idle ones",
  },
  ...([1, 7, 30] as const).map(
    (days) =>
      ({
        id: `reached_${days}d`,
        name: `First inference within ${days} ${days === 1 ? "day" : "days"}`,
        unit: "share",
        kind: "as_of",
        formula: `Kaplan and Meier's estimate of the share of models with a first receipt in S within ${days * 24} hours of publication`,
        source: BY_LISTING,
        by: LISTED,
        per: DAY_ONLY,
        gamedBy: "as hours_to_first_inference",
      }) as const,
  ),
  {
    id: "used_capacity",
    name: "Used capacity",
    unit: "share",
    kind: "ratio",
    formula: "unit time of receipts in S / (declared capacity of the nodes × their time up)",
    source: "none: no entry says what a node can do",
    by: NETWORK,
    per: SETS,
    gamedBy: "claiming less capacity",
    needs: "an entry in which a node declares its capacity; a claim would stand in the denominator alone",
  },
] as const satisfies readonly Metric[];
