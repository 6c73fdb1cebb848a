/** A receipt that is to be looked at, with what is needed to run it again. */
import {
  type AuthorizationPayload,
  type EntryOf,
  type ExecutionProfile,
  equal,
  type FoldState,
  hex,
  isJsonObject,
  type JsonObject,
  keyOf,
  type LotOpening,
  lotOpeningFault,
  Malformed,
  type Manifest,
  type Method,
  parseAuthorization,
  parseCanonicalJson,
  parseEntry,
  reliedBy,
  signedId,
} from "@tallystick/protocol";

export type Case = {
  /** The receipt's id, and the id of the key that signed it. */
  id: Uint8Array;
  node: Uint8Array;
  receipt: EntryOf<"receipt">["says"];
  asked: AuthorizationPayload;
  manifest: Manifest;
  isEngineKnown: boolean;
};

/** What a receipt says, opened. */
export type Claim = {
  manifest: Manifest;
  call: Uint8Array;
  answer: Uint8Array;
  receiptId: Uint8Array;
  /** What the receipt says ran it, and how much it counted. */
  profile: ExecutionProfile;
  /** Whether a verifier of the log has run the engine that the receipt names. */
  isEngineKnown: boolean;
  units: number;
  outputUnits?: number;
  evidence?: JsonObject;
};

/** What came of running a claim again. */
export type Reexecution = {
  outcome: "passed" | "failed" | "undecided";
  method: Method;
  /** Why, in words that say nothing of the content. */
  detail: string;
  /** Whether a failure is a fault that anybody can show. */
  isProvable: boolean;
  costMicroseconds: number;
  profile?: ExecutionProfile;
};

/** Runs claims again, one after the other. */
export type Judge = { reexecute(claim: Claim): Promise<Reexecution> };

/** The receipt that the log has at an index. Throws where it is another than `id`. */
export function caseOf(fold: FoldState, id: Uint8Array, bytes: Uint8Array): Case {
  const entry = parseEntry(bytes);
  if (entry.kind !== "receipt") throw new Error(`the entry that was to be the receipt ${hex(id)} is a ${entry.kind}`);
  const { says: asked, signed } = parseAuthorization(entry.says.authorization);
  if (!equal(signedId(signed), id)) throw new Error(`another receipt lies where ${hex(id)} was to be`);
  const model = fold.models.get(keyOf(asked.revision));
  if (model === undefined) throw new Error(`the log has no revision ${hex(asked.revision)}`);
  const engine = keyOf(entry.says.profile.binary);
  const isEngineKnown = fold.proofs.engines.has(engine) && reliedBy(fold)("judge", engine, undefined);
  return { id, node: entry.signed.keyId, receipt: entry.says, asked, manifest: model.manifest, isEngineKnown };
}

/** The claim that an opening makes of a receipt, or why it does not open it. */
export function claimOf(
  { id, receipt, asked, manifest, isEngineKnown }: Case,
  opening: LotOpening,
): { ok: true; claim: Claim } | { ok: false; fault: string } {
  const fault = lotOpeningFault(receipt, asked, opening);
  if (fault !== undefined) return { ok: false, fault };
  // Else who opens it without its tokens, which need not be its node, would have them held to be missing.
  if (manifest.engine !== "judge" && receipt.evidence !== undefined && opening.evidence === undefined)
    return { ok: false, fault: "the evidence that the receipt commits to was not opened" };
  const { call, answer } = opening;
  const { profile, units, outputUnits } = receipt;
  const evidence = opening.evidence === undefined ? undefined : jsonIn(opening.evidence);
  return {
    ok: true,
    claim: {
      ...{ manifest, call, answer, receiptId: id, profile, isEngineKnown, units },
      ...(outputUnits === undefined ? {} : { outputUnits }),
      ...(evidence === undefined ? {} : { evidence }),
    },
  };
}

/** What a node committed to need not be JSON; then it says nothing. */
function jsonIn(bytes: Uint8Array): JsonObject | undefined {
  try {
    const json = parseCanonicalJson(bytes);
    return isJsonObject(json) ? json : undefined;
  } catch (error) {
    if (error instanceof Malformed) return undefined;
    throw error;
  }
}
