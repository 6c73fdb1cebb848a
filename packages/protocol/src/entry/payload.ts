/** What each kind of entry says: the codecs of docs/spec/entry.md. Key 0 is the version of the kind. */
import { concat, equal, utf8 } from "../bytes.ts";
import { Malformed } from "../cbor/bytes.ts";
import {
  amount,
  byteString,
  type Codec,
  encode,
  exactly,
  fixedBytes,
  type Infer,
  optional,
  required,
  struct,
  text,
  uint,
  word,
} from "../cbor/codec.ts";
import {
  APP_NAME_LENGTH,
  AUTHORIZATION_SIZE_BYTES,
  DOMAIN_LENGTH,
  EPOCH_CHECKPOINT_SIZE_BYTES,
  HANDOVER_SIZE_BYTES,
  LOGGED_POLICY_SIZE_BYTES,
  MANIFEST_SIZE_BYTES,
  NAME_LENGTH,
  STREAM_FRAMES,
  TIME_SECONDS,
} from "../limits.ts";
import { settlementPayload } from "./settlement.ts";
import {
  affiliationPayload,
  recomputationPayload,
  reliancePayload,
  reversalPayload,
  snapshotPayload,
} from "./usage.ts";
import {
  appraisalPayload,
  disputePayload,
  executionProfile,
  lotPayload,
  referencePayload,
  resolutionPayload,
  revocationPayload,
  verificationPayload,
} from "./verification.ts";

const version = required(0, exactly(1));
const digest = fixedBytes(32);
/** Seconds since 1970-01-01T00:00:00Z. */
const seconds = uint(TIME_SECONDS);

/** A lower-case name in which a slash may divide publisher from model. */
export const NAME = /^[a-z0-9][a-z0-9._-]*(\/[a-z0-9][a-z0-9._-]*)?$/;
/** A lower-case name without a slash. */
export const SLUG = /^[a-z0-9][a-z0-9-]*$/;
/** A host's name in DNS, in lower case, of two labels at least; the last begins with a letter. */
export const DOMAIN = /^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$/;
/** A log's origin: a schema-less URL without a trailing slash (C2SP tlog-checkpoint). */
export const ORIGIN = /^[!-*,-~]+$/;

/** The DER before the 64 bytes of a P-256 point (RFC 5480 §2): id-ecPublicKey, prime256v1, uncompressed. */
const P256_SPKI = Uint8Array.from([
  0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
  0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
]);
const anyKey = fixedBytes(P256_SPKI.length + 64);

/** A P-256 public key as DER SubjectPublicKeyInfo, uncompressed: 91 bytes. */
const spki: Codec<Uint8Array> = {
  write: (writer, value) => anyKey.write(writer, ofP256(value)),
  read: (reader) => ofP256(anyKey.read(reader)),
};

function ofP256(value: Uint8Array): Uint8Array {
  if (!equal(value.subarray(0, P256_SPKI.length), P256_SPKI)) throw new Malformed("has a key that is not of P-256");
  return value;
}

/** What a key may sign. */
export const ROLES = {
  log: 1,
  gateway: 2,
  node: 3,
  publisher: 4,
  relier: 5,
  verifier: 6,
  referee: 7,
  disputer: 8,
  auditor: 9,
} as const;
export type Role = keyof typeof ROLES;

/** Signed by the key itself, which proves its possession. */
export const keyPayload = struct({
  version,
  action: required(1, word({ enrol: 1, retire: 2 })),
  role: required(2, word(ROLES)),
  spki: required(3, spki),
  name: required(4, text(NAME_LENGTH, NAME)),
  /** Of a relier: the name in DNS that says that this key is its own. */
  domain: optional(5, text(DOMAIN_LENGTH, DOMAIN)),
});
export type KeyPayload = Infer<typeof keyPayload>;

/** Signed by a publisher. `manifest` is there when a revision is published; its SHA-256 is the revision. */
export const modelPayload = struct({
  version,
  action: required(1, word({ publish: 1, yank: 2 })),
  revision: required(2, digest),
  manifest: optional(3, byteString(MANIFEST_SIZE_BYTES)),
  /** Atomic units a call. */
  price: optional(4, amount),
  /** Atomic units a million of the manifest's units; of a language model, of its input tokens. */
  unitPrice: optional(5, amount),
  /** Atomic units a million output tokens. */
  outputUnitPrice: optional(6, amount),
});
export type ModelPayload = Infer<typeof modelPayload>;

/** Who holds the key that signs a requester's half. */
export const CUSTODIES = { wallet: 1, account: 2, gateway: 3 } as const;
export type Custody = keyof typeof CUSTODIES;

const appName = text(APP_NAME_LENGTH, NAME);

/** Whether an app can be named so. */
export function isAppName(name: string): boolean {
  return name.length <= APP_NAME_LENGTH && NAME.test(name);
}

/** Signed by the gateway: a session key may ask on behalf of a payer. The session's id is this entry's signed id. */
export const grantPayload = struct({
  version,
  origin: required(1, text(NAME_LENGTH, ORIGIN)),
  gateway: required(2, digest),
  sessionKey: required(3, spki),
  custody: required(4, word(CUSTODIES)),
  payerTag: required(5, fixedBytes(16)),
  tagMode: required(6, word({ stable: 1, scoped: 2, anonymous: 3 })),
  budget: required(7, amount),
  paymentClass: required(8, word({ free: 1, credits: 2, x402: 3 })),
  expiry: required(9, seconds),
  /** The session key's signature over `possessionMessage`. */
  possession: required(10, fixedBytes(64)),
  /** The app that asks, in public, where the requester wishes that. */
  app: optional(11, appName),
});
export type GrantPayload = Infer<typeof grantPayload>;

const possession = struct({
  version,
  origin: required(1, text(NAME_LENGTH, ORIGIN)),
  gateway: required(2, digest),
  sessionKey: required(3, spki),
  app: optional(4, appName),
});

/** What a session key takes: the log, the gateway, the key itself, and the app that it is to be known under, if any. */
export type Possession = { origin: string; gateway: Uint8Array; sessionKey: Uint8Array; app?: string | undefined };

/** What a session key signs to show that it takes a grant, behind a tag of its own. */
export function possessionMessage({ origin, gateway, sessionKey, app }: Possession): Uint8Array {
  const says = { version: 1, origin, gateway, sessionKey } as const;
  return concat(utf8("tallystick possession v1\0"), encode(possession, app === undefined ? says : { ...says, app }));
}

export const commitment = struct({ alg: required(1, word({ sha256: 1, poseidon2: 2 })), digest: required(2, digest) });
export type Commitment = Infer<typeof commitment>;

export const TIERS = { signed: 1, attested: 2, reexecuted: 3, proved: 4 } as const;
export type Tier = keyof typeof TIERS;

/** The requester's half, signed by the session key. Its signed id is the receipt's id. */
export const authorizationPayload = struct({
  version,
  session: required(1, digest),
  nonce: required(2, uint(0xffff_ffff)),
  revision: required(3, digest),
  request: required(4, commitment),
  tier: required(5, word(TIERS)),
  maxPrice: required(6, amount),
  expiry: required(7, seconds),
  openness: required(8, word({ none: 1, lot: 2 })),
  traffic: required(9, word({ production: 1, test: 2, probe: 3 })),
  decision: optional(10, fixedBytes(16)),
});
export type AuthorizationPayload = Infer<typeof authorizationPayload>;

/** The node's half. */
export const receiptPayload = struct({
  version,
  /** The authorization's COSE_Sign1, whole. */
  authorization: required(1, byteString(AUTHORIZATION_SIZE_BYTES)),
  status: required(2, word({ ok: 1, failed: 2, cancelled: 3 })),
  profile: required(3, executionProfile),
  /** There when the status is ok. */
  response: optional(4, commitment),
  /** The manifest's units, rounded up to a step of 2^(k/2). */
  units: required(5, uint()),
  price: required(6, amount),
  provenance: required(7, word({ executed: 1, relayed: 2 })),
  /** Counts this node's receipts from 0 without a gap. */
  sequence: required(8, uint()),
  /** The chain over the frames of a streamed answer, where it was streamed (docs/spec/stream.md). */
  stream: optional(9, struct({ frames: required(1, uint(STREAM_FRAMES)), head: required(2, digest) })),
  /** Who gave a relayed answer: the configured name in clear; what it said of itself in commitments. */
  upstream: optional(
    10,
    struct({
      name: required(1, text(64, SLUG)),
      model: required(2, digest),
      responseId: optional(3, digest),
      fingerprint: optional(4, digest),
    }),
  ),
  /** A commitment to how the answer came about: attempts and times. */
  evidence: optional(11, digest),
  /** Output tokens, rounded up as `units`, where the price tells them from input. */
  outputUnits: optional(12, uint()),
});
export type ReceiptPayload = Infer<typeof receiptPayload>;

/** Signed by the session key: the requester accepted the answer. */
export const acknowledgementPayload = struct({ version, receipt: required(1, digest) });

/** Signed by the log's role key: the only clock that folds know. */
export const epochPayload = struct({ version, checkpoint: required(1, byteString(EPOCH_CHECKPOINT_SIZE_BYTES)) });

/**
 * Signed by the log's role key: the keys by which checkpoints are verified from here on. `handover` is there when the log's own
 * key is another than before.
 */
export const policyPayload = struct({
  version,
  /** A tlog-policy with this log alone. */
  policy: required(1, byteString(LOGGED_POLICY_SIZE_BYTES)),
  handover: optional(2, byteString(HANDOVER_SIZE_BYTES)),
});

export const PAYLOADS = {
  key: keyPayload,
  model: modelPayload,
  grant: grantPayload,
  receipt: receiptPayload,
  acknowledgement: acknowledgementPayload,
  reliance: reliancePayload,
  epoch: epochPayload,
  policy: policyPayload,
  settlement: settlementPayload,
  verification: verificationPayload,
  lot: lotPayload,
  appraisal: appraisalPayload,
  reference: referencePayload,
  dispute: disputePayload,
  resolution: resolutionPayload,
  revocation: revocationPayload,
  affiliation: affiliationPayload,
  reversal: reversalPayload,
  snapshot: snapshotPayload,
  recomputation: recomputationPayload,
} as const;
export type EntryKind = keyof typeof PAYLOADS;
