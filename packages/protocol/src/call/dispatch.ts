/** What the SDK and the gateway say to each other at `POST /v1/infer`: CBOR, so that the bytes sent are the bytes signed. */
import {
  byteString,
  type Codec,
  decode,
  encode,
  exactly,
  fixedBytes,
  type Infer,
  list,
  optional,
  required,
  struct,
  text,
  uint,
  word,
} from "../cbor/codec.ts";
import { SLUG } from "../entry/payload.ts";
import { AUTHORIZATION_SIZE_BYTES, CALL_SIZE_BYTES, DISPATCH_ATTEMPTS, RECEIPT_SIZE_BYTES } from "../limits.ts";

const version = required(0, exactly(1));

/** One node that the gateway tried before: which, what came of it, how long that took. */
const attempt = struct({
  at: required(1, text(64, SLUG)),
  outcome: required(2, text(32, SLUG)),
  ms: required(3, uint(0xffff_ffff)),
});

const dispatch = struct({
  version,
  authorization: required(1, byteString(AUTHORIZATION_SIZE_BYTES)),
  salt: required(2, fixedBytes(32)),
  call: required(3, byteString(CALL_SIZE_BYTES)),
  /** How a JSON answer travels: in frames as it comes, or whole where this lacks. No part of what is signed. */
  stream: optional(
    4,
    struct({
      usage: required(1, word({ in_receipt: 1, in_frame: 2 })),
      /** The stream so far is signed about this often; never where this lacks. */
      sealIntervalMs: optional(2, uint(60_000)),
    }),
  ),
  /** Nodes that did not take it up, in order. Between the gateway and a node alone; the receipt's evidence is over them. */
  attempts: optional(5, list(attempt, DISPATCH_ATTEMPTS)),
});
/** The requester's half, and what its commitment is over. */
export type Dispatch = Omit<Infer<typeof dispatch>, "version">;

const delivery = struct({
  version,
  receipt: required(1, byteString(RECEIPT_SIZE_BYTES)),
  answer: required(2, byteString(CALL_SIZE_BYTES)),
  salt: required(3, fixedBytes(32)),
});
/** The node's half, and what its commitment is over. */
export type Delivery = Omit<Infer<typeof delivery>, "version">;

export function encodeDispatch(value: Dispatch): Uint8Array {
  return encode(dispatch, { version: 1, ...value });
}

/** Throws Malformed. */
export function parseDispatch(bytes: Uint8Array): Dispatch {
  return unversioned(dispatch, bytes);
}

export function encodeDelivery(value: Delivery): Uint8Array {
  return encode(delivery, { version: 1, ...value });
}

/** Throws Malformed. */
export function parseDelivery(bytes: Uint8Array): Delivery {
  return unversioned(delivery, bytes);
}

function unversioned<T extends { version: 1 }>(codec: Codec<T>, bytes: Uint8Array): Omit<T, "version"> {
  const { version: _, ...value } = decode(codec, bytes);
  return value;
}
