/**
 * Archived evidence: what hardware said, with the collateral by which it is appraised, in deterministic CBOR
 * (docs/spec/attestation.md). An appraisal in the log names it by its SHA-256, so that it is appraised again at its own time.
 */
import { sha256 } from "#platform";
import { concat, utf8 } from "../bytes.ts";
import { Malformed } from "../cbor/bytes.ts";
import {
  byteString,
  decode,
  encode,
  exactly,
  fixedBytes,
  type Infer,
  list,
  optional,
  required,
  struct,
  word,
} from "../cbor/codec.ts";
import { TECHNOLOGIES } from "../entry/verification.ts";
import { EVIDENCE_COLLATERAL, EVIDENCE_SIZE_BYTES } from "../limits.ts";

/** `certificate` and `crl` in DER, `json` as a vendor's service gives it, `key` a SubjectPublicKeyInfo. */
const collateral = struct({
  kind: required(1, word({ certificate: 1, crl: 2, json: 3, key: 4 })),
  bytes: required(2, byteString(EVIDENCE_SIZE_BYTES)),
});
export type Collateral = Infer<typeof collateral>;

/** What the evidence was asked to bind: it is appraised by this at any later time. */
const binding = struct({
  /** Of whoever was to appraise it first, that it is fresh. */
  nonce: required(1, fixedBytes(32)),
  /** The id of the node's receipt key. */
  key: required(2, fixedBytes(32)),
  /** SHA-256 of the SubjectPublicKeyInfo by which the node ends TLS, where it does so itself. */
  tlsKey: optional(3, fixedBytes(32)),
});
export type EvidenceBinding = Infer<typeof binding>;

const archived = struct({
  version: required(0, exactly(1)),
  technology: required(1, word(TECHNOLOGIES)),
  evidence: required(2, byteString(EVIDENCE_SIZE_BYTES)),
  collateral: required(3, list(collateral, EVIDENCE_COLLATERAL)),
  binding: optional(4, binding),
});
export type Evidence = Omit<Infer<typeof archived>, "version">;

/** The bytes that are archived. Throws Malformed where they would be too many. */
export function encodeEvidence(evidence: Evidence): Uint8Array {
  const bytes = encode(archived, { version: 1, ...evidence });
  if (bytes.length > EVIDENCE_SIZE_BYTES) throw new Malformed(`is evidence of more than ${EVIDENCE_SIZE_BYTES} bytes`);
  return bytes;
}

/** Reads archived evidence. Throws Malformed. */
export function parseEvidence(bytes: Uint8Array): Evidence {
  if (bytes.length > EVIDENCE_SIZE_BYTES) throw new Malformed(`is evidence of more than ${EVIDENCE_SIZE_BYTES} bytes`);
  const { version: _, ...evidence } = decode(archived, bytes);
  return evidence;
}

/** What an appraisal in the log names: SHA-256 of the archived bytes. */
export function evidenceDigest(bytes: Uint8Array): Uint8Array {
  return sha256(bytes);
}

const BINDING_TAG = utf8("tallystick attestation v1\0");

/**
 * What a node has its evidence bind: SHA-256 over a tag, the nonce, the id of its receipt key and that of its TLS key, zeros
 * where it ends none. Report data begin with it and go on in zeros.
 */
export function bindingOf({ nonce, key, tlsKey = new Uint8Array(32) }: EvidenceBinding): Uint8Array {
  for (const part of [nonce, key, tlsKey])
    if (part.length !== 32) throw new Malformed(`binds something of ${part.length} bytes, not 32`);
  return sha256(concat(BINDING_TAG, nonce, key, tlsKey));
}
