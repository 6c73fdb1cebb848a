/** To whom a node gives what opens a receipt: the verifier that was drawn for it or asked for by name, or a referee (docs/spec/verification.md). */
import {
  checkRequestMessage,
  encodeLotOpening,
  type FoldState,
  hex,
  keyOf,
  type LotOpening,
  mayAct,
  parseBase64,
  parseHex,
  verifyEs256,
} from "@tallystick/protocol";
import type { Context } from "hono";
import { type Clock, nowSeconds } from "../platform/clock.ts";
import { ServiceError } from "../platform/errors.ts";
import { checkRequest } from "../platform/http-signature.ts";
import { drawnTo, isDisputed } from "./lot-fates.ts";
import type { LotOpenings } from "./lot-openings.ts";

export type OpeningAccessParts = {
  fold: FoldState;
  openings: Pick<LotOpenings, "find">;
  /** Reads the log on until `isThere`, or for so long: who asks may have read further. */
  readOn(isThere: () => boolean, withinMs: number): Promise<void>;
};

const LOG_MS = 5_000;

export type OpeningAccess = {
  /**
   * The opening, for the key of that id; `check` is what the receipt's requester signed for it. Throws forbidden where it is not
   * for that key, not_found where it is not kept.
   */
  open(asker: Uint8Array, receiptId: Uint8Array, check?: Uint8Array): Promise<LotOpening>;
};

export function createOpeningAccess({ fold, openings, readOn }: OpeningAccessParts): OpeningAccess {
  /** Whether the requester of a receipt signed for this verifier; for one that has an API key alone its gateway does. */
  async function isAskedFor(verifier: Uint8Array, receiptId: Uint8Array, check: Uint8Array): Promise<boolean> {
    const session = fold.sessions.get(fold.receipts.get(keyOf(receiptId))?.session ?? "");
    if (session === undefined) return false;
    const spki = session.custody === "gateway" ? fold.keys.get(session.gateway)?.spki : session.sessionKey;
    return spki !== undefined && verifyEs256(spki, checkRequestMessage({ receipt: receiptId, verifier }), check);
  }

  async function mayOpen(asker: Uint8Array, receiptId: Uint8Array, check: Uint8Array | undefined): Promise<boolean> {
    const isReferee = mayAct(fold, keyOf(asker), "referee");
    if (!isReferee && !mayAct(fold, keyOf(asker), "verifier")) return false;
    if (check !== undefined && !isReferee && (await isAskedFor(asker, receiptId, check))) return true;
    const mayBe = () => (isReferee ? isDisputed(fold, receiptId) : drawnTo(fold, receiptId) === keyOf(asker));
    await readOn(mayBe, LOG_MS);
    return mayBe();
  }

  return {
    async open(asker, receiptId, check) {
      if (!(await mayOpen(asker, receiptId, check)))
        throw new ServiceError(
          "forbidden",
          `an opening is for the verifier drawn or asked for, and for referees: ${hex(receiptId)} is not for this key`,
        );
      const opening = await openings.find(receiptId);
      if (opening === undefined) throw new ServiceError("not_found", `no opening of ${hex(receiptId)} is kept here`);
      return opening;
    },
  };
}

export type OpeningRoutes = { access: OpeningAccess; id: Uint8Array; fold: FoldState; clock: Clock };

/** Answers `GET /v1/receipts/:id/opening/lot`: a request that a verifier's or a referee's key signs, for this node. */
export function openingHandler({ access, id, fold, clock }: OpeningRoutes): (c: Context) => Promise<Response> {
  return async (c) => {
    const { method, path } = c.req;
    const request = { method, path, header: (name: string) => c.req.header(name) };
    const findKey = (kid: Uint8Array) => fold.keys.get(keyOf(kid))?.spki;
    const signed = await checkRequest(request, { to: id, nowSeconds: nowSeconds(clock), findKey });
    signed.checkBody(new Uint8Array(0));
    const body = encodeLotOpening(await access.open(signed.keyId, receiptIdOf(c), checkOf(c)));
    return c.body(body as Uint8Array<ArrayBuffer>, 200, { "content-type": "application/cbor" });
  };
}

function receiptIdOf(c: Context): Uint8Array {
  const id = parseHex(c.req.param("id") ?? "");
  if (id?.length !== 32) throw new ServiceError("invalid_request", "a receipt id is 64 digits of lower-case hex");
  return id;
}

function checkOf(c: Context): Uint8Array | undefined {
  const text = c.req.header("tallystick-check");
  const check = text === undefined ? undefined : parseBase64(text);
  if (text !== undefined && check?.length !== 64)
    throw new ServiceError("invalid_request", "tallystick-check is a signature of 64 bytes, in base64");
  return check;
}
