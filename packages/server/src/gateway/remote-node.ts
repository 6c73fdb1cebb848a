/** A node on another machine, as the gateway asks it: what it is sent is signed, and what it gives back is checked. */
import {
  chatAnswerOf,
  commit,
  completionAnswerOf,
  type Dispatch,
  embeddingAnswerOf,
  encodeDispatch,
  encodeJsonAnswer,
  equal,
  hex,
  isJsonObject,
  type JsonObject,
  type Key,
  keyOf,
  LOT_OPENING_SIZE_BYTES,
  Malformed,
  NodeRecordReader,
  type NodeReply,
  type NodeTimes,
  parseAnswer,
  parseAuthorization,
  parseCall,
  parseCanonicalJson,
  parseEntry,
  parseNodeReply,
  responseAnswerOf,
  type Signer,
  signedId,
  type Tensor,
  verifySigned,
} from "@tallystick/protocol";
import { type Clock, nowSeconds } from "../platform/clock.ts";
import { type ErrorCode, ServiceError, STATUS } from "../platform/errors.ts";
import { signRequest } from "../platform/http-signature.ts";
import { type Peer, type PeerAnswer, PeerError, readAll } from "../platform/peer.ts";
import type { StopSignal } from "../platform/stop.ts";

/** What a node gives back: always a receipt; the answer where there is one, else why there is none. */
export type Served = { id: Uint8Array; index: number; receipt: Uint8Array; disclosure: Disclosure } & (
  | { ok: true; answer: Uint8Array; salt: Uint8Array; outputs?: Tensor[]; body?: JsonObject }
  | { ok: false; refusal: ServiceError }
);
/** What the receipt commits to beside the answer, for the requester to open. */
export type Disclosure = { evidence?: JsonObject; upstream?: JsonObject };

/** What came of a dispatch. Only after `not_taken` may the authorization go to another node. */
export type Dispatched =
  | { kind: "served"; served: Served; times: NodeTimes }
  | { kind: "not_taken"; refusal: ServiceError }
  /** It may have been taken up: a receipt may yet appear in the log. */
  | { kind: "unknown"; why: string; error?: unknown };

/** Who waits for an answer: told its frames where it is streamed; aborted once nobody waits any more. */
export type Waiting = { sink?: (frame: Uint8Array) => void | Promise<void>; signal?: StopSignal };

export type RemoteNode = {
  /** A sink that fails is heard no more: the node is told that nobody waits, and says what came of it. */
  dispatch(dispatch: Dispatch, waiting: Waiting): Promise<Dispatched>;
  /** Asks on for an opening: who may have it is the node's to say, by the headers that its asker signed. Throws a PeerError. */
  askOpening(path: string, headers: Record<string, string>): Promise<{ status: number; body: Uint8Array }>;
  close(): Promise<void>;
};

export type RemoteNodeParts = {
  /** The gateway's own key. */
  signer: Signer;
  clock: Clock;
  peer: Peer;
  /** The node's key, and its id. */
  id: Uint8Array;
  findKey(): Uint8Array | undefined;
  /** The receipt that this network's log has under an id: the id of what its node signed, and where. */
  findLogged(id: Uint8Array): { index: number; statement: Key } | undefined;
  /** How long a node may say nothing. */
  timeoutMs: number;
};

const DISPATCH = "/v1/dispatch";
const CANCEL = "/v1/dispatch/cancel";
/** How long a node has for a receipt once it was told that nobody waits. */
const CANCEL_MS = 10_000;
const OPENING_MS = 30_000;
const RECORDS = "application/vnd.tallystick.records";

export function createRemoteNode(parts: RemoteNodeParts): RemoteNode {
  const { signer, clock, peer, id, timeoutMs } = parts;

  async function post(path: string, body: Uint8Array, signal?: AbortSignal): Promise<PeerAnswer> {
    const signed = await signRequest(signer, { method: "POST", path, body, to: id, nowSeconds: nowSeconds(clock) });
    const headers = { "content-type": "application/cbor", ...signed };
    return peer.post({ path, headers, body, timeoutMs, ...(signal === undefined ? {} : { signal }) });
  }

  /** Tells the node that nobody waits for the answer any more: it ends the call, and signs what came of it. */
  async function cancel(receiptId: Uint8Array): Promise<void> {
    const answer = await post(CANCEL, receiptId, AbortSignal.timeout(CANCEL_MS)).catch(() => undefined);
    if (answer !== undefined) for await (const _ of answer.body) break;
  }

  async function dispatch(dispatched: Dispatch, waiting: Waiting): Promise<Dispatched> {
    const receiptId = signedId(parseAuthorization(dispatched.authorization).signed);
    const given = new AbortController();
    const patience: { timer?: NodeJS.Timeout } = {};
    const stop = () => {
      if (patience.timer !== undefined) return;
      patience.timer = setTimeout(() => given.abort(), CANCEL_MS);
      void cancel(receiptId).catch(() => {});
    };
    waiting.signal?.addEventListener("abort", stop, { once: true });
    try {
      const answer = await post(DISPATCH, encodeDispatch(dispatched), given.signal);
      const refusal = await refusalOf(answer);
      if (refusal !== undefined) return refusal;
      const reply = await readReply(answer, waiting, stop);
      return reply === undefined
        ? { kind: "unknown", why: "it ended without a reply" }
        : await judge(parts, dispatched, receiptId, reply);
    } catch (error) {
      if (error instanceof PeerError && !error.isSent)
        return { kind: "not_taken", refusal: new ServiceError("unavailable", error.message, { cause: error }) };
      if (error instanceof PeerError || error instanceof Malformed) return { kind: "unknown", why: error.message };
      throw error;
    } finally {
      clearTimeout(patience.timer);
      waiting.signal?.removeEventListener("abort", stop);
    }
  }

  async function askOpening(path: string, headers: Record<string, string>) {
    const answer = await peer.get({ path, headers, timeoutMs: OPENING_MS });
    return { status: answer.status, body: await readAll(answer, LOT_OPENING_SIZE_BYTES) };
  }

  return { dispatch, askOpening, close: peer.close };
}

/** An answer that is no reply: of the node itself, which says that it took nothing up; or of whoever is in between. */
async function refusalOf({ status, headers, body }: PeerAnswer): Promise<Dispatched | undefined> {
  if (status === 200 && headers["content-type"] === RECORDS) return undefined;
  for await (const _ of body) break; // Not read: only its status is of use.
  if (headers["tallystick-taken"] !== "no") return { kind: "unknown", why: `it answered with status ${status}` };
  const refusal = new ServiceError("unavailable", `the node refused the dispatch with status ${status}`);
  return { kind: "not_taken", refusal };
}

/** Gives frames to the sink as they come, and the reply. Read to its end, so that the connection is good for the next. */
async function readReply(
  { body }: PeerAnswer,
  { sink, signal }: Waiting,
  giveUp: () => void,
): Promise<NodeReply | undefined> {
  const reader = new NodeRecordReader();
  let reply: NodeReply | undefined;
  let isHeard = true;
  try {
    for await (const piece of body)
      for (const record of reader.push(piece))
        if (record.kind === "reply") reply ??= parseNodeReply(record.bytes);
        else if (sink !== undefined && isHeard && !signal?.aborted)
          await hear(sink, record.bytes).catch(() => {
            isHeard = false;
            giveUp();
          });
  } catch (error) {
    if (reply === undefined) throw error; // Else it is said already what came of it.
  }
  return reply;
}

async function hear(sink: (frame: Uint8Array) => void | Promise<void>, frame: Uint8Array): Promise<void> {
  await sink(frame);
}

/** Holds a reply to what was dispatched: the receipt is the node's, for this authorization and this answer, and in the log. */
async function judge(
  { id, findKey, findLogged }: RemoteNodeParts,
  dispatched: Dispatch,
  receiptId: Uint8Array,
  reply: NodeReply,
): Promise<Dispatched> {
  if (reply.outcome === "not_taken") return { kind: "not_taken", refusal: refusalFrom(reply.refusal) };
  if (reply.outcome === "unknown") return { kind: "unknown", why: reply.refusal.message };
  const { receipt, times } = reply;
  const entry = parseEntry(receipt.bytes);
  const spki = findKey();
  const isItsOwn =
    entry.kind === "receipt" &&
    equal(entry.signed.keyId, id) &&
    equal(entry.says.authorization, dispatched.authorization) &&
    spki !== undefined &&
    (await verifySigned(entry.signed, spki));
  if (!isItsOwn) return { kind: "unknown", why: "its receipt is not one of its own for this authorization" };
  const logged = findLogged(receiptId);
  if (logged === undefined || logged.statement !== keyOf(signedId(entry.signed)))
    return { kind: "unknown", why: "its receipt is not in the log" };
  const disclosure = disclosureOf(reply.disclosure);
  const common = { id: receiptId, index: logged.index, receipt: receipt.bytes, disclosure };
  if (reply.outcome === "unanswered") {
    if (entry.says.status === "ok") return { kind: "unknown", why: "it kept the answer of its receipt back" };
    return { kind: "served", served: { ...common, ok: false, refusal: refusalFrom(reply.refusal, receiptId) }, times };
  }
  const { bytes: answer, salt } = reply.answer;
  const { response, status } = entry.says;
  if (status !== "ok" || response?.alg !== "sha256" || !equal(response.digest, commit("response", salt, answer).digest))
    return { kind: "unknown", why: "its answer is not the one that its receipt is for" };
  const told = formOf(dispatched, answer, reply.answer.body);
  if (told === undefined) return { kind: "unknown", why: "its answer reads otherwise than its receipt says" };
  return { kind: "served", served: { ...common, ok: true, answer, salt, ...told }, times };
}

const CANONICAL = {
  chat: chatAnswerOf,
  completion: completionAnswerOf,
  embedding: embeddingAnswerOf,
  response: responseAnswerOf,
} as const;

/** The answer in the form that the caller reads; undefined where that is not the answer that was committed to. */
function formOf(
  { call, stream }: Dispatch,
  answer: Uint8Array,
  body: Uint8Array | undefined,
): { outputs: Tensor[] } | { body: JsonObject } | Record<never, never> | undefined {
  const { operation } = parseCall(call);
  if (operation === "infer") return { outputs: parseAnswer(answer) };
  const told = body === undefined ? undefined : parseCanonicalJson(body);
  if (!isJsonObject(told)) return stream === undefined ? undefined : {}; // It was told in frames.
  return equal(encodeJsonAnswer(CANONICAL[operation](told)), answer) ? { body: told } : undefined;
}

function disclosureOf(bytes: Uint8Array): Disclosure {
  const told = parseCanonicalJson(bytes);
  const { evidence, upstream } = isJsonObject(told) ? told : {};
  return { ...(isJsonObject(evidence) ? { evidence } : {}), ...(isJsonObject(upstream) ? { upstream } : {}) };
}

type Words = { code: string; message: string; param?: string };

function refusalFrom({ code, message, param }: Words, receiptId?: Uint8Array): ServiceError {
  const known = (Object.keys(STATUS) as ErrorCode[]).find((one) => one === code) ?? "node_failed";
  return new ServiceError(known, message, {
    ...(receiptId === undefined ? {} : { receiptId: hex(receiptId) }),
    ...(param === undefined ? {} : { param }),
  });
}
