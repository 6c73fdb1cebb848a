/**
 * Settlements: what a gateway says of its payers' and payees' money, in atomic units (docs/spec/entry.md). A key has one
 * meaning in all four actions.
 */
import {
  amount,
  type Codec,
  exactly,
  fixedBytes,
  type Infer,
  list,
  optional,
  required,
  struct,
  variants,
  word,
} from "../cbor/codec.ts";
import { CHARGED_RECEIPTS } from "../limits.ts";

const version = required(0, exactly(1));
const payerTag = required(2, fixedBytes(16));
const money = required(3, amount);
/** Makes the statement once: another one of the same reference counts as nothing. */
const reference = required(6, fixedBytes(16));
const receiptId = fixedBytes(32);

/** Credits for a payer. `funder` is the id of the key whose money it was, where that is a key. */
const topup = struct({
  version,
  action: required(1, word({ topup: 1 })),
  payerTag,
  amount: money,
  source: required(4, word({ operator: 1, transfer: 2, x402: 3 })),
  funder: optional(5, fixedBytes(32)),
  reference,
});
export type TopupSource = Infer<typeof topup>["source"];

/** What a payer's receipts come to, each charged once. */
const charge = struct({
  version,
  action: required(1, word({ charge: 2 })),
  payerTag,
  amount: money,
  receipts: required(7, list(receiptId, CHARGED_RECEIPTS, 1)),
});

/** Some or all of what one receipt cost, given back. */
const refund = struct({
  version,
  action: required(1, word({ refund: 3 })),
  payerTag,
  amount: money,
  receipt: required(8, receiptId),
  reason: required(9, word({ failed: 1, unproved: 2, disputed: 3, goodwill: 4 })),
});

/** Earnings that were paid out, to the holder of a node's, publisher's or gateway's key. */
const payout = struct({
  version,
  action: required(1, word({ payout: 4 })),
  amount: money,
  reference,
  payee: required(10, fixedBytes(32)),
});

export type SettlementPayload =
  | Infer<typeof topup>
  | Infer<typeof charge>
  | Infer<typeof refund>
  | Infer<typeof payout>;

/** Signed by a gateway. Which of the four it is, key 1 says. */
export const settlementPayload: Codec<SettlementPayload> = variants(1, {
  topup: { code: 1, codec: topup },
  charge: { code: 2, codec: charge },
  refund: { code: 3, codec: refund },
  payout: { code: 4, codec: payout },
});
