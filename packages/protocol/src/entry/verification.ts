/**
 * What verifiers, referees and their like say: lots, verifications, appraisals, disputes, revocations (docs/spec/entry.md).
 * Evidence is named by its SHA-256; it is kept outside the log.
 */
import {
  type Codec,
  exactly,
  fixedBytes,
  type Infer,
  optional,
  required,
  struct,
  text,
  uint,
  variants,
  word,
} from "../cbor/codec.ts";
import { LOT_REVEALS, TIME_SECONDS } from "../limits.ts";

const version = required(0, exactly(1));
const digest = fixedBytes(32);
/** Seconds since 1970-01-01T00:00:00Z. */
const seconds = uint(TIME_SECONDS);

/** What ran the model, as far as bits depend on it. */
export const executionProfile = struct({
  runtime: required(1, text(64, /^[a-z0-9@.+/-]+$/)),
  /** SHA-256 of the engine's binary. */
  binary: required(2, digest),
  exactness: required(3, word({ exact: 1, tolerant: 2 })),
});
export type ExecutionProfile = Infer<typeof executionProfile>;

/** How a receipt was verified: the model ran again, its tokens were forced and compared, or a proof was checked. */
export const METHODS = { reexecution: 1, forcing: 2, proof: 3 } as const;
export type Method = keyof typeof METHODS;

/** `unopened`: the opening was due and was not given. `undecided`: the verifier could not do it, by no fault of the node. */
export const OUTCOMES = { passed: 1, failed: 2, unopened: 3, undecided: 4 } as const;
export type Outcome = keyof typeof OUTCOMES;

/** Signed by a verifier: what came of verifying one receipt. */
export const verificationPayload = struct({
  version,
  receipt: required(1, digest),
  method: required(2, word(METHODS)),
  outcome: required(3, word(OUTCOMES)),
  evidence: required(4, digest),
  /** What it took the verifier, in microseconds of one CPU. */
  cost: required(5, uint()),
  profile: optional(6, executionProfile),
  /** The index of the epoch entry whose lot drew it; lacks where somebody asked for it. */
  epoch: optional(7, uint()),
  /** SHA-256 of the structured reference string that a proof rests on. */
  ceremony: optional(8, digest),
});
export type VerificationPayload = Infer<typeof verificationPayload>;

/** Signed by a verifier: the end of a hash chain, `length` reveals long, by which it takes part in the lots from here on. */
const lotCommit = struct({
  version,
  action: required(1, word({ commit: 1 })),
  anchor: required(2, digest),
  length: required(3, uint(LOT_REVEALS)),
});
/** Signed by a verifier: the value before the last one of its chain, for the lot of one epoch entry. */
const lotReveal = struct({
  version,
  action: required(1, word({ reveal: 2 })),
  epoch: required(4, uint()),
  value: required(5, digest),
});
export type LotPayload = Infer<typeof lotCommit> | Infer<typeof lotReveal>;
export const lotPayload: Codec<LotPayload> = variants(1, {
  commit: { code: 1, codec: lotCommit },
  reveal: { code: 2, codec: lotReveal },
});

/** Whose hardware vouches. `simulated` has a root of its own and is never counted as attested. */
export const TECHNOLOGIES = { nitro: 1, tdx: 2, snp: 3, hopper: 4, simulated: 15 } as const;
export type Technology = keyof typeof TECHNOLOGIES;

/** Signed by a verifier: what hardware evidence says of the machine that holds a node's key. */
export const appraisalPayload = struct({
  version,
  /** The node's key id. */
  key: required(1, digest),
  technology: required(2, word(TECHNOLOGIES)),
  outcome: required(3, word({ passed: 1, failed: 2 })),
  /** SHA-256 of the archived evidence with its collateral. */
  evidence: required(4, digest),
  /** SHA-256 over what was measured. A `reference` approves it. */
  measurement: required(5, digest),
  /** SHA-256 of the vendor root's certificate. */
  root: required(6, digest),
  appraised: required(7, seconds),
  /** After this the node has to attest again. */
  expiry: required(8, seconds),
});
export type AppraisalPayload = Infer<typeof appraisalPayload>;

/** Signed by a publisher: a measurement that its release has. */
export const referencePayload = struct({
  version,
  action: required(1, word({ approve: 1, withdraw: 2 })),
  technology: required(2, word(TECHNOLOGIES)),
  measurement: required(3, digest),
  release: required(4, text(64, /^[0-9A-Za-z.+-]+$/)),
});
export type ReferencePayload = Infer<typeof referencePayload>;

/**
 * Signed by a disputer or a verifier, who holds the opening: this receipt is false. Or, of the ground `label`, by a disputer,
 * by who asked or by the model's publisher: why it is not counted as organic on its day is wrong.
 */
export const disputePayload = struct({
  version,
  receipt: required(1, digest),
  ground: required(2, word({ mismatch: 1, label: 2 })),
  evidence: required(3, digest),
});
export type DisputePayload = Infer<typeof disputePayload>;

/** Signed by a referee: what came of running it again. `dispute` is the dispute's signed id. */
export const resolutionPayload = struct({
  version,
  dispute: required(1, digest),
  outcome: required(2, word({ upheld: 1, rejected: 2, undecided: 3 })),
  evidence: required(3, digest),
  profile: optional(4, executionProfile),
});
export type ResolutionPayload = Infer<typeof resolutionPayload>;

/** What trust may rest on. The digest names the root: a key id, or the SHA-256 of a certificate, an SRS or an engine. */
export const ROOTS = { key: 1, vendor: 2, ceremony: 3, judge: 4, release: 5 } as const;
export type RootKind = keyof typeof ROOTS;

/** Signed by the log's role key: a root is not to be relied on, from a time on or from the beginning. */
export const revocationPayload = struct({
  version,
  kind: required(1, word(ROOTS)),
  root: required(2, digest),
  reason: required(3, word({ compromised: 1, broken: 2, superseded: 3 })),
  /** What has a time before this keeps its grade. */
  since: optional(4, seconds),
});
export type RevocationPayload = Infer<typeof revocationPayload>;
