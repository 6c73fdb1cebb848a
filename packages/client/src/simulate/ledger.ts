/** What attackers paid and have not got back, from the simulated ledger and who is really behind each key. */
import { splitPrice } from "@tallystick/protocol";
import type { Owner, World } from "./world.ts";

/**
 * What left each owner for good: of each price, the shares of those who are somebody else, less what was refunded; and fees to
 * those outside. What one's own keys earn of one's own calls is not lost, whichever way it comes back.
 */
export function irrecoverable({ fold, owners, fees }: World): Map<Owner, bigint> {
  const lost = new Map(fees);
  for (const [id, { priceAtomic, refundedAtomic, node }] of fold.credits.payments) {
    const receipt = fold.receipts.get(id);
    const payer = receipt && owners.get(receipt.payer);
    if (receipt === undefined || payer === undefined) throw new Error("somebody unknown paid for a receipt");
    const share = splitPrice(priceAtomic - refundedAtomic);
    const publisher = fold.models.get(receipt.model)?.publisher ?? "";
    const parts = [
      [node, share.node],
      [publisher, share.publisher],
      [receipt.lane.gateway, share.gateway],
    ] as const;
    for (const [key, amountAtomic] of parts)
      if (owners.get(key) !== payer) lost.set(payer, (lost.get(payer) ?? 0n) + amountAtomic);
  }
  return lost;
}
