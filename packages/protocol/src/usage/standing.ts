/** Why a model ranks where it does, in a sentence: the same on the page, in the terminal and on a badge. */
import type { ModelFigures } from "./figures.ts";
import { LABELS, type Label } from "./judgement.ts";

type Demand = Pick<ModelFigures["demand"], "organic" | "labels" | "payingParties">;
export type Use = Pick<ModelFigures, "gross" | "valid" | "requesters"> & { demand: Demand };

/** What is said of calls that have a label: `120 of them …`. */
export const LABEL_TEXTS: Readonly<Record<Label, string>> = {
  free: "free of charge",
  subsidised: "paid with the operator’s money",
  unattributed: "paid with money whose origin the log does not name",
  anonymous: "by payers who stay anonymous",
  same_key: "by the seller’s own key",
  declared_owner: "by the seller’s declared owner",
  common_funder: "funded by the seller’s own funder",
  refunded: "paid with money that was given back",
  recirculated: "paid with money that came back to the payer",
  closed_cluster: "inside a closed cluster",
  cohort: "by keys that moved as one",
  too_few: "too few to judge",
};

/** As many reasons as a sentence takes. */
const REASONS_SAID = 2;
const COUNT = new Intl.NumberFormat("en-US");

/** `10,000 calls, all from one key: too few to judge`. */
export function standingOf({ gross, valid, requesters, demand }: Use): string {
  if (gross === 0) return "never called";
  const calls = `${COUNT.format(gross)} ${gross === 1 ? "call" : "calls"}`;
  if (valid === 0) return `${calls}, none of them valid`;
  const one = gross === 1 ? " from one key" : ", all from one key";
  const who = requesters === 1 ? one : ` from ${COUNT.format(requesters)} keys`;
  // Of those without demand, who paid ranks them.
  const { organic, payingParties } = demand;
  const paid = organic === 0 && payingParties > 1 ? `, ${COUNT.format(payingParties)} paying parties` : "";
  return `${calls}${who}${paid}: ${verdict(valid, demand)}`;
}

function verdict(valid: number, { organic, labels }: Demand): string {
  if (organic === valid) return "all that are valid are organic";
  const counted = LABELS.map((label) => ({ label, count: labels[label] ?? 0 })).filter(({ count }) => count > 0);
  const [first, ...rest] = counted.sort((a, b) => b.count - a.count); // Stable: of equals, the rule that is asked first.
  if (first === undefined) return `${COUNT.format(organic)} organic`;
  if (organic === 0 && rest.length === 0)
    return first.label === "too_few" ? LABEL_TEXTS.too_few : `all ${LABEL_TEXTS[first.label]}, which shows no demand`;
  const said = [first, ...rest].slice(0, REASONS_SAID);
  const others = [first, ...rest].slice(REASONS_SAID).reduce((sum, { count }) => sum + count, 0);
  return [
    `${organic === 0 ? "none" : COUNT.format(organic)} organic`,
    ...said.map(({ label, count }) => `${COUNT.format(count)} ${LABEL_TEXTS[label]}`),
    ...(others === 0 ? [] : [`${COUNT.format(others)} for other reasons`]),
  ].join(", ");
}
