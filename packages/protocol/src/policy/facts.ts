/** What a log says of its answers, and of those that are still to be given, as far as an acceptance policy asks (docs/policy.md). */
import type { Tier } from "../entry/payload.ts";
import { type Ground, groundsOf, mayAct, reliedBy } from "../usage/grade.ts";
import { bytesOf, type Exclusion, type FoldState, type Key, type PublishedModel, timeOf } from "../usage/state.ts";
import type { AcceptanceFacts, TierGround } from "./satisfies.ts";

/** Receipts of which the log itself shows that they do not hold. */
export const BROKEN: ReadonlySet<Exclusion> = new Set([
  "unknown_session",
  "unknown_model",
  "unknown_node",
  "reused_nonce",
  "broken_terms",
  "overpriced",
]);

/** What is known of a receipt by all that is in the log; undefined where the log has no such receipt. */
export function factsIn(fold: FoldState, id: Key): AcceptanceFacts | undefined {
  const receipt = fold.receipts.get(id);
  if (receipt === undefined) return undefined;
  const model = fold.models.get(receipt.model);
  const time = timeOf(fold, receipt.index);
  const isBroken = receipt.exclusion !== undefined && BROKEN.has(receipt.exclusion);
  const grounds = isBroken ? [] : groundsOf(fold, receipt, fold.proofs.examinations.get(id), time, reliedBy(fold));
  return {
    // A receipt that says otherwise than its manifest has broken its terms.
    receipt: { provenance: model?.manifest.upstream === undefined ? "executed" : "relayed" },
    model: { name: model?.manifest.name ?? "", publisher: model && bytesOf(model.publisher) },
    grounds: grounds.flatMap(tierGround),
  };
}

/** The grounds that an answer of this node has as soon as it is given. */
export function groundsAtNode(fold: FoldState, node: Key, gateway: Key, nowSeconds: number): TierGround[] {
  const attested = fold.trust.attested.get(node);
  return groundsOf(fold, { node, gateway, attested }, undefined, nowSeconds, reliedBy(fold)).flatMap(tierGround);
}

function tierGround({ grade, roots }: Ground): TierGround[] {
  if (grade === "none") return [];
  return [{ tier: grade, roots: roots.map(({ kind, root }) => ({ kind, root: bytesOf(root) })) }];
}

/** The tiers that answers of a model may come to have here, by who is enrolled and whose evidence holds at that time. */
export function reachableTiers(
  fold: FoldState,
  { manifest }: PublishedModel,
  openness: "none" | "lot",
  { gateway, nowSeconds }: { gateway: Key; nowSeconds: number },
): Tier[] {
  const nodes = [...fold.trust.attested.keys()].filter((node) => mayAct(fold, node, "node"));
  const isAttested = nodes.some((node) =>
    groundsAtNode(fold, node, gateway, nowSeconds).some(({ tier }) => tier === "attested"),
  );
  const hasVerifier = [...fold.keys.keys()].some((key) => mayAct(fold, key, "verifier"));
  const isOpened = openness === "lot" && manifest.upstream === undefined && hasVerifier;
  return [
    "signed",
    ...(isAttested ? ["attested" as const] : []),
    ...(isOpened ? ["reexecuted" as const] : []),
    ...(hasVerifier && manifest.circuit !== undefined ? ["proved" as const] : []),
  ];
}
