/**
 * The inference node: checks the requester's half, runs the model, signs what came out. What it signs is durable in the
 * log before anybody gets it, and it never signs a second receipt for one authorization.
 */
import assert from "node:assert/strict";
import {
  type Authorization,
  type Call,
  chatUsage,
  commit,
  type Dispatch,
  type ExecutionProfile,
  encodeAnswer,
  encodeJson,
  type FoldState,
  hex,
  isFree,
  type JsonCall,
  type JsonObject,
  keyId,
  keyOf,
  type LotOpening,
  type Manifest,
  type PublishedModel,
  parseCall,
  priceBound,
  priceOf,
  type ReceiptPayload,
  receiptJson,
  type Signer,
  type StreamState,
  seedOf,
  signEntry,
  signedId,
  type Tensor,
  type TensorCall,
  unitStep,
} from "@tallystick/protocol";
import { type Clock, nowSeconds } from "../platform/clock.ts";
import { ServiceError } from "../platform/errors.ts";
import type { Random } from "../platform/random.ts";
import type { StopSignal } from "../platform/stop.ts";
import { admit, checkAuthorization, parseOrRefuse } from "./admission.ts";
import { besideAnswer, type Disclosure } from "./beside.ts";
import { bodyOf } from "./bodies.ts";
import type { Heading } from "./frames.ts";
import type { Attempt, Generator, Unanswered } from "./generation.ts";
import { type Asking, answerJson, type JsonOutcome, writerOf } from "./json-answer.ts";
import { createOutgoing, type Sink } from "./outgoing.ts";
import type { ProvedAnswer, ProvedAnswers } from "./proved-answers.ts";
import { createSessionBudgets } from "./session-budgets.ts";
import { bounded, type Concluded, choose, type Execution } from "./tensor-answer.ts";

/** What runs models for this node. */
export type Engine = {
  /** Makes a revision ready, once; what it is made of comes from `files`. */
  prepare(model: PublishedModel, files: (manifest: Manifest) => Promise<Map<string, Uint8Array>>): Promise<void>;
  run(revision: Uint8Array, inputs: Tensor[], deadlineMs: number): Promise<Execution>;
  profile(model: PublishedModel): ExecutionProfile;
} & Generator;

export type NodeParts = {
  /** Signs in the order in which it is asked: a node's receipts count without a gap, in the order of the log. */
  signer: Signer;
  engine: Engine;
  fold: FoldState;
  clock: Clock;
  random: Random;
  /** The longest that a call in tensors may take, and one that is answered in text. */
  deadlineMs: number;
  generationDeadlineMs: number;
  files(manifest: Manifest): Promise<Map<string, Uint8Array>>;
  /** Throws where the log could not take a receipt: asked before the work is done. */
  checkRoom(): void;
  /** Durable when it resolves. */
  append(entry: Uint8Array): Promise<number>;
  /** Given what opens a receipt that may be drawn to be checked; lacks where nothing is kept. */
  keepOpening?(receiptId: Uint8Array, opening: LotOpening): void;
  /** Lacks where nothing is proved. */
  proofs?: ProvedAnswers | undefined;
};

/** What the node gives back: always a receipt; the answer where there is one, else why there is none. */
export type Served = { id: Uint8Array; index: number; receipt: Uint8Array; disclosure: Disclosure } & (
  | {
      ok: true;
      answer: Uint8Array;
      salt: Uint8Array;
      /** The answer to a call in tensors, or the body of OpenAI's answer but for its receipt. */
      outputs?: Tensor[];
      body?: JsonObject;
    }
  | { ok: false; refusal: ServiceError }
);

/** What a dispatch says, from a gateway of this very process: its signature is checked, and its call taken apart, already. */
export type Checked = { authorization: Authorization; call: Call };

export type StreamOptions = { sink: Sink; signal: StopSignal; checked?: Checked };

export type InferenceNode = {
  serve(dispatch: Dispatch, checked?: Checked, signal?: StopSignal): Promise<Served>;
  /** For a dispatch that asks for a stream: each frame's exact bytes go to the sink, the receipt in the last that ends the answer. */
  stream(dispatch: Dispatch, options: StreamOptions): Promise<Served>;
};

/** Why a dispatch that was taken up has no answer. */
type NotAnswered = Exclude<Unanswered, { kind: "overloaded" }>;

/** A dispatch that was taken up. */
type TakenUp = {
  id: Uint8Array;
  authorization: Authorization;
  model: PublishedModel;
  salt: Uint8Array;
  /** What was asked, and the salt under its commitment. */
  asked: Pick<LotOpening, "call" | "requestSalt">;
  /** Nodes that did not take it up, as the gateway says. */
  tried: Attempt[];
  /** Whether a receipt may have been signed for it. */
  isSigned: boolean;
  /** What its circuit answers, where a proof is asked for. */
  proved?: ProvedAnswer;
};

export function createNode(parts: NodeParts): InferenceNode {
  const { signer, engine, fold, random, clock } = parts;
  const own = keyOf(keyId(signer.spki));
  /** Authorizations taken up, until the fold knows their receipts. One that was signed for stays, whatever became of the receipt. */
  const spent = new Set<string>();
  const budgets = createSessionBudgets(fold);
  let sequence = fold.nodeSequences.get(own) ?? 0;

  /** Takes up what a dispatch authorises and runs `work`; where that throws, nothing was signed and it may come again. */
  async function takeUp<T>(
    { authorization: bytes, salt, call, attempts: tried = [] }: Dispatch,
    checked: Checked | undefined,
    work: (taken: TakenUp, call: Call) => Promise<T>,
  ): Promise<T> {
    const authorization = checked?.authorization ?? (await checkAuthorization(fold, bytes));
    assert(authorization.signed.bytes === bytes, "what was checked is what is dispatched");
    const id = signedId(authorization.signed);
    const model = admit(parts, authorization.says, salt, call);
    const asked = checked?.call ?? parseOrRefuse(parseCall, call, "call");
    if (asked.operation !== "infer") requireCovered(model, asked.body, call.length, authorization.says.maxPrice);
    const opened = { requestSalt: salt, call };
    const taken: TakenUp = { id, authorization, model, salt: random(32), asked: opened, tried, isSigned: false };
    if (authorization.says.tier === "proved") taken.proved = await takeProved(model, authorization, salt, call);
    try {
      return await takeOnce(taken, () => work(taken, asked));
    } finally {
      taken.proved?.release();
    }
  }

  /** Throws where a proof cannot be had of the call. */
  async function takeProved(model: PublishedModel, { says }: Authorization, salt: Uint8Array, call: Uint8Array) {
    if (parts.proofs === undefined)
      throw new ServiceError("invalid_request", `the tier "proved" is not offered here: authorise "signed"`);
    return parts.proofs.take({ model, asked: says, salt, call });
  }

  /** Runs `work` where nothing was taken up under this authorization before. */
  async function takeOnce<T>(taken: TakenUp, work: () => Promise<T>): Promise<T> {
    const { id, authorization, model } = taken;
    const name = keyOf(id);
    if (spent.has(name) || fold.receipts.has(name))
      throw new ServiceError("conflict", `the authorization ${hex(id)} was used already: sign a new one`);
    parts.checkRoom();
    budgets.take(id, authorization.says, model);
    spent.add(name);
    forget(spent, fold);
    try {
      return await work();
    } catch (error) {
      if (!taken.isSigned) {
        spent.delete(name);
        budgets.giveBack(id);
      }
      throw error;
    }
  }

  async function runTensors({ model, proved }: TakenUp, { inputs, outputs }: TensorCall): Promise<Concluded> {
    if (proved !== undefined)
      return bounded(choose({ kind: "answered", outputs: proved.outputs, unitCount: 1 }, outputs));
    await engine.prepare(model, parts.files);
    const execution = await engine.run(model.revision, inputs, parts.deadlineMs);
    return bounded(choose(orElsewhere(execution), outputs));
  }

  async function runJson(taken: TakenUp, call: JsonCall, asking: Pick<Asking, "signal" | "frames">) {
    await engine.prepare(taken.model, parts.files);
    const options = { seed: seedOf(taken.id), deadlineMs: parts.generationDeadlineMs, ...asking };
    return orElsewhere(await answerJson(engine, taken.model, call, options));
  }

  async function concludeTensors(taken: TakenUp, execution: Concluded): Promise<Served> {
    if (execution.kind !== "answered") return concludeUnanswered(taken, execution);
    const { unitCount, outputs } = execution;
    const { maxPrice } = taken.authorization.says;
    const price = priceOf(taken.model, unitCount);
    if (price > maxPrice) return concludeUnpaid(taken, price);
    const answer = encodeAnswer(outputs);
    const { committed, disclosure } = beside(taken, {});
    // First, so that no crash leaves a receipt whose proof nobody makes.
    taken.proved?.keep(taken.id, { bytes: answer, salt: taken.salt });
    const logged = await signAndAppend(taken, {
      ...answered(taken, answer),
      units: unitStep(unitCount),
      price,
      ...committed,
    });
    keepOpening(taken, answer, disclosure);
    return { ok: true, ...logged, outputs, answer, salt: taken.salt, disclosure };
  }

  async function concludeJson(
    taken: TakenUp,
    call: JsonCall,
    heading: Heading,
    outcome: Extract<JsonOutcome, { kind: "answered" }>,
    stream?: StreamState,
  ): Promise<Extract<Served, { ok: true }>> {
    const { usage, bytes: answer } = outcome;
    const { salt } = taken;
    const { committed, disclosure } = beside(taken, toldBy(outcome));
    const says: Conclusion = {
      ...answered(taken, answer),
      units: unitStep(usage.promptTokens),
      price: charge(taken, usage.promptTokens, usage.completionTokens),
      ...committed,
    };
    if (stream !== undefined) says.stream = stream;
    if (call.operation !== "embedding") says.outputUnits = unitStep(usage.completionTokens);
    const { id, receipt, index } = await signAndAppend(taken, says);
    keepOpening(taken, answer, disclosure);
    const body = bodyOf(call, heading, outcome.answer);
    return { ok: true, id, receipt, index, answer, salt, disclosure, body };
  }

  /** What opens the receipt is kept where its requester lets it be drawn. A relayed answer can be run again by nobody. */
  function keepOpening({ id, authorization, model, salt, asked }: TakenUp, answer: Uint8Array, told: Disclosure): void {
    if (authorization.says.openness !== "lot" || authorization.says.tier === "proved") return;
    if (model.manifest.upstream !== undefined) return;
    const evidence = told.evidence === undefined ? {} : { evidence: encodeJson(told.evidence) };
    parts.keepOpening?.(id, { ...asked, responseSalt: salt, answer, ...evidence });
  }

  /** What was counted costs more than was authorised: how many units there are is known only once the model has run. */
  async function concludeUnpaid(taken: TakenUp, price: bigint): Promise<Served> {
    const message = `the call comes to ${price}, over the maximum of ${taken.authorization.says.maxPrice}: authorise more`;
    const served = await concludeUnanswered(taken, { kind: "refused", message });
    const receiptId = hex(taken.id);
    return { ...served, ok: false, refusal: new ServiceError("price_over_maximum", message, { receiptId }) };
  }

  async function concludeUnanswered(taken: TakenUp, outcome: NotAnswered): Promise<Served> {
    const { committed, disclosure } = beside(taken, toldBy(outcome));
    const status = outcome.kind === "cancelled" ? "cancelled" : "failed";
    const logged = await signAndAppend(taken, { status, units: 0, price: 0n, ...committed });
    return { ok: false, ...logged, disclosure, refusal: refusalOf(outcome, hex(taken.id)) };
  }

  type Conclusion = Pick<ReceiptPayload, "status" | "units" | "price"> & Partial<ReceiptPayload>;

  async function signAndAppend(taken: TakenUp, says: Conclusion) {
    const { id, authorization, model, proved } = taken;
    taken.isSigned = true;
    const { signed } = await signEntry(signer, "receipt", {
      ...says,
      version: 1,
      authorization: authorization.signed.bytes,
      profile: proved?.profile ?? engine.profile(model),
      provenance: model.manifest.upstream === undefined ? "executed" : "relayed",
      sequence: sequence++,
    });
    return { id, receipt: signed.bytes, index: await parts.append(signed.bytes) };
  }

  async function streamJson(
    taken: TakenUp,
    call: JsonCall,
    dispatch: Dispatch,
    options: StreamOptions,
  ): Promise<Served> {
    const heading = headingOf(taken);
    const writer = writerOf(call, heading);
    if (writer === undefined)
      throw new ServiceError("invalid_request", "embeddings are not streamed: leave stream out");
    const { usage: usageIn, sealIntervalMs } = dispatch.stream ?? { usage: "in_receipt" };
    const outgoing = createOutgoing({
      ...{ sink: options.sink, receiptId: taken.id, salt: taken.salt, signer, clock, sealIntervalMs },
    });
    const frames = { writer, send: outgoing.send };
    const outcome = await runJson(taken, call, { signal: options.signal, frames });
    if (outcome.kind !== "answered") {
      const served = await concludeUnanswered(taken, outcome);
      // What was sent is worth nothing, and the stream says so as the receipt does.
      if (outgoing.begun() && !served.ok) await outgoing.fail(served.refusal);
      return served;
    }
    const closing = writer.finish(outcome.finishReasons, outcome.answer, outcome.usage);
    const last = closing.pop() ?? "";
    const served = await concludeJson(taken, call, heading, outcome, await outgoing.end(closing, last));
    const inFrame = usageIn === "in_frame";
    const member = receiptJson({
      ...{ id: served.id, entry: served.receipt, responseSalt: taken.salt, ...served.disclosure },
      // Its requester has no salts of its own where the gateway signed for it.
      ...(custodyOf(taken) === "gateway" ? { requestSalt: dispatch.salt } : {}),
      ...(inFrame || call.operation === "response" ? {} : { usage: chatUsage(outcome.usage) }),
    });
    await outgoing.conclude(last, writer.closers, member, writer.after(outcome.usage, inFrame));
    return served;
  }

  function custodyOf({ authorization }: TakenUp) {
    return fold.sessions.get(keyOf(authorization.says.session))?.custody;
  }

  function headingOf({ id, model }: TakenUp): Heading {
    return { receiptId: hex(id), model: model.manifest.name, createdSeconds: nowSeconds(clock) };
  }

  return {
    serve: (dispatch, checked, signal) =>
      takeUp(dispatch, checked, async (taken, call) => {
        if (call.operation === "infer") return concludeTensors(taken, await runTensors(taken, call));
        const outcome = await runJson(taken, call, signal === undefined ? {} : { signal });
        return outcome.kind === "answered"
          ? concludeJson(taken, call, headingOf(taken), outcome)
          : concludeUnanswered(taken, outcome);
      }),

    stream: (dispatch, options) =>
      takeUp(dispatch, options.checked, async (taken, call) => {
        if (call.operation === "infer")
          throw new ServiceError("invalid_request", "a call in tensors is not streamed: leave stream out");
        return streamJson(taken, call, dispatch, options);
      }),
  };
}

/** What a call comes to is known once it is answered, and nobody pays more than they allowed: so the most is allowed beforehand. */
function requireCovered(model: PublishedModel, body: JsonObject, callSizeBytes: number, maxPriceAtomic: bigint): void {
  if (isFree(model)) return;
  const mostAtomic = priceBound({ ...model, contextLength: model.manifest.contextLength }, body, callSizeBytes);
  if (mostAtomic <= maxPriceAtomic) return;
  throw new ServiceError(
    "price_over_maximum",
    `the call may cost ${mostAtomic}, over the maximum of ${maxPriceAtomic}: let its answer have fewer tokens, or allow it more`,
  );
}

/** What a receipt of status ok says of the answer. */
function answered({ salt }: TakenUp, answer: Uint8Array): Pick<ReceiptPayload, "status" | "response"> {
  return { status: "ok", response: commit("response", salt, answer) };
}

/** The price, which is never over what was authorised: what a call took beyond is the node's own loss. */
function charge({ model, authorization }: TakenUp, units: number, outputUnits: number): bigint {
  const price = priceOf(model, units, outputUnits);
  const { maxPrice } = authorization.says;
  if (price > maxPrice) return maxPrice;
  return price;
}

/** What a receipt commits to beside the answer: the nodes that were tried come before what an engine tried. */
function beside({ salt, model, tried }: TakenUp, { attempts = [], ...told }: Parameters<typeof besideAnswer>[0]) {
  return besideAnswer({ ...told, attempts: tried.concat(attempts) }, salt, model.manifest.upstream);
}

/** What an engine told of how an answer came about, or did not. */
function toldBy(outcome: NotAnswered | JsonOutcome): Parameters<typeof besideAnswer>[0] {
  const told: Parameters<typeof besideAnswer>[0] = {};
  if ("upstream" in outcome && outcome.upstream !== undefined) told.upstream = outcome.upstream;
  if ("attempts" in outcome && outcome.attempts !== undefined) told.attempts = outcome.attempts;
  if ("tokens" in outcome && outcome.tokens !== undefined) told.tokens = outcome.tokens;
  return told;
}

/** What nobody tried, somebody else may still serve: it is thrown, and was not taken up. */
function orElsewhere<T extends { kind: string }>(
  outcome: T | Extract<Unanswered, { kind: "overloaded" }>,
): Exclude<T, { kind: "overloaded" }> {
  if (outcome.kind === "overloaded" && "message" in outcome) throw new ServiceError("unavailable", outcome.message);
  return outcome as Exclude<T, { kind: "overloaded" }>;
}

const SPENT_KEPT = 8_192;

/** What the fold knows need not be kept twice; looked at once there is much of it. */
function forget(spent: Set<string>, fold: FoldState): void {
  if (spent.size > SPENT_KEPT) for (const name of spent) if (fold.receipts.has(name)) spent.delete(name);
}

function refusalOf(outcome: NotAnswered, receiptId: string): ServiceError {
  if (outcome.kind === "refused") {
    const { message, param } = outcome;
    return new ServiceError("invalid_request", message, { receiptId, ...(param === undefined ? {} : { param }) });
  }
  if (outcome.kind === "cancelled")
    return new ServiceError("cancelled", "the caller went away before the answer was whole. It cost nothing", {
      receiptId,
    });
  const code = outcome.reason === "deadline" ? "deadline_exceeded" : "node_failed";
  return new ServiceError(code, `the model gave no answer (${outcome.reason}): ${outcome.message}. It cost nothing`, {
    receiptId,
  });
}
