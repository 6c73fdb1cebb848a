/** Every bound of the protocol. An implementation may be stricter towards its callers, never towards a log. */

/** A leaf of the log: C2SP tlog-tiles stores an entry behind a 16-bit length. */
export const ENTRY_SIZE_BYTES = 65_535;
/** A receipt entry, authorization included. */
export const RECEIPT_SIZE_BYTES = 1_024;
/** Units of a receipt, and output units: the last step of their ladder, so that none is over it. */
export const RECEIPT_UNITS = 2 ** 32;
/** Frames of a streamed answer: what a receipt's chain may count. */
export const STREAM_FRAMES = 0xffff_ffff;
/** A request authorization: the longest has 317, and a receipt with every field at its longest has room for this. */
export const AUTHORIZATION_SIZE_BYTES = 384;
/** Evidence of hardware with its collateral, archived: Intel's is some 20 kB, most of it a list that grows. */
export const EVIDENCE_SIZE_BYTES = 1024 * 1024;
/** The text of an acceptance policy: it travels in a header. */
export const ACCEPTANCE_SIZE_BYTES = 4_096;
/** Models, publishers and roots in an acceptance policy, of each. */
export const ACCEPTANCE_ROWS = 64;
/** Certificates, lists and the like beside one piece of evidence. */
export const EVIDENCE_COLLATERAL = 16;
/** Receipts that one settlement charges: 34 bytes each, they and the rest fit in an entry. */
export const CHARGED_RECEIPTS = 1_000;
/** Reveals of one hash chain of a verifier: at an epoch each ten seconds, some four months. */
export const LOT_REVEALS = 1_048_576;
/** A manifest inside a model entry. */
export const MANIFEST_SIZE_BYTES = 32_768;
/** The canonical bytes of one call or one answer. */
export const CALL_SIZE_BYTES = 32 * 1024 * 1024;
/** Arrays and objects in one another in the JSON of a call or an answer. */
export const JSON_DEPTH = 64;
/** Choices of a streamed answer, and calls of tools in one of them. */
export const STREAM_CHOICES = 128;
export const STREAM_TOOL_CALLS = 128;
/** Nodes that a gateway tries before it gives up, as a dispatch tells of them. */
export const DISPATCH_ATTEMPTS = 8;
/** What a node says to a person of why there is no answer. */
export const REFUSAL_TEXT_LENGTH = 2_048;
/** What a receipt's other commitments open to. */
export const DISCLOSURE_SIZE_BYTES = 65_536;
/** Tokens of an answer, all choices together, that its evidence commits to; of an answer with more, it commits to none. */
export const COMMITTED_TOKENS = 7_168;
export const TENSORS_PER_CALL = 64;
export const TENSOR_RANK = 8;
/** A slug: a role's name, `publisher/model`. */
export const NAME_LENGTH = 128;
/** The name of an app that a session is granted to. */
export const APP_NAME_LENGTH = 64;
/** Apps that have rows of their own in a day's document; the others are one row. */
export const APPS_NAMED = 100;
/** A DNS name that a relier is bound to. */
export const DOMAIN_LENGTH = 128;
/** Keys that one affiliation names, and those that one key names in all its affiliations. */
export const AFFILIATED_KEYS = 64;
export const AFFILIATED_KEYS_IN_ALL = 1_024;
/** Sizes that a fold keeps an auditor's recomputations of: the last ones. */
export const RECOMPUTATIONS_KEPT = 64;
/** A session accepts a nonce this far behind or ahead of its highest. */
export const NONCE_WINDOW = 1_024;
/** A checkpoint with its signatures and cosignatures: sixteen signatures of 5 kB fit, as C2SP signed-note asks. */
export const NOTE_SIZE_BYTES = 131_072;
export const NOTE_SIGNATURES = 64;
/** The checkpoint inside an epoch entry, which a leaf has to hold. */
export const EPOCH_CHECKPOINT_SIZE_BYTES = 16_384;
/** The note by which a key of the log gives way to the next. */
export const HANDOVER_SIZE_BYTES = 4_096;
/** Handovers in a receipt file, and so the changes of key that a log may see. */
export const HANDOVERS = 256;
/** An inclusion or consistency proof: a tree of 2^63 leaves is 63 levels high. */
export const PROOF_HASHES = 63;
/** The text of a tlog-proof: its head, its hashes and its checkpoint. */
export const LOG_PROOF_SIZE_BYTES = NOTE_SIZE_BYTES + 4_096;
/** A trust policy: 64 logs and 64 witnesses of ML-DSA-44 fit, each with its URL. */
export const POLICY_SIZE_BYTES = 262_144;
/** A trust policy inside a policy entry. */
export const LOGGED_POLICY_SIZE_BYTES = 32_768;
/** Logs, witnesses and groups of one policy, of each kind. C2SP tlog-policy recommends 32 at least. */
export const POLICY_LINES_OF_KIND = 64;
/** A receipt file with its proofs and opening: the largest call and the largest answer fit, in base64. */
export const RECEIPT_FILE_SIZE_BYTES = 3 * CALL_SIZE_BYTES;
/** The last second that a time of Tallystick may name, 2106-02-07T06:28:15Z. */
export const TIME_SECONDS = 0xffff_ffff;
/** A request to a witness: the old size, a consistency proof, a checkpoint. */
export const ADD_CHECKPOINT_SIZE_BYTES: number = NOTE_SIZE_BYTES + 45 * PROOF_HASHES + 22;
/** The description of a circuit, which a browser reads. */
export const CIRCUIT_FILE_SIZE_BYTES = 65_536;
/** Layers of a circuit, values of a row of its input, outputs of a layer, and parameters in all. */
export const CIRCUIT_LAYERS = 16;
export const CIRCUIT_INPUTS = 4_096;
export const CIRCUIT_OUTPUTS = 4_096;
export const CIRCUIT_PARAMETERS = 262_144;
/** Bits of the largest number inside a circuit: with a sign it has to be one of 128 bits. */
export const CIRCUIT_ACCUMULATOR_BITS = 124;
/** Calls that one proof is of. */
export const PROOF_CALLS = 64;
/** A proof's own bytes: those of 2^20 gates are below this. */
export const PROOF_SIZE_BYTES = 16_384;
