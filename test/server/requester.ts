/** A requester with a session key of its own, one step at a time, so that a test may do any step wrongly. */
import { createKey } from "@tallystick/client";
import {
  type AuthorizationPayload,
  base64,
  commit,
  type Delivery,
  encodeCall,
  encodeDispatch,
  hex,
  parseBase64,
  parseDelivery,
  parseEntry,
  parseHex,
  possessionMessage,
  type Signer,
  signAuthorization,
  signEntry,
  signedId,
  type Tensor,
} from "@tallystick/protocol";
import type { TestNetwork } from "../network.ts";

const SALT = new Uint8Array(32).fill(7);

export type Requester = {
  session: Uint8Array;
  signer: Signer;
  /** The bytes of a dispatch. `says` replaces what the authorization says, `by` who signs it. */
  dispatch(changes?: {
    inputs?: Tensor[];
    outputs?: string[];
    says?: Partial<AuthorizationPayload>;
    by?: Signer;
  }): Promise<Uint8Array>;
};

/** What `POST /v1/infer` says. */
export type Reply = {
  status: number;
  error?: { code: string; message: string };
  receiptId?: string;
  delivery?: Delivery;
};

export async function postDispatch(network: Reached, body: Uint8Array): Promise<Reply> {
  const headers = { "content-type": "application/cbor" };
  const answer = await network.fetch("/v1/infer", { method: "POST", headers, body: body as Uint8Array<ArrayBuffer> });
  const receiptId = answer.headers.get("x-receipt-id");
  const common = { status: answer.status, ...(receiptId === null ? {} : { receiptId }) };
  if (answer.ok) return { ...common, delivery: parseDelivery(new Uint8Array(await answer.arrayBuffer())) };
  const { error } = (await answer.json()) as { error: { code: string; message: string } };
  return { ...common, error };
}

/** As much of a network as a requester needs: one in this process, or a daemon. */
export type Reached = Pick<TestNetwork, "fetch" | "origin" | "apiKey">;

/** Asks the network to grant a session to a new key, for calls to `model`. */
export async function openRequester(
  network: Reached,
  { model = "statlog/credit-default", inputs = [] as Tensor[], seconds = 3600, nowMs = Date.now() } = {},
): Promise<Requester> {
  const { signer } = await createKey();
  const message = await possessionOf(network, signer.spki);
  const expiry = Math.floor(nowMs / 1000) + seconds;
  const answer = await requestSession(network, {
    sessionKey: signer.spki,
    possession: await signer.sign(message),
    expiry,
  });
  if (!answer.ok) throw new Error(await answer.text());
  const { grant } = (await answer.json()) as { grant: string };
  const session = signedId(parseEntry(parseBase64(grant) ?? new Uint8Array(0)).signed);
  const revision = await revisionOf(network, model);
  let nextNonce = 0;
  return {
    session,
    signer,
    async dispatch({ inputs: given = inputs, outputs = [], says = {}, by = signer } = {}) {
      const call = encodeCall({ operation: "infer", inputs: given, outputs });
      const { signed } = await signAuthorization(by, {
        version: 1,
        session,
        nonce: says.nonce ?? nextNonce++,
        revision,
        request: commit("request", SALT, call),
        tier: "signed",
        maxPrice: 0n,
        expiry: Math.floor(nowMs / 1000) + 300,
        openness: "none",
        traffic: "production",
        ...says,
      });
      return encodeDispatch({ authorization: signed.bytes, salt: SALT, call });
    },
  };
}

/** What the key of `spki` signs to take a grant of this network. */
export async function possessionOf(network: Reached, spki: Uint8Array): Promise<Uint8Array> {
  const { gateway } = (await (await network.fetch("/v1/network")).json()) as { gateway: string };
  return possessionMessage({
    origin: network.origin,
    gateway: parseBase64(gateway) ?? new Uint8Array(0),
    sessionKey: spki,
  });
}

/** `POST /v1/sessions`. */
export function requestSession(
  network: Reached,
  { sessionKey, possession, expiry }: { sessionKey: Uint8Array; possession: Uint8Array; expiry: number },
): Promise<Response> {
  const headers = { authorization: `Bearer ${network.apiKey}`, "content-type": "application/json" };
  const body = JSON.stringify({ sessionKey: base64(sessionKey), possession: base64(possession), expiry });
  return network.fetch("/v1/sessions", { method: "POST", headers, body });
}

export async function revisionOf(network: Reached, model: string): Promise<Uint8Array> {
  const found = (await (await network.fetch(`/v1/models/${model}`)).json()) as { tallystick: { revision: string } };
  return parseHex(found.tallystick.revision) ?? new Uint8Array(0);
}

/** What `POST /v1/entries` says. */
export type Submitted = {
  status: number;
  index?: number;
  alreadyLogged?: boolean;
  error?: { code: string; message: string };
};

export async function submit(network: TestNetwork, entry: Uint8Array): Promise<Submitted> {
  const answer = await network.fetch("/v1/entries", { method: "POST", body: entry as Uint8Array<ArrayBuffer> });
  return { status: answer.status, ...((await answer.json()) as Omit<Submitted, "status">) };
}

/** Enrols a new relier. */
export async function enrolRelier(network: TestNetwork, name = "lender"): Promise<Signer> {
  const { signer } = await createKey();
  const says = { version: 1, action: "enrol", role: "relier", spki: signer.spki, name } as const;
  const { signed } = await signEntry(signer, "key", says);
  const { status, error } = await submit(network, signed.bytes);
  if (status !== 200) throw new Error(error?.message);
  return signer;
}

/** The bytes of a statement that the holder of `signer` relies on a receipt. */
export async function relianceOn(receiptId: string | Uint8Array, signer: Signer): Promise<Uint8Array> {
  const receipt = typeof receiptId === "string" ? parseHex(receiptId) : receiptId;
  if (receipt === undefined) throw new TypeError(`${receiptId} is not hex`);
  return (await signEntry(signer, "reliance", { version: 1, receipt })).signed.bytes;
}

/** The receipt's id that a dispatch will have. */
export function idOf(delivery: Delivery): string {
  const entry = parseEntry(delivery.receipt);
  return hex(signedId(entry.signed));
}
