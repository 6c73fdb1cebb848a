/** The gateway: takes calls from requesters, has them authorised, sends each to a node once, keeps what only the requester may open. */
import {
  type Authorization,
  type Call,
  canonicalCall,
  commit,
  type Dispatch,
  encodeCall,
  type FoldState,
  hex,
  inputsFault,
  keyOf,
  Malformed,
  type Manifest,
  type PublishedModel,
  parseCall,
  type Tensor,
  type TensorCall,
} from "@tallystick/protocol";
import { type Clock, nowSeconds } from "../platform/clock.ts";
import { ServiceError } from "../platform/errors.ts";
import type { Random } from "../platform/random.ts";
import type { Accounts, Caller } from "./accounts.ts";
import { requireModel } from "./api-keys.ts";
import type { InferenceRequest } from "./oip.ts";
import type { Openings } from "./openings.ts";
import type { Receipts } from "./receipts.ts";
import type { Sessions } from "./sessions.ts";

/** The node that calls are sent to. */
export type Served = { id: Uint8Array; index: number; receipt: Uint8Array } & (
  | { ok: true; outputs: Tensor[]; answer: Uint8Array; salt: Uint8Array }
  | { ok: false; refusal: ServiceError }
);
/** Takes a dispatch, and with it what the gateway found in it: who sent it is checked, and its call taken apart. */
export type Node = {
  serve(dispatch: Dispatch, checked: { authorization: Authorization; call: Call }): Promise<Served>;
};

/** The salt under the commitment to a call, which the gateway drew for its requester. */
export type OwnSalt = { requestSalt: Uint8Array };

export type GatewayParts = {
  fold: FoldState;
  clock: Clock;
  random: Random;
  accounts: Accounts;
  openings: Openings;
  sessions: Sessions;
  receipts: Receipts;
  node: Node;
  findModel(name: string, version?: string): PublishedModel;
};

export type Gateway = {
  /** Who calls with an API key. Throws unauthenticated. */
  authenticate(authorizationHeader: string | undefined): Caller;
  /** Serves a call by API key: the gateway signs the requester's half. Custody `gateway`. */
  inferFor(caller: Caller, model: PublishedModel, request: InferenceRequest): Promise<Served & OwnSalt>;
  /** Whose call it is that a requester signed its half of. Throws where the session, its signature or its API key does not hold. */
  checkSigned(dispatch: Dispatch): Promise<Signed>;
  /** Serves such a call. Custody as its session was granted. */
  inferSigned(signed: Signed): Promise<Served>;
};

/** A dispatch whose requester's half is checked, and whose session's API key still holds. */
export type Signed = { dispatch: Dispatch; authorization: Authorization; caller: Caller };

export function createGateway(parts: GatewayParts): Gateway {
  const { fold, random, accounts, openings, sessions, receipts, node } = parts;

  return {
    authenticate(header) {
      const apiKey = /^Bearer (\S{1,200})$/.exec(header ?? "")?.[1];
      const caller = apiKey === undefined ? undefined : accounts.find(apiKey, nowSeconds(parts.clock));
      if (caller !== undefined) return caller;
      const problem = apiKey === undefined ? "no API key" : "an API key that is unknown, revoked or expired";
      throw new ServiceError("unauthenticated", `the request has ${problem}: send it as "authorization: Bearer KEY"`);
    },

    async inferFor(caller, model, { inputs, outputs, maxPrice, decision, traffic }) {
      requireModel(caller.key, model);
      refuseCall(model, { inputs, outputs });
      const asked = canonicalCall({ operation: "infer", inputs, outputs });
      const call = orRefuse(() => encodeCall(asked));
      const salt = random(32);
      if (model.priceAtomic > maxPrice)
        throw new ServiceError(
          "price_over_maximum",
          `a call costs ${model.priceAtomic}, over the maximum of ${maxPrice}: set parameters.max_price`,
        );
      const authorization = await sessions.authorize(caller, {
        revision: model.revision,
        request: commit("request", salt, call),
        tier: "signed",
        maxPrice,
        openness: "none",
        traffic,
        ...(decision === undefined ? {} : { decision }),
      });
      const dispatch = { authorization: authorization.signed.bytes, salt, call };
      const served = await node.serve(dispatch, { authorization, call: asked });
      receipts.note(served.id, served.index, served.receipt);
      const salts = served.ok ? { request: salt, response: served.salt } : { request: salt };
      openings.keep({ id: hex(served.id), index: served.index }, caller.payerTag, salts, nowSeconds(parts.clock));
      return { ...served, requestSalt: salt };
    },

    async checkSigned(dispatch) {
      // Before the nonce is taken: a session's id is public, and only the holder of its key may use up its nonces.
      const authorization = await sessions.check(dispatch.authorization);
      const { session: id } = authorization.says;
      const payerTag = Buffer.from(fold.sessions.get(keyOf(id))?.payer ?? "", "latin1").toString("hex");
      const caller = accounts.findBySession(id, payerTag, nowSeconds(parts.clock));
      if (caller === undefined)
        throw new ServiceError("forbidden", "the API key that this session was granted to is revoked or has expired");
      return { dispatch, authorization, caller };
    },

    async inferSigned({ dispatch, authorization, caller }) {
      const { says } = authorization;
      const call = orRefuse(() => parseCall(dispatch.call));
      const model = fold.models.get(keyOf(says.revision));
      if (model?.yanked === false) {
        requireModel(caller.key, model);
        if (call.operation === "infer") refuseCall(model, call);
      }
      const reservation = sessions.reserve(says.session, says.nonce);
      let served: Served;
      try {
        served = await node.serve(dispatch, { authorization, call });
      } catch (error) {
        reservation.release(); // The node took it up with no receipt: nothing was dispatched.
        throw error;
      }
      receipts.note(served.id, served.index, served.receipt);
      return served;
    },
  };
}

/** Refuses what the model does not take or give, before it costs anybody anything. */
function refuseCall({ manifest }: PublishedModel, { inputs, outputs }: Pick<TensorCall, "inputs" | "outputs">): void {
  const fault = inputsFault(manifest, inputs) ?? outputsFault(manifest, outputs);
  if (fault !== undefined) throw new ServiceError("invalid_request", fault);
}

function outputsFault({ name, outputs }: Manifest, wanted: readonly string[]): string | undefined {
  const known = outputs.map((output) => output.name);
  const unknown = wanted.find((output) => !known.includes(output));
  if (unknown !== undefined)
    return `${name} has no output "${unknown}", but ${known.map((one) => `"${one}"`).join(", ")}`;
  return new Set(wanted).size < wanted.length ? "an output is named twice" : undefined;
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
