/** Metrics of reliance: who acts on answers. Each class is counted apart. */
import { ALL_PARTS, FROM_VALID, type Metric, NETWORK, OF_GROSS, PERIODS, SETS } from "../metric.ts";

const RELIANCE = "reliance; reversal; receipt: decision";
const GROSS =
  "gross: by anybody enrolled as a relier, taken back or not; valid: by a relier outside the clusters of node, publisher and verifiers, and not taken back by the day's close";
const CONTRACT = "a chain: a contract that would have reverted otherwise; until then it is 0";

export const RELIANCE_METRICS = [
  {
    id: "acknowledged",
    name: "Answers acknowledged",
    unit: "receipts",
    kind: "additive",
    formula:
      "acknowledgements in the period, of receipts of whatever time that are in S on their own day; of a day that is not looked back to any more, 61 days ago, none is organic",
    source: "acknowledgement",
    by: ALL_PARTS,
    per: PERIODS,
    strata: FROM_VALID,
    gamedBy: "it is the requester's own word and costs nothing: a signal of quality, no reliance",
  },
  {
    id: "acknowledged_share",
    name: "Share acknowledged",
    unit: "share",
    kind: "ratio",
    formula:
      "those of the receipts in S that were acknowledged, in the period or after it until the document was made / inferences",
    source: "acknowledgement",
    by: ALL_PARTS,
    per: SETS,
    strata: FROM_VALID,
    gamedBy: "as acknowledged",
  },
  {
    id: "decisions_relied_on",
    name: "Decisions relied on",
    unit: "decisions",
    kind: "distinct",
    formula: `decisions with a reliance in the period. ${GROSS}; organic and floor: of a receipt in S besides, which is at most thirty days old. A decision of many calls, or that many rely on, counts once in each row`,
    source: RELIANCE,
    by: [...ALL_PARTS, "purpose", "stake"],
    per: SETS,
    gamedBy:
      "a relier whom nothing in the log ties to the seller and who risks nothing: read it beside effective_relying_parties and stake",
  },
  {
    id: "decisions_enforced",
    name: "Decisions enforced",
    unit: "decisions",
    kind: "distinct",
    formula: "decisions that a contract consumed (R2), that were staked (R3) or challenged and upheld (R4)",
    source: "reliance: class",
    by: [...ALL_PARTS, "purpose", "stake"],
    per: SETS,
    gamedBy: "a contract that risks nothing: hence the value at stake",
    needs: CONTRACT,
  },
  ...(
    [
      ["settled", "R1: payment released because verification passed"],
      ["consumed", "R2: a contract consumed the answer"],
      ["staked", "R3: the relier loses value where the answer is wrong"],
      ["tested", "R4: challenged with a stake, and upheld"],
    ] as const
  ).map(
    ([grade, formula]) =>
      ({
        id: `decisions_${grade}`,
        name: `Decisions ${grade}`,
        unit: "decisions",
        kind: "distinct",
        formula: `decisions relied on in class ${formula}`,
        source: "reliance: class",
        by: NETWORK,
        per: SETS,
        gamedBy: "a contract of one's own that risks nothing",
        needs: CONTRACT,
      }) as const,
  ),
  {
    id: "receipts_relied_on",
    name: "Receipts relied on",
    unit: "receipts",
    kind: "distinct",
    formula: "receipts with a reliance that counts for decisions_relied_on",
    source: RELIANCE,
    by: ALL_PARTS,
    per: SETS,
    gamedBy: "as decisions_relied_on",
  },
  {
    id: "reliance_rate",
    name: "Reliance rate",
    unit: "share",
    kind: "ratio",
    formula: "receipts_relied_on / inferences; reliances of a period may be of receipts before it",
    source: RELIANCE,
    by: ALL_PARTS,
    per: SETS,
    gamedBy: "as decisions_relied_on; much volume without reliance is a sign of wash",
  },
  {
    id: "relying_parties",
    name: "Relying parties",
    unit: "relier clusters",
    kind: "distinct",
    formula: "clusters of reliers with a reliance that counts for decisions_relied_on",
    source: RELIANCE,
    by: ALL_PARTS,
    per: SETS,
    gamedBy: "enrolling keys, which is free at a limited rate",
  },
  {
    id: "effective_relying_parties",
    name: "Effective relying parties",
    unit: "relier clusters",
    kind: "ratio",
    formula:
      "1 / sum over relier clusters of the squared share of decisions, one that several rely on counted for each",
    source: RELIANCE,
    by: ALL_PARTS,
    per: SETS,
    gamedBy: "several keys that state the same",
  },
  {
    id: "reversed_share",
    name: "Reversal rate",
    unit: "share",
    kind: "ratio",
    formula:
      "decisions of which every reliance of the period was taken back by the day's close / decisions with a reliance in it",
    source: RELIANCE,
    by: ALL_PARTS,
    per: SETS,
    strata: OF_GROSS,
    gamedBy: "reversing late: after the day's close it changes nothing any more",
  },
  {
    id: "value_relied_on",
    name: "Value relied on",
    unit: "atomic units",
    kind: "additive",
    formula: "sum over decisions of the value at stake, capped by class; of classes that a contract enforces alone",
    source: "reliance: class, valueBucket",
    by: NETWORK,
    per: SETS,
    gamedBy: "a stated value costs nothing, so that what is stated is shown by stake alone",
    needs: CONTRACT,
  },
] as const satisfies readonly Metric[];
