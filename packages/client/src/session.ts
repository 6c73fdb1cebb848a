/** A session: a key of the client's own that a network granted, and the nonces it has signed with. */
import {
  type Authorization,
  base64,
  type Commitment,
  equal,
  NONCE_WINDOW,
  parseBase64,
  parseEntry,
  possessionMessage,
  type Signer,
  signAuthorization,
  signedId,
} from "@tallystick/protocol";
import type { Edges } from "./edges.ts";
import { orUnverified, UnverifiedError } from "./errors.ts";
import { fieldOf, type Http } from "./http.ts";
import { createSessionSigner } from "./keys.ts";

/** How long a session is asked for. */
const SESSION_SECONDS = 86_400;
/** How long an authorization may take to reach a node. */
const AUTHORIZATION_SECONDS = 300;
/** A session is renewed this long before it ends. */
const RENEWED_MS = 600_000;

/** The tiers that an answer is asked for at. `attested` is of the node, and a policy's to want. */
export const ASKED_TIERS = ["signed", "reexecuted", "proved"] as const;
export type AskedTier = (typeof ASKED_TIERS)[number];

export type Ask = {
  revision: Uint8Array;
  request: Commitment;
  tier: AskedTier;
  maxPrice: bigint;
  traffic: "production" | "test" | "probe";
  openness: "none" | "lot";
  decision?: Uint8Array;
};

export type ClientSession = {
  /** The session's id. */
  id: Uint8Array;
  signer: Signer;
  /** Signs the requester's half, with the next nonce. */
  authorize(ask: Ask): Promise<Authorization>;
  /** The network took this authorization. */
  taken(authorization: Authorization): void;
  /** Whether another is needed: it is about to end, or its next nonce is further ahead of those taken than a network allows. */
  isSpent(): boolean;
};

/** Asks the network at `http` to grant a session to a new key: custody `account`. */
export async function openSession(
  http: Http,
  { apiKey, app }: { apiKey: string; app: string | undefined },
  { nowMs }: Edges,
): Promise<ClientSession> {
  const network = await http.json("/v1/network");
  const [origin, gatewayId] = [String(fieldOf(network, "origin")), parseBase64(String(fieldOf(network, "gateway")))];
  if (gatewayId?.length !== 32) throw new UnverifiedError("the network does not name its gateway's key");
  const signer = await createSessionSigner();
  const message = possessionMessage({ origin, gateway: gatewayId, sessionKey: signer.spki, app });
  const expiry = Math.floor(nowMs() / 1000) + SESSION_SECONDS;
  const answer = await http.json("/v1/sessions", {
    method: "POST",
    headers: { authorization: `Bearer ${apiKey}`, "content-type": "application/json" },
    body: JSON.stringify({
      sessionKey: base64(signer.spki),
      possession: base64(await signer.sign(message)),
      expiry,
      ...(app === undefined ? {} : { app }),
    }),
  });
  const bytes = parseBase64(String(fieldOf(answer, "grant"))) ?? new Uint8Array(0);
  const grant = orUnverified("the grant that the network gave", () => parseEntry(bytes));
  if (grant.kind !== "grant" || !equal(grant.says.sessionKey, signer.spki) || grant.says.app !== app)
    throw new UnverifiedError("what the network gave is no grant to this session's key and app");
  const session = signedId(grant.signed);
  let [nextNonce, highestTaken] = [0, -1];
  return {
    id: session,
    signer,
    taken: ({ says }) => {
      highestTaken = Math.max(highestTaken, says.nonce);
    },
    isSpent: () => expiry * 1000 - nowMs() <= RENEWED_MS || nextNonce > highestTaken + NONCE_WINDOW,
    authorize: (ask) =>
      signAuthorization(signer, {
        version: 1,
        session,
        nonce: nextNonce++,
        expiry: Math.min(Math.floor(nowMs() / 1000) + AUTHORIZATION_SECONDS, expiry),
        ...ask,
      }),
  };
}

export type KeptSession = {
  /** Signs with a session that is not spent; however many calls wait for one, one is opened. */
  authorize(ask: Ask): Promise<{ session: ClientSession; authorization: Authorization }>;
  current(): Promise<ClientSession>;
  /** The network does not take `session` any more: the next call opens another. */
  drop(session: ClientSession): void;
};

/** A session that is opened when it is first needed, and again when it is spent. */
export function keepSession(open: () => Promise<ClientSession>): KeptSession {
  let opening: Promise<ClientSession> | undefined;
  let opened: ClientSession | undefined;

  async function openOnce(): Promise<ClientSession> {
    try {
      opened = await open();
      return opened;
    } catch (error) {
      opening = undefined;
      throw error;
    }
  }

  function current(): Promise<ClientSession> {
    opening ??= openOnce();
    return opening;
  }

  function drop(session: ClientSession): void {
    if (opened !== session) return;
    opened = undefined;
    opening = undefined;
  }

  return {
    current,
    drop,
    async authorize(ask) {
      for (;;) {
        const session = await current();
        // Asked and signed in one turn: whoever waited for the same session has taken a nonce of it by now.
        if (!session.isSpent()) return { session, authorization: await session.authorize(ask) };
        drop(session);
      }
    },
  };
}
