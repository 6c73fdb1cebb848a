/** Whether what was answered is within what was asked: one rule for whoever verifies a receipt and for the fold. */
import type { AuthorizationPayload, GrantPayload, ReceiptPayload } from "../entry/payload.ts";
import type { Manifest } from "../model/manifest.ts";

/** Which term is broken, in words, or undefined. `expiry` is the grant's, `manifest` that of the model asked for. */
export function brokenTerm(
  says: ReceiptPayload,
  asked: AuthorizationPayload,
  { expiry }: Pick<GrantPayload, "expiry">,
  manifest: Pick<Manifest, "upstream"> | undefined,
): string | undefined {
  const { price, status, response } = says;
  if (price > asked.maxPrice) return `the price ${price} is over the authorised ${asked.maxPrice}`;
  if (asked.tier !== "signed")
    return `the requester asked for the tier ${asked.tier}, which this receipt has no evidence of`;
  if (asked.expiry > expiry) return "the authorization outlives its session";
  if ((status === "ok") !== (response !== undefined))
    return `a receipt of status ${status} ${response ? "has" : "lacks"} a response`;
  if (status !== "ok" && price > 0n) return `a receipt of status ${status} has the price ${price}`;
  if (status !== "ok" && says.stream !== undefined) return `a receipt of status ${status} is for a stream`;
  return manifest === undefined ? undefined : brokenProvenance(says, manifest);
}

/** Who ran it is the manifest's to say: a node neither passes off another's answer as its own nor its own as another's. */
function brokenProvenance({ provenance, upstream }: ReceiptPayload, manifest: Pick<Manifest, "upstream">) {
  const due = manifest.upstream === undefined ? "executed" : "relayed";
  if (provenance !== due) return `the answer of a model that is ${due} is said to be ${provenance}`;
  if (upstream !== undefined && upstream.name !== manifest.upstream)
    return `the answer is said to come of ${upstream.name}, and the model is of ${manifest.upstream ?? "no upstream"}`;
  return undefined;
}
