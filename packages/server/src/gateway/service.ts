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
import type { Account, Accounts } from "./accounts.ts";
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
  /** The account of an API key. Throws unauthenticated. */
  authenticate(authorizationHeader: string | undefined): Account;
  /** Serves a call by API key: the gateway signs the requester's half. Custody `gateway`. */
  inferFor(account: Account, model: PublishedModel, request: InferenceRequest): Promise<Served & OwnSalt>;
  /** Serves a call whose requester signed its half. Custody as its session was granted. */
  inferSigned(dispatch: Dispatch): Promise<Served>;
};

export function createGateway(parts: GatewayParts): Gateway {
  const { fold, random, accounts, openings, sessions, receipts, node } = parts;

  return {
    authenticate(header) {
      const apiKey = /^Bearer (\S{1,200})$/.exec(header ?? "")?.[1];
      const account = apiKey === undefined ? undefined : accounts.find(apiKey);
      if (account !== undefined) return account;
      const problem = apiKey === undefined ? "no API key" : "an unknown API key";
      throw new ServiceError("unauthenticated", `the request has ${problem}: send it as "authorization: Bearer KEY"`);
    },

    async inferFor(account, model, { inputs, outputs, maxPrice, decision, traffic }) {
      refuseCall(model, { inputs, outputs });
      const asked = canonicalCall({ operation: "infer", inputs, outputs });
      const call = orRefuse(() => encodeCall(asked));
      const salt = random(32);
      if (model.priceAtomic > maxPrice)
        throw new ServiceError(
          "price_over_maximum",
          `a call costs ${model.priceAtomic}, over the maximum of ${maxPrice}: set parameters.max_price`,
        );
      const authorization = await sessions.authorize(account, {
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
      openings.keep({ id: hex(served.id), index: served.index }, account.payerTag, salts, nowSeconds(parts.clock));
      return { ...served, requestSalt: salt };
    },

    async inferSigned(dispatch) {
      // Before the nonce is taken: a session's id is public, and only the holder of its key may use up its nonces.
      const authorization = await sessions.check(dispatch.authorization);
      const { says } = authorization;
      const call = orRefuse(() => parseCall(dispatch.call));
      const model = fold.models.get(keyOf(says.revision));
      if (model?.yanked === false && call.operation === "infer") refuseCall(model, call);
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
