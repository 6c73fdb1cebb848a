/** Whether what was answered is within what was asked: one rule for whoever verifies a receipt and for the fold. */
import type { AuthorizationPayload, GrantPayload, ReceiptPayload } from "../entry/payload.ts";

/** Which term is broken, in words, or undefined. `expiry` is the grant's. */
export function brokenTerm(
  { price, status, response }: ReceiptPayload,
  asked: AuthorizationPayload,
  { expiry }: Pick<GrantPayload, "expiry">,
): string | undefined {
  if (price > asked.maxPrice) return `the price ${price} is over the authorised ${asked.maxPrice}`;
  if (asked.tier !== "signed")
    return `the requester asked for the tier ${asked.tier}, which this receipt has no evidence of`;
  if (asked.expiry > expiry) return "the authorization outlives its session";
  if ((status === "ok") !== (response !== undefined))
    return `a receipt of status ${status} ${response ? "has" : "lacks"} a response`;
  if (status !== "ok" && price > 0n) return `a receipt of status ${status} has the price ${price}`;
  return undefined;
}
