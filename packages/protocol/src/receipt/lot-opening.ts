/**
 * What opens a receipt to whoever checks it: the call and the answer, and the salts under their commitments
 * (docs/spec/verification.md). A node keeps it for the lot, and a requester may hand it to a referee.
 */
import { concat, equal, utf8 } from "../bytes.ts";
import { commit, commitField } from "../call/call.ts";
import { Malformed } from "../cbor/bytes.ts";
import {
  byteString,
  decode,
  encode,
  exactly,
  fixedBytes,
  type Infer,
  optional,
  required,
  struct,
} from "../cbor/codec.ts";
import type { AuthorizationPayload, Commitment, ReceiptPayload } from "../entry/payload.ts";
import { CALL_SIZE_BYTES, DISCLOSURE_SIZE_BYTES, ENTRY_SIZE_BYTES } from "../limits.ts";

const version = required(0, exactly(1));

const lotOpening = struct({
  version,
  requestSalt: required(1, fixedBytes(32)),
  /** The canonical bytes of the call, and of the answer. */
  call: required(2, byteString(CALL_SIZE_BYTES)),
  responseSalt: required(3, fixedBytes(32)),
  answer: required(4, byteString(CALL_SIZE_BYTES)),
  /** The canonical JSON of the receipt's evidence, which says what a language model's tokens were. */
  evidence: optional(5, byteString(DISCLOSURE_SIZE_BYTES)),
});
export type LotOpening = Omit<Infer<typeof lotOpening>, "version">;

/** The most that an opening has beside the call, the answer and the evidence. */
const HEADS_BYTES = 128;
/** The largest call with the largest answer. */
export const LOT_OPENING_SIZE_BYTES: number = 2 * CALL_SIZE_BYTES + DISCLOSURE_SIZE_BYTES + HEADS_BYTES;

export function encodeLotOpening(opening: LotOpening): Uint8Array {
  return encode(lotOpening, { version: 1, ...opening });
}

/** Throws Malformed. */
export function parseLotOpening(bytes: Uint8Array): LotOpening {
  if (bytes.length > LOT_OPENING_SIZE_BYTES) throw new Malformed(`has more than ${LOT_OPENING_SIZE_BYTES} bytes`);
  const { version: _, ...opening } = decode(lotOpening, bytes);
  return opening;
}

/** What of a receipt `opening` does not open; undefined where it opens both halves. Of poseidon2 nothing is opened so. */
export function lotOpeningFault(
  { response, status, evidence: committed }: ReceiptPayload,
  { request }: AuthorizationPayload,
  { requestSalt, call, responseSalt, answer, evidence }: LotOpening,
): string | undefined {
  const opens = (commitment: Commitment | undefined, made: Commitment) =>
    commitment?.alg === "sha256" && equal(commitment.digest, made.digest);
  if (!opens(request, commit("request", requestSalt, call))) return "the call is not the one that was authorised";
  if (status !== "ok" || !opens(response, commit("response", responseSalt, answer)))
    return "the answer is not the one that the receipt is for";
  if (evidence === undefined) return undefined;
  const isCommitted = committed !== undefined && equal(committed, commitField("evidence", responseSalt, evidence));
  return isCommitted ? undefined : "the evidence is not the one that the receipt commits to";
}

const checkRequest = struct({ version, receipt: required(1, fixedBytes(32)), verifier: required(2, fixedBytes(32)) });

/**
 * What the key of a receipt's session signs to have one verifier look at it, drawn or not: the receipt's id and that of the
 * verifier's key. The receipt's node gives the opening to that verifier then.
 */
export function checkRequestMessage(says: { receipt: Uint8Array; verifier: Uint8Array }): Uint8Array {
  return concat(utf8("tallystick check v1\0"), encode(checkRequest, { version: 1, ...says }));
}

/** Evidence about one verification: a few facts, and no content. */
export const VERIFICATION_EVIDENCE_SIZE_BYTES = 16_384;

const submission = struct({
  version,
  entry: required(1, byteString(ENTRY_SIZE_BYTES)),
  evidence: optional(2, byteString(VERIFICATION_EVIDENCE_SIZE_BYTES)),
  opening: optional(3, byteString(LOT_OPENING_SIZE_BYTES)),
});
/** A statement for the log with what it names: its evidence, to be archived, and an opening, for the referee alone. */
export type Submission = Omit<Infer<typeof submission>, "version">;
export const SUBMISSION_SIZE_BYTES: number =
  ENTRY_SIZE_BYTES + VERIFICATION_EVIDENCE_SIZE_BYTES + LOT_OPENING_SIZE_BYTES + HEADS_BYTES;

export function encodeSubmission(value: Submission): Uint8Array {
  return encode(submission, { version: 1, ...value });
}

/** Throws Malformed. */
export function parseSubmission(bytes: Uint8Array): Submission {
  const { version: _, ...value } = decode(submission, bytes);
  return value;
}
