/** The gateway over HTTP: what is asked by which protocol, our SDK's route, sessions, receipts, accounts. */
import {
  base64,
  CALL_SIZE_BYTES,
  type Dispatch,
  encodeDelivery,
  hex,
  Malformed,
  parseBase64,
  parseDispatch,
  parseHex,
} from "@tallystick/protocol";
import { Hono } from "hono";
import { z } from "zod";
import { ServiceError } from "../platform/errors.ts";
import { readBody, readJson, respond } from "../platform/http.ts";
import { observationOf } from "../platform/requests.ts";
import { policiesOf } from "./acceptance.ts";
import type { Account } from "./accounts.ts";
import { answerOf } from "./answer.ts";
import { AppName } from "./api-keys.ts";
import { CALL_UNITS, inPlace, signalOf } from "./entrance.ts";
import { type OipRoutes, oipRoutes } from "./oip-routes.ts";
import type { Openings } from "./openings.ts";
import type { Receipts } from "./receipts.ts";
import type { Sessions } from "./sessions.ts";

const SMALL_BODY_BYTES = 16_384;

export type GatewayRoutes = OipRoutes & {
  openings: Openings;
  sessions: Sessions;
  receipts: Receipts;
  /** What an account may spend: the budget of a session whose requester asks for none. */
  balanceOf(account: Account): bigint;
  nowSeconds(): number;
};

const SessionRequest = z.strictObject({
  sessionKey: z.string(),
  possession: z.string(),
  expiry: z.number().int(),
  budget: z
    .string()
    .regex(/^(0|[1-9][0-9]{0,19})$/)
    .transform(BigInt)
    .refine((budget) => budget < 1n << 64n)
    .exactOptional(),
  /** Named in the log, for everybody to see. */
  app: AppName.exactOptional(),
});

export function gatewayRoutes(parts: GatewayRoutes): Hono {
  const { gateway, entrance, openings, sessions, receipts, balanceOf, nowSeconds } = parts;
  const app = new Hono();

  app.route("/", oipRoutes(parts));

  app.post("/v1/infer", async (c) => {
    if (c.req.header("content-type") !== "application/cbor")
      throw new ServiceError(
        "unsupported_media_type",
        "POST /v1/infer takes application/cbor from the SDK; with plain JSON use POST /v2/models/{model}/infer",
      );
    // Here answers are whole: a node elsewhere would write the frames of one that nobody reads.
    const { stream: _, ...dispatch } = readDispatch(await readBody(c, CALL_SIZE_BYTES + SMALL_BODY_BYTES));
    const signed = await gateway.signerOf(dispatch.authorization);
    const asked = gateway.check(dispatch, signed, policiesOf(c.req.header("x-tally-policy")));
    const admission = await entrance.admit(c, asked.caller.key, CALL_UNITS);
    entrance.countApp(c, asked.caller);
    if (asked.model !== undefined) observationOf(c).call(asked.call.operation, asked.model.manifest.name);
    const served = await inPlace(admission, CALL_UNITS, async () =>
      answerOf(c, await gateway.serve(asked, signalOf(c))),
    );
    const { receipt, answer, salt } = served;
    const body = encodeDelivery({ receipt, answer, salt });
    return respond(c, body as Uint8Array<ArrayBuffer>, { "content-type": "application/cbor" });
  });

  app.post("/v1/sessions", async (c) => {
    const account = entrance.callerOf(c, "sessions");
    const parsed = SessionRequest.safeParse(await readJson(c, SMALL_BODY_BYTES));
    const sessionKey = parseBase64(parsed.data?.sessionKey ?? "");
    const possession = parseBase64(parsed.data?.possession ?? "");
    if (!parsed.success || sessionKey?.length !== 91 || possession?.length !== 64)
      throw new ServiceError(
        "invalid_request",
        "a session takes {sessionKey, possession, expiry, budget?, app?}: base64 SPKI of P-256, base64 signature, Unix seconds, atomic units in digits, a name in lower case",
      );
    const { expiry, budget = balanceOf(account), app } = parsed.data;
    const asked = { sessionKey, possession, expiry, budget, ...(app === undefined ? {} : { app }) };
    const grant = await sessions.grant(account, asked);
    return c.json({ grant: base64(grant.signed.bytes) }, 201);
  });

  app.get("/v1/receipts", (c) => c.json({ receipts: receipts.latest(20) }));
  app.get("/v1/receipts/:id", async (c) =>
    c.body(await receipts.file(parseId(c.req.param("id"))), 200, { "content-type": "application/json" }),
  );

  app.get("/v1/receipts/:id/opening", (c) => {
    const { payerTag } = entrance.callerOf(c, "read");
    const id = parseId(c.req.param("id"));
    const salts = openings.find({ id: hex(id), index: receipts.indexOf(id) }, payerTag, nowSeconds());
    if (salts === undefined) throw noOpening(id);
    const { request, response } = salts;
    return c.json({
      id: hex(id),
      requestSalt: base64(request),
      ...(response === undefined ? {} : { responseSalt: base64(response) }),
    });
  });

  app.delete("/v1/receipts/:id/opening", (c) => {
    const { payerTag } = entrance.callerOf(c, "read");
    const id = parseId(c.req.param("id"));
    if (!openings.destroy({ id: hex(id), index: receipts.indexOf(id) }, payerTag)) throw noOpening(id);
    return c.json({ id: hex(id), destroyed: true });
  });

  return app;
}

function readDispatch(bytes: Uint8Array): Dispatch {
  try {
    return parseDispatch(bytes);
  } catch (cause) {
    if (cause instanceof Malformed) throw new ServiceError("invalid_request", `the body ${cause.message}`, { cause });
    throw cause;
  }
}

function noOpening(id: Uint8Array): ServiceError {
  return new ServiceError("not_found", `no opening of ${hex(id)} is kept for this API key`);
}

function parseId(text: string): Uint8Array {
  const id = parseHex(text);
  if (id?.length !== 32) throw new ServiceError("invalid_request", "a receipt id is 64 digits of lower-case hex");
  return id;
}
