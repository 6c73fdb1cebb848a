/**
 * The inference node: checks the requester's half, runs the model, signs what came out. What it signs is durable in the
 * log before anybody gets it, and it never signs a second receipt for one authorization.
 */
import assert from "node:assert/strict";
import {
  type Authorization,
  type AuthorizationPayload,
  CALL_SIZE_BYTES,
  type Call,
  commit,
  type Dispatch,
  type ExecutionProfile,
  encodeAnswer,
  equal,
  type FoldState,
  hex,
  keyId,
  keyOf,
  Malformed,
  type Manifest,
  type PublishedModel,
  parseAuthorization,
  parseCall,
  priceOf,
  type ReceiptPayload,
  type Signer,
  signEntry,
  signedId,
  type Tensor,
  unitStep,
  verifySigned,
} from "@tallystick/protocol";
import { type Clock, nowSeconds } from "../platform/clock.ts";
import { ServiceError } from "../platform/errors.ts";
import type { Random } from "../platform/random.ts";

/** How running a call ended. */
export type Execution =
  | { kind: "answered"; outputs: Tensor[]; unitCount: number }
  | { kind: "refused"; message: string }
  | { kind: "failed"; reason: "deadline" | "memory" | "crashed" | "engine"; message: string }
  | { kind: "overloaded"; message: string };

type Concluded = Exclude<Execution, { kind: "overloaded" }>;
type Unanswered = Exclude<Concluded, { kind: "answered" }>;

/** What runs models for this node. */
export type Engine = {
  /** Makes a revision ready, once; what it is made of comes from `files`. */
  prepare(model: PublishedModel, files: (manifest: Manifest) => Promise<Map<string, Uint8Array>>): Promise<void>;
  run(revision: Uint8Array, inputs: Tensor[], deadlineMs: number): Promise<Execution>;
  profile(revision: Uint8Array): ExecutionProfile;
};

export type NodeParts = {
  /** Signs in the order in which it is asked: a node's receipts count without a gap, in the order of the log. */
  signer: Signer;
  engine: Engine;
  fold: FoldState;
  clock: Clock;
  random: Random;
  deadlineMs: number;
  files(manifest: Manifest): Promise<Map<string, Uint8Array>>;
  /** Throws where the log could not take a receipt: asked before the work is done. */
  checkRoom(): void;
  /** Durable when it resolves. */
  append(entry: Uint8Array): Promise<number>;
};

/** What the node gives back: always a receipt; the answer where there is one, else why there is none. */
export type Served = { id: Uint8Array; index: number; receipt: Uint8Array } & (
  | { ok: true; outputs: Tensor[]; answer: Uint8Array; salt: Uint8Array }
  | { ok: false; refusal: ServiceError }
);

/** What a dispatch says, from a gateway of this very process: its signature is checked, and its call taken apart, already. */
export type Checked = { authorization: Authorization; call: Call };

export type InferenceNode = { serve(dispatch: Dispatch, checked?: Checked): Promise<Served> };

export function createNode(parts: NodeParts): InferenceNode {
  const { signer, engine, fold, random } = parts;
  const own = keyOf(keyId(signer.spki));
  /** Authorizations taken up, until the fold knows their receipts. One that was signed for stays, whatever became of the receipt. */
  const spent = new Set<string>();
  let sequence = fold.nodeSequences.get(own) ?? 0;

  async function serve({ authorization: bytes, salt, call }: Dispatch, checked?: Checked): Promise<Served> {
    const authorization = checked?.authorization ?? (await checkAuthorization(parts, bytes));
    assert(authorization.signed.bytes === bytes, "what was checked is what is dispatched");
    const id = signedId(authorization.signed);
    const model = admit(parts, authorization.says, salt, call);
    const asked = checked?.call ?? parse(parseCall, call, "call");
    if (asked.operation !== "infer")
      throw new ServiceError("invalid_request", `the operation ${asked.operation} is not offered by this node`);
    const { inputs, outputs: wanted } = asked;
    const name = keyOf(id);
    if (spent.has(name) || fold.receipts.has(name))
      throw new ServiceError("conflict", `the authorization ${hex(id)} was used already: sign a new one`);
    parts.checkRoom();
    spent.add(name);
    const execution = await execute(model, inputs).catch((error: unknown) => {
      spent.delete(name); // Nothing was signed.
      throw error;
    });
    forget(spent, fold);
    return conclude(id, bytes, model, bounded(choose(execution, wanted)));
  }

  async function execute(model: PublishedModel, inputs: Tensor[]): Promise<Concluded> {
    await engine.prepare(model, parts.files);
    const execution = await engine.run(model.revision, inputs, parts.deadlineMs);
    if (execution.kind === "overloaded") throw new ServiceError("unavailable", execution.message);
    return execution;
  }

  async function conclude(
    id: Uint8Array,
    authorization: Uint8Array,
    model: PublishedModel,
    execution: Concluded,
  ): Promise<Served> {
    const profile = engine.profile(model.revision);
    const common = { version: 1, authorization, profile, provenance: "executed" } as const;
    if (execution.kind !== "answered") {
      const says = { ...common, status: "failed", units: 0, price: 0n, sequence: sequence++ } as const;
      const { receipt, index } = await signAndAppend(says);
      return { ok: false, id, index, receipt, refusal: refusalOf(execution, hex(id)) };
    }
    const answer = encodeAnswer(execution.outputs);
    const salt = random(32);
    const { receipt, index } = await signAndAppend({
      ...common,
      status: "ok",
      response: commit("response", salt, answer),
      units: unitStep(execution.unitCount),
      price: priceOf(model, execution.unitCount),
      sequence: sequence++,
    });
    return { ok: true, id, index, receipt, outputs: execution.outputs, answer, salt };
  }

  async function signAndAppend(says: ReceiptPayload): Promise<{ receipt: Uint8Array; index: number }> {
    const { signed } = await signEntry(signer, "receipt", says);
    const index = await parts.append(signed.bytes).catch((cause: unknown) => {
      if (!(cause instanceof ServiceError)) throw cause;
      // The disk may have it although the log could not say so.
      throw new ServiceError(cause.code, cause.message, { cause, isOutcomeUnknown: true });
    });
    return { receipt: signed.bytes, index };
  }

  return { serve };
}

const SPENT_KEPT = 8_192;

/** What the fold knows need not be kept twice; looked at once there is much of it. */
function forget(spent: Set<string>, fold: FoldState): void {
  if (spent.size > SPENT_KEPT) for (const name of spent) if (fold.receipts.has(name)) spent.delete(name);
}

/** The requester's half, with its signature checked. */
async function checkAuthorization({ fold }: NodeParts, bytes: Uint8Array): Promise<Authorization> {
  const authorization = parse(parseAuthorization, bytes, "authorization");
  const session = fold.sessions.get(keyOf(authorization.says.session));
  if (session === undefined)
    throw new ServiceError("forbidden", `no session ${hex(authorization.says.session)}: POST /v1/sessions grants one`);
  if (!(await verifySigned(authorization.signed, session.sessionKey)))
    throw new ServiceError("forbidden", "the authorization is not signed by the key of its session");
  return authorization;
}

/** The model to run. Throws where the terms are not what this node can keep. */
function admit(
  { fold, clock }: NodeParts,
  says: AuthorizationPayload,
  salt: Uint8Array,
  call: Uint8Array,
): PublishedModel {
  const now = nowSeconds(clock);
  const session = fold.sessions.get(keyOf(says.session));
  if (says.expiry < now || (session?.expiry ?? 0) < now)
    throw new ServiceError(
      "expired",
      "the authorization or its session has expired: sign a new one, in a new session if need be",
    );
  if (says.expiry > (session?.expiry ?? 0))
    throw new ServiceError("invalid_request", "the authorization outlives its session: sign one that ends no later");
  const model = fold.models.get(keyOf(says.revision));
  if (model === undefined)
    throw new ServiceError(
      "not_found",
      `no model revision ${hex(says.revision)}: GET /v1/models lists what is offered`,
    );
  if (model.yanked)
    throw new ServiceError("model_yanked", `the revision ${hex(says.revision)} was withdrawn by its publisher`);
  if (model.priceAtomic > says.maxPrice)
    throw new ServiceError(
      "price_over_maximum",
      `a call costs ${model.priceAtomic}, over the maximum of ${says.maxPrice}: authorise more`,
    );
  if (says.tier !== "signed")
    throw new ServiceError("invalid_request", `the tier "${says.tier}" is not offered here: authorise "signed"`);
  const opened =
    says.request.alg === "sha256" &&
    salt.length === 32 &&
    equal(commit("request", salt, call).digest, says.request.digest);
  if (!opened) throw new ServiceError("invalid_request", "the call is not the one that the authorization commits to");
  return model;
}

/** The outputs that were asked for, in that order; all of them where none was named. */
function choose(execution: Concluded, wanted: readonly string[]): Concluded {
  if (execution.kind !== "answered" || wanted.length === 0) return execution;
  const outputs = wanted.map((name) => execution.outputs.find((output) => output.name === name));
  const missing = wanted[outputs.indexOf(undefined)];
  if (missing !== undefined) return { kind: "refused", message: `the model has no output "${missing}"` };
  return { ...execution, outputs: outputs.filter((output) => output !== undefined) };
}

/** An answer of more bytes than a commitment is over is none: it gets a failed receipt, as every call without an answer. */
function bounded(execution: Concluded): Concluded {
  if (execution.kind !== "answered") return execution;
  const sizeBytes = execution.outputs.reduce((sum, { data }) => sum + data.length, 0);
  if (sizeBytes <= CALL_SIZE_BYTES - ANSWER_HEADS_BYTES) return execution;
  return {
    kind: "failed",
    reason: "engine",
    message: `its answer has ${sizeBytes} bytes, more than ${CALL_SIZE_BYTES}`,
  };
}

/** Room for what an answer's canonical bytes have beside its data: names, datatypes and shapes of its outputs. */
const ANSWER_HEADS_BYTES = 65_536;

function refusalOf(execution: Unanswered, receiptId: string): ServiceError {
  if (execution.kind === "refused") return new ServiceError("invalid_request", execution.message, { receiptId });
  const code = execution.reason === "deadline" ? "deadline_exceeded" : "node_failed";
  return new ServiceError(
    code,
    `the model gave no answer (${execution.reason}): ${execution.message}. It cost nothing`,
    { receiptId },
  );
}

function parse<T>(read: (bytes: Uint8Array) => T, bytes: Uint8Array, what: string): T {
  try {
    return read(bytes);
  } catch (cause) {
    if (cause instanceof Malformed)
      throw new ServiceError("invalid_request", `the ${what} ${cause.message}`, { cause });
    throw cause;
  }
}
