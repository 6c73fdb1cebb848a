/** Whether what was answered is within what was asked: one rule for whoever verifies a receipt and for the fold. */
import { unitStep } from "../call/call.ts";
import type { AuthorizationPayload, GrantPayload, ReceiptPayload } from "../entry/payload.ts";
import { RECEIPT_UNITS } from "../limits.ts";
import type { Manifest } from "../model/manifest.ts";

/** Which term is broken, in words, or undefined. `expiry` is the grant's, `manifest` that of the model asked for. */
export function brokenTerm(
  says: ReceiptPayload,
  asked: AuthorizationPayload,
  { expiry }: Pick<GrantPayload, "expiry">,
  manifest: TermsOfModel | undefined,
): string | undefined {
  const { price, status, response } = says;
  if (price > asked.maxPrice) return `the price ${price} is over the authorised ${asked.maxPrice}`;
  if (asked.expiry > expiry) return "the authorization outlives its session";
  if ((status === "ok") !== (response !== undefined))
    return `a receipt of status ${status} ${response ? "has" : "lacks"} a response`;
  if (status !== "ok" && price > 0n) return `a receipt of status ${status} has the price ${price}`;
  if (status !== "ok" && says.stream !== undefined) return `a receipt of status ${status} is for a stream`;
  const counts = brokenCounts(says);
  if (counts !== undefined || manifest === undefined) return counts;
  return unmetTier(asked, manifest) ?? brokenProvenance(says, manifest);
}

/** Which count of a receipt is no step of the ladder, in words: it tells more than it may, or has no bound. */
export function brokenCounts({ units, outputUnits = 0 }: Pick<ReceiptPayload, "units" | "outputUnits">) {
  if (unitStep(units) !== units) return `the units ${units} are no step of the ladder up to ${RECEIPT_UNITS}`;
  if (unitStep(outputUnits) !== outputUnits)
    return `the output units ${outputUnits} are no step of the ladder up to ${RECEIPT_UNITS}`;
  return undefined;
}

type TermsOfModel = Pick<Manifest, "upstream" | "engine" | "tolerance" | "circuit">;

/** Why an answer of this model cannot come to the tier that was asked for, in words; undefined where it can. */
export function unmetTier(
  { tier, request, openness }: Pick<AuthorizationPayload, "tier" | "request" | "openness">,
  { upstream, engine, tolerance, circuit }: TermsOfModel,
): string | undefined {
  if ((tier === "proved") !== (request.alg === "poseidon2"))
    return `a request for the tier ${tier} is committed to by ${tier === "proved" ? "poseidon2" : "sha256"}, not ${request.alg}`;
  if (tier === "attested") return "no answer is asked for at the tier attested: a policy says that it is wanted";
  if (tier === "proved" && circuit === undefined) return "the model has no circuit, by which answers are proved";
  if (tier !== "reexecuted") return undefined;
  if (openness !== "lot") return "the tier reexecuted is for requests that a verifier may see: openness lot";
  const isComparable = upstream === undefined && (engine === "judge" || tolerance !== undefined);
  return isComparable ? undefined : "the model runs nowhere else the same: it is not of the judge and has no tolerance";
}

/** Who ran it is the manifest's to say: a node neither passes off another's answer as its own nor its own as another's. */
function brokenProvenance({ provenance, upstream }: ReceiptPayload, manifest: TermsOfModel) {
  const due = manifest.upstream === undefined ? "executed" : "relayed";
  if (provenance !== due) return `the answer of a model that is ${due} is said to be ${provenance}`;
  if (upstream !== undefined && upstream.name !== manifest.upstream)
    return `the answer is said to come of ${upstream.name}, and the model is of ${manifest.upstream ?? "no upstream"}`;
  return undefined;
}
