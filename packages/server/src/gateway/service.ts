/** The gateway: takes calls from requesters, has them authorised, sends each to a node once, keeps what only the requester may open. */
import assert from "node:assert/strict";
import {
  type AcceptancePolicy,
  type Authorization,
  type Call,
  canonicalCall,
  commit,
  type Dispatch,
  encodeCall,
  type FoldState,
  hex,
  type JsonObject,
  keyOf,
  Malformed,
  mostOf,
  type NodeTimes,
  type PublishedModel,
  parseCall,
  parseEntry,
  signedId,
  type Tensor,
} from "@tallystick/protocol";
import { type Clock, nowSeconds } from "../platform/clock.ts";
import { ServiceError } from "../platform/errors.ts";
import type { Random } from "../platform/random.ts";
import type { StopSignal } from "../platform/stop.ts";
import { type AcceptsNode, requireAcceptable } from "./acceptance.ts";
import type { Accounts, Caller } from "./accounts.ts";
import { type Budget, budgetOf, policiesOfKey, requireModel } from "./api-keys.ts";
import { type JsonFault, refuseCall } from "./calls.ts";
import type { InferenceRequest } from "./oip.ts";
import type { Openings } from "./openings.ts";
import type { Receipts } from "./receipts.ts";
import type { Reservation, Sessions } from "./sessions.ts";

/** What a node gives back. */
export type Served = {
  id: Uint8Array;
  index: number;
  receipt: Uint8Array;
  /** What the receipt commits to beside the answer. */
  disclosure: { evidence?: JsonObject; upstream?: JsonObject };
  /** What the call waited for at its node. */
  times?: NodeTimes;
} & (
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

type Checked = { authorization: Authorization; call: Call; accepts?: AcceptsNode | undefined };
export type StreamTo = { sink(frame: Uint8Array): void | Promise<void>; signal: StopSignal };

/** Takes a dispatch, and with it what the gateway found in it: who sent it is checked, and its call taken apart. */
export type Node = {
  serve(dispatch: Dispatch, checked: Checked, signal?: StopSignal): Promise<Served>;
  /** Each frame of the answer goes to the sink; the last that ends the answer has the receipt in it. */
  stream(dispatch: Dispatch, options: StreamTo & { checked: Checked }): Promise<Served>;
};

/** What calls cost is held before they are dispatched, at once or not at all. Throws insufficient_quota. */
export type Credits = {
  hold(request: { session: Uint8Array; key: { id: string; budget: Budget }; mostAtomic: bigint }): {
    settle(priceAtomic: bigint, index: number): void;
    release(): void;
    abandon(id: Uint8Array, expirySeconds: number): void;
  };
};

export type GatewayParts = {
  fold: FoldState;
  /** The id of this gateway's key. */
  gatewayKey: Uint8Array;
  clock: Clock;
  random: Random;
  accounts: Accounts;
  openings: Openings;
  sessions: Sessions;
  receipts: Receipts;
  node: Node;
  credits: Credits;
  /** What of a call in JSON its model cannot honour. */
  jsonFault: JsonFault;
};

/** What a requester authorises beside the call. */
export type Terms = Pick<InferenceRequest, "maxPrice" | "decision" | "traffic" | "open"> & {
  policies?: readonly AcceptancePolicy[];
};

/** A call whose requester's half is signed and checked. */
export type Asked = {
  /** The receipt's id, known before there is one. */
  id: Uint8Array;
  dispatch: Dispatch;
  authorization: Authorization;
  call: Call;
  caller: Caller;
  model: PublishedModel | undefined;
  /** Which nodes may answer it, where not all may. */
  accepts?: AcceptsNode | undefined;
  /** The salt under the commitment to the call, where the gateway drew it for its requester. Custody `gateway`. */
  requestSalt?: Uint8Array;
};

/** A requester's half that came from outside, and whose it is. */
export type Signed = { authorization: Authorization; caller: Caller };

export type Gateway = {
  /** Who calls with an API key. Throws unauthenticated. */
  authenticate(authorizationHeader: string | undefined): Caller;
  /** Signs the requester's half of a call by API key. Throws where the model does not take it, or not at that price. */
  authorize(
    caller: Caller,
    model: PublishedModel,
    call: Call,
    terms: Terms,
    stream?: Dispatch["stream"],
  ): Promise<Asked>;
  /** Who signed a requester's half. Throws where the session, its signature or its API key does not hold. */
  signerOf(authorization: Uint8Array): Promise<Signed>;
  /** The call of a half whose signer was found. Throws where its model does not take it. */
  check(dispatch: Dispatch, signed: Signed, policies?: readonly AcceptancePolicy[]): Asked;
  /** Has a call served, once. */
  serve(asked: Asked, signal?: StopSignal): Promise<Served>;
  stream(asked: Asked, to: StreamTo): Promise<Served>;
  /** Serves a call in tensors by API key. */
  inferFor(
    caller: Caller,
    model: PublishedModel,
    request: InferenceRequest & Pick<Terms, "policies">,
  ): Promise<Served & { requestSalt: Uint8Array }>;
};

export function createGateway(parts: GatewayParts): Gateway {
  const { fold, random, accounts, openings, sessions, receipts, node, credits, jsonFault, gatewayKey } = parts;

  /** Which nodes may answer, by what the key and the call accept. */
  function accepted(
    { key }: Caller,
    model: PublishedModel,
    openness: "none" | "lot",
    policies: readonly AcceptancePolicy[] = [],
  ): AcceptsNode | undefined {
    const offered = { fold, gatewayKey, nowSeconds: nowSeconds(parts.clock), model, openness };
    return requireAcceptable([...policiesOfKey(key), ...policies], offered);
  }

  async function authorize(
    caller: Caller,
    model: PublishedModel,
    asked: Call,
    { maxPrice, decision, traffic, open, policies }: Terms,
    stream?: Dispatch["stream"],
  ): Promise<Asked & { requestSalt: Uint8Array }> {
    requireModel(caller.key, model);
    refuseCall(model, asked, jsonFault);
    const accepts = accepted(caller, model, open, policies);
    const call = asked.operation === "infer" ? canonicalCall(asked) : asked;
    const bytes = orRefuse(() => encodeCall(call));
    if (model.priceAtomic > maxPrice)
      throw new ServiceError(
        "price_over_maximum",
        `a call costs ${model.priceAtomic}, over the maximum of ${maxPrice}: set parameters.max_price`,
      );
    const requestSalt = random(32);
    const authorization = await sessions.authorize(caller, {
      revision: model.revision,
      request: commit("request", requestSalt, bytes),
      tier: "signed",
      maxPrice,
      openness: open,
      traffic,
      ...(decision === undefined ? {} : { decision }),
    });
    const dispatch: Dispatch = {
      authorization: authorization.signed.bytes,
      salt: requestSalt,
      call: bytes,
      ...(stream === undefined ? {} : { stream }),
    };
    return { id: signedId(authorization.signed), dispatch, authorization, call, caller, model, accepts, requestSalt };
  }

  /** Has `work` done with the nonce of a half that came from outside, and notes what came of it. */
  async function once(asked: Asked, work: (checked: Checked) => Promise<Served>): Promise<Served> {
    const { id, authorization, call, caller, model, accepts, requestSalt } = asked;
    const { session, nonce, maxPrice, expiry } = authorization.says;
    const key = { id: caller.key.id, budget: budgetOf(caller.key) };
    const hold = credits.hold({ session, key, mostAtomic: model === undefined ? 0n : mostOf(model, maxPrice) });
    // The gateway counts the nonces of its own sessions itself.
    let reservation: Reservation | undefined;
    let served: Served;
    try {
      if (requestSalt === undefined) reservation = sessions.reserve(session, nonce);
      served = await work({ authorization, call, accepts });
    } catch (error) {
      const isDispatched = error instanceof ServiceError && (error.isOutcomeUnknown || error.receiptId !== undefined);
      if (!isDispatched) reservation?.release(); // No node took it up: nothing was dispatched.
      if (isDispatched) hold.abandon(id, expiry);
      else hold.release();
      throw error;
    }
    hold.settle(priceIn(served.receipt), served.index);
    receipts.note(served.id, served.index, served.receipt);
    if (requestSalt === undefined) return served;
    const salts = served.ok ? { request: requestSalt, response: served.salt } : { request: requestSalt };
    openings.keep({ id: hex(served.id), index: served.index }, caller.payerTag, salts, nowSeconds(parts.clock));
    return served;
  }

  const serve = (asked: Asked, signal?: StopSignal) =>
    once(asked, (checked) => node.serve(asked.dispatch, checked, signal));

  return {
    authenticate(header) {
      const apiKey = /^Bearer (\S{1,200})$/.exec(header ?? "")?.[1];
      const caller = apiKey === undefined ? undefined : accounts.find(apiKey, nowSeconds(parts.clock));
      if (caller !== undefined) return caller;
      const problem = apiKey === undefined ? "no API key" : "an API key that is unknown, revoked or expired";
      throw new ServiceError("unauthenticated", `the request has ${problem}: send it as "authorization: Bearer KEY"`);
    },

    authorize,

    async signerOf(bytes) {
      // Before the nonce is taken: a session's id is public, and only the holder of its key may use up its nonces.
      const authorization = await sessions.check(bytes);
      const { session } = authorization.says;
      const payerTag = Buffer.from(fold.sessions.get(keyOf(session))?.payer ?? "", "latin1").toString("hex");
      const caller = accounts.findBySession(session, payerTag, nowSeconds(parts.clock));
      if (caller === undefined)
        throw new ServiceError("forbidden", "the API key that this session was granted to is revoked or has expired");
      return { authorization, caller };
    },

    check(dispatch, { authorization, caller }, policies) {
      assert(dispatch.authorization === authorization.signed.bytes, "what was checked is what is dispatched");
      const call = orRefuse(() => parseCall(dispatch.call));
      const model = fold.models.get(keyOf(authorization.says.revision));
      let accepts: AcceptsNode | undefined;
      if (model?.yanked === false) {
        requireModel(caller.key, model);
        refuseCall(model, call, jsonFault);
        accepts = accepted(caller, model, authorization.says.openness, policies);
      }
      return { id: signedId(authorization.signed), dispatch, authorization, call, caller, model, accepts };
    },

    serve,
    stream: (asked, to) => once(asked, (checked) => node.stream(asked.dispatch, { ...to, checked })),

    async inferFor(caller, model, { inputs, outputs, ...terms }) {
      const asked = await authorize(caller, model, { operation: "infer", inputs, outputs }, terms);
      return { ...(await serve(asked)), requestSalt: asked.requestSalt };
    },
  };
}

/** What a receipt costs. */
function priceIn(receipt: Uint8Array): bigint {
  const entry = parseEntry(receipt);
  return entry.kind === "receipt" ? entry.says.price : 0n;
}

function orRefuse<T>(parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    if (cause instanceof Malformed)
      throw new ServiceError("invalid_request", `the request ${cause.message}`, { cause });
    throw cause;
  }
}
