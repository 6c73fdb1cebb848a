/** Whose word on an answer is an outsider's, and what of its price an outsider keeps (docs/spec/usage.md, "Floor"). */
import type { Judgement } from "../judgement.ts";
import type { Lane, Relied } from "../lanes.ts";
import type { FoldState, Key } from "../state.ts";

/** What the gateway keeps of a price, per mille. The other shares may be those of one party. */
const GATEWAY_PER_MILLE = 100;

/** Whether a reliance is of somebody outside the clusters of the receipt's node and publisher and of who verified it. */
export function isEligibleRelier(
  fold: FoldState,
  { clusterOf }: Pick<Judgement, "clusterOf">,
  { relier, receipt }: Pick<Relied, "relier" | "receipt">,
): boolean {
  const { node, model } = fold.receipts.get(receipt) ?? {};
  const verifiers = (fold.proofs.examinations.get(receipt)?.checks ?? []).map(({ verifier }) => verifier);
  const interested = [node, fold.models.get(model ?? "")?.publisher, ...verifiers];
  return !interested.some((party) => party !== undefined && clusterOf(party) === clusterOf(relier));
}

/** What of each price on a lane stays with an outsider, per mille, where its payer owns all that the log lets it own. */
export function irrecoverablePerMille(
  { models }: FoldState,
  { clusterOf }: Pick<Judgement, "clusterOf">,
  { payer, gateway, model, node }: Lane,
): number {
  const publisher: Key = models.get(model)?.publisher ?? "";
  const inside = [payer, node, publisher].map((party) => clusterOf(party));
  return inside.includes(clusterOf(gateway)) ? 0 : GATEWAY_PER_MILLE;
}
