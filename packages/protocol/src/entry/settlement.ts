/**
 * Settlements: what a gateway says of its payers' and payees' money, in atomic units (docs/spec/entry.md). A key has one
 * meaning in all four actions.
 */
import { type CborReader, MAJOR, Malformed } from "../cbor/bytes.ts";
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
  uint,
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
export const settlementPayload: Codec<SettlementPayload> = {
  write(writer, value) {
    if (value.action === "topup") topup.write(writer, value);
    else if (value.action === "charge") charge.write(writer, value);
    else if (value.action === "refund") refund.write(writer, value);
    else payout.write(writer, value);
  },
  read(reader) {
    const action = actionOf(reader.ahead());
    if (action === 1) return topup.read(reader);
    if (action === 2) return charge.read(reader);
    if (action === 3) return refund.read(reader);
    if (action === 4) return payout.read(reader);
    throw new Malformed(`has the action ${action}, which is none of 1, 2, 3, 4`);
  },
};

function actionOf(reader: CborReader): number {
  reader.count(MAJOR.map);
  version.codec.read(keyed(reader, version.key));
  return uint().read(keyed(reader, 1));
}

function keyed(reader: CborReader, key: number): CborReader {
  if (!reader.take(key)) throw new Malformed(`lacks key ${key} in its place`);
  return reader;
}
