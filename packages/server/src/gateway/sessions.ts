/** Sessions: who may ask, and with which nonce, each once. */
import {
  type Authorization,
  type AuthorizationPayload,
  type EntryOf,
  type FoldState,
  type GrantPayload,
  hex,
  keyId,
  keyOf,
  Malformed,
  NONCE_WINDOW,
  parseAuthorization,
  parseHex,
  possessionMessage,
  type Session,
  type Signer,
  signAuthorization,
  signEntry,
  signedId,
  verifyEs256,
  verifySigned,
} from "@tallystick/protocol";
import { type Clock, nowSeconds } from "../platform/clock.ts";
import { ServiceError } from "../platform/errors.ts";
import type { Account, Caller } from "./accounts.ts";
import { createSessionKeys } from "./session-keys.ts";

export type SessionParts = {
  origin: string;
  /** The gateway's own key, which grants. */
  signer: Signer;
  /** A signer over a new key, which exists in memory alone. */
  newSigner(): Signer;
  fold: FoldState;
  clock: Clock;
  /** Remembers the API key that a session is granted to, durably. */
  keepSession(session: Uint8Array, keyId: string, expirySeconds: number, nowSeconds: number): void;
  /** Appends an entry and resolves once the fold has it. */
  publish(entry: Uint8Array): Promise<number>;
};

/** The budget of sessions whose key the gateway holds itself: the account's balance and the API key's budget bound them. */
const UNBOUNDED = 2n ** 64n - 1n;
/** The longest that a session is granted for. */
export const SESSION_SECONDS = 30 * 86_400;
/** The gateway's own sessions last so long, and are renewed so long before they end. */
const HELD_SECONDS = 86_400;
const RENEWED_SECONDS = 3_600;
/** Apps of one account at once: each has a grant in the log, which is for ever. */
const APPS_HELD = 100;
/** An authorization that the gateway signs is for now. */
const AUTHORIZATION_SECONDS = 300;

/** What a requester asks of its session. An app is named in the log, for everybody to see. */
export type AskedSession = Pick<GrantPayload, "sessionKey" | "possession" | "expiry" | "budget" | "app">;

/** A nonce that is taken. It is used up by being dispatched, or given back where nothing was. */
export type Reservation = { release(): void };

export type Sessions = {
  /**
   * Grants a session to the key of `sessionKey`, which proved that it is there. Custody `account`. Throws conflict where the key
   * is granted to another account.
   */
  grant(caller: Caller, asked: AskedSession): Promise<EntryOf<"grant">>;
  /** Signs the requester's half for an account that has only an API key. Custody `gateway`. */
  authorize(
    caller: Caller,
    asked: Omit<AuthorizationPayload, "version" | "session" | "nonce" | "expiry">,
  ): Promise<Authorization>;
  /** The requester's half, with its signature checked. Throws invalid_request or forbidden. */
  check(authorization: Uint8Array): Promise<Authorization>;
  /** Takes the nonce of an authorization. Throws conflict where it is used, in use, or outside the window. */
  reserve(session: Uint8Array, nonce: number): Reservation;
};

export function createSessions(parts: SessionParts): Sessions {
  const { origin, signer, fold, clock, publish } = parts;
  const sessionKeys = createSessionKeys(fold);
  /** By payer, then app. */
  const held = new Map<string, Map<string, Held>>();
  const reservedNonces = new Map<string, Set<number>>();
  const highest = new Map<string, number>();

  /** Makes a grant, which nobody has before `keep` is done with it, and resolves once the fold has it. */
  async function logGrant(
    { payerTag }: Account,
    terms: AskedSession & Pick<GrantPayload, "custody">,
    keep: (session: Uint8Array) => void = () => {},
  ): Promise<EntryOf<"grant">> {
    const tag = parseHex(payerTag) ?? new Uint8Array(16);
    const claim = sessionKeys.claim(terms.sessionKey, keyOf(tag));
    try {
      const says = { version: 1, origin, gateway: keyId(signer.spki), payerTag: tag, tagMode: "stable" } as const;
      const grant = await signEntry(signer, "grant", { ...says, paymentClass: "credits", ...terms });
      keep(signedId(grant.signed));
      await publish(grant.signed.bytes);
      return grant;
    } finally {
      claim.release();
    }
  }

  async function hold(caller: Caller, expiry: number): Promise<HeldSession> {
    const sessionSigner = parts.newSigner();
    const place = { origin, gateway: keyId(signer.spki), sessionKey: sessionSigner.spki };
    const app = appOf(caller);
    const possession = await sessionSigner.sign(possessionMessage({ ...place, ...app }));
    const terms = { sessionKey: sessionSigner.spki, possession, custody: "gateway", expiry, ...app } as const;
    const grant = await logGrant(caller, { ...terms, budget: UNBOUNDED });
    return { signer: sessionSigner, id: signedId(grant.signed), expiry, nextNonce: 0 };
  }

  /** The gateway's session for an account and app, made on the first call and when the last is about to end. */
  function heldSession(caller: Caller): Promise<HeldSession> {
    const now = nowSeconds(clock);
    const own = held.get(caller.payerTag) ?? new Map<string, Held>();
    held.set(caller.payerTag, own);
    const app = caller.key.terms.app ?? "";
    const known = own.get(app);
    if (known !== undefined && known.expiry - RENEWED_SECONDS > now) return known.session;
    for (const [name, { expiry }] of own) if (expiry <= now) own.delete(name);
    if (app !== "" && own.size >= APPS_HELD && !own.has(app)) throw tooManyApps();
    const expiry = now + HELD_SECONDS;
    const made: Held = { session: hold(caller, expiry), expiry };
    own.set(app, made);
    made.session.catch(() => {
      if (own.get(app) === made) own.delete(app);
    });
    return made.session;
  }

  return {
    async grant(caller, asked) {
      const { sessionKey, possession, expiry, app } = asked;
      const now = nowSeconds(clock);
      if (expiry <= now || expiry > now + SESSION_SECONDS)
        throw new ServiceError(
          "invalid_request",
          `a session ends within ${SESSION_SECONDS} seconds of now, not at ${expiry}`,
        );
      // OpenSSL takes more spellings of a key than an entry may have: what nobody can read must not get into the log.
      const message = parseOrRefuse(() => possessionMessage({ origin, gateway: keyId(signer.spki), sessionKey, app }));
      if (!(await verifyEs256(sessionKey, message, possession)))
        throw new ServiceError(
          "forbidden",
          "the session key did not sign for this log, gateway and app (docs/spec/entry.md, grant)",
        );
      const terms = { ...asked, custody: "account" } as const;
      return logGrant(caller, terms, (session) => parts.keepSession(session, caller.key.id, expiry, now));
    },

    async authorize(caller, asked) {
      const session = await heldSession(caller);
      const expiry = Math.min(nowSeconds(clock) + AUTHORIZATION_SECONDS, session.expiry);
      const nonce = session.nextNonce++;
      return signAuthorization(session.signer, { version: 1, session: session.id, nonce, expiry, ...asked });
    },

    async check(bytes) {
      const authorization = parseOrRefuse(() => parseAuthorization(bytes));
      const session = fold.sessions.get(keyOf(authorization.says.session));
      if (session === undefined)
        throw new ServiceError(
          "forbidden",
          `no session ${hex(authorization.says.session)}: POST /v1/sessions grants one`,
        );
      if (!(await verifySigned(authorization.signed, session.sessionKey)))
        throw new ServiceError("forbidden", "the authorization is not signed by the key of its session");
      return authorization;
    },

    reserve(id, nonce) {
      const name = keyOf(id);
      const session = fold.sessions.get(name);
      if (session === undefined)
        throw new ServiceError("forbidden", `no session ${hex(id)}: POST /v1/sessions grants one`);
      const taken = reservedNonces.get(name) ?? new Set<number>();
      const top = Math.max(highest.get(name) ?? highestOf(session), -1);
      if (session.usedNonces.has(nonce) || taken.has(nonce))
        throw new ServiceError("conflict", `nonce ${nonce} of this session was used already: sign a new authorization`);
      if (nonce <= top - NONCE_WINDOW || nonce > top + NONCE_WINDOW)
        throw new ServiceError(
          "conflict",
          `nonce ${nonce} is outside the window of ${NONCE_WINDOW} around ${top}: sign with the next one`,
        );
      reservedNonces.set(name, taken.add(nonce));
      highest.set(name, Math.max(top, nonce));
      forget(session, taken);
      return { release: () => taken.delete(nonce) };
    },
  };
}

function parseOrRefuse<T>(parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    if (!(cause instanceof Malformed)) throw cause;
    throw new ServiceError("invalid_request", `the request ${cause.message}`, { cause });
  }
}

/** The app that an API key was made for, where its maker wished that to be public. */
function appOf({ key }: Caller): { app?: string } {
  return key.terms.app === undefined ? {} : { app: key.terms.app };
}

function tooManyApps(): ServiceError {
  return new ServiceError(
    "rate_limited",
    `the calls of an account name at most ${APPS_HELD} apps in a day: name one of those, or none`,
    { param: "x-tally-app", retryAfterMs: RENEWED_SECONDS * 1000 },
  );
}

type Held = { session: Promise<HeldSession>; expiry: number };
type HeldSession = { signer: Signer; id: Uint8Array; expiry: number; nextNonce: number };

function highestOf({ usedNonces }: Session): number {
  let top = -1;
  for (const nonce of usedNonces) top = Math.max(top, nonce);
  return top;
}

/** Reservations that the fold knows by now need not be kept; looked at once they are as many as the window is wide. */
function forget({ usedNonces }: Session, taken: Set<number>): void {
  if (taken.size <= 2 * NONCE_WINDOW) return;
  for (const nonce of taken) if (usedNonces.has(nonce)) taken.delete(nonce);
}
