/** The gateway over HTTP: the Open Inference Protocol, our SDK's route, sessions, receipts, models. */
import {
  base64,
  CALL_SIZE_BYTES,
  type Dispatch,
  encodeDelivery,
  encodeTensorJson,
  hex,
  Malformed,
  type PublishedModel,
  parseBase64,
  parseDispatch,
  parseHex,
} from "@tallystick/protocol";
import { type Context, Hono } from "hono";
import { z } from "zod";
import { methodRefusal, ServiceError } from "../platform/errors.ts";
import { parseJson, readBody, readJson, withoutRetries } from "../platform/http.ts";
import { type Entrance, inPlace } from "./entrance.ts";
import { modelMetadata, parseInferRequest } from "./oip.ts";
import type { Openings } from "./openings.ts";
import type { Receipts } from "./receipts.ts";
import type { Gateway, Served } from "./service.ts";
import type { Sessions } from "./sessions.ts";

/** JSON is read on the event loop, at some 50 MB a second at worst; larger calls go as CBOR. */
const JSON_LIMIT_BYTES = 8 * 1024 * 1024;
const SMALL_BODY_BYTES = 16_384;
/** What a call counts against its key's units a minute: tensors are not counted in tokens. */
const CALL_UNITS = 1;

export type GatewayRoutes = {
  gateway: Gateway;
  entrance: Entrance;
  openings: Openings;
  sessions: Sessions;
  receipts: Receipts;
  version: string;
  findModel(name: string, version?: string): PublishedModel;
  /** Whether calls can be taken: the log writes, and the network is not closing. */
  isReady(): boolean;
  nowSeconds(): number;
};

const SessionRequest = z.strictObject({ sessionKey: z.string(), possession: z.string(), expiry: z.number().int() });

export function gatewayRoutes({
  gateway,
  entrance,
  openings,
  sessions,
  receipts,
  version,
  findModel,
  isReady,
  nowSeconds,
}: GatewayRoutes): Hono {
  const app = new Hono();

  app.get("/v2", (c) => c.json({ name: "tallystick", version, extensions: [] }));
  app.get("/v2/health/live", (c) => c.json({ live: true }));
  app.get("/v2/health/ready", (c) => c.json({ ready: isReady() }, isReady() ? 200 : 503));

  // A model's name may have a slash in it, so the path is taken apart by hand.
  app.all("/v2/models/:path{.+}", async (c) => {
    const { name, version: wanted, action } = parseModelPath(c.req.param("path"));
    requireMethod(c, action === "infer" ? "POST" : "GET");
    const model = findModel(name, wanted);
    if (action === "metadata") return c.json(modelMetadata(model.manifest));
    if (action === "ready") return c.json({ name, ready: isReady() }, isReady() ? 200 : 503);
    const caller = entrance.callerOf(c, "infer");
    const body = await readBody(c, JSON_LIMIT_BYTES);
    return entrance.once(c, caller, body, async () => {
      const request = parseInferRequest(parseJson(body), model.manifest);
      const admission = await entrance.admit(c, caller.key, CALL_UNITS);
      entrance.countApp(c, caller);
      const call = () =>
        withoutRetries(c, model.priceAtomic, async () => answerOf(c, await gateway.inferFor(caller, model, request)));
      const served = await inPlace(admission, CALL_UNITS, call);
      const outputs = served.outputs.map(encodeTensorJson);
      const { manifest } = model;
      return c.json({
        model_name: manifest.name,
        model_version: manifest.version,
        ...(request.id === undefined ? {} : { id: request.id }),
        parameters: { receipt_id: hex(served.id) },
        outputs,
      });
    });
  });

  app.post("/v1/infer", async (c) => {
    if (c.req.header("content-type") !== "application/cbor")
      throw new ServiceError(
        "unsupported_media_type",
        "POST /v1/infer takes application/cbor from the SDK; with plain JSON use POST /v2/models/{model}/infer",
      );
    const signed = await gateway.checkSigned(readDispatch(await readBody(c, CALL_SIZE_BYTES + SMALL_BODY_BYTES)));
    const admission = await entrance.admit(c, signed.caller.key, CALL_UNITS);
    entrance.countApp(c, signed.caller);
    const served = await inPlace(admission, CALL_UNITS, async () => answerOf(c, await gateway.inferSigned(signed)));
    const { receipt, answer, salt } = served;
    const body = encodeDelivery({ receipt, answer, salt });
    return c.body(body as Uint8Array<ArrayBuffer>, 200, { "content-type": "application/cbor" });
  });

  app.post("/v1/sessions", async (c) => {
    const account = entrance.callerOf(c, "sessions");
    const parsed = SessionRequest.safeParse(await readJson(c, SMALL_BODY_BYTES));
    const sessionKey = parseBase64(parsed.data?.sessionKey ?? "");
    const possession = parseBase64(parsed.data?.possession ?? "");
    if (!parsed.success || sessionKey?.length !== 91 || possession?.length !== 64)
      throw new ServiceError(
        "invalid_request",
        "a session takes {sessionKey, possession, expiry}: base64 SPKI of P-256, base64 signature, Unix seconds",
      );
    const grant = await sessions.grant(account, sessionKey, possession, parsed.data.expiry);
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

/** The answer, with the receipt's id in its header; or the refusal that the receipt records. */
function answerOf(c: Context, served: Served): Extract<Served, { ok: true }> {
  if (!served.ok) throw served.refusal;
  c.header("x-receipt-id", hex(served.id));
  return served;
}

/** `{model}[/versions/{version}][/infer|/ready]`. */
function parseModelPath(path: string): { name: string; version?: string; action: "metadata" | "infer" | "ready" } {
  const [, name = "", version, action] = /^(.+?)(?:\/versions\/([^/]+))?(?:\/(infer|ready))?$/.exec(path) ?? [];
  return {
    name,
    action: action === "infer" || action === "ready" ? action : "metadata",
    ...(version === undefined ? {} : { version }),
  };
}

function readDispatch(bytes: Uint8Array): Dispatch {
  try {
    return parseDispatch(bytes);
  } catch (cause) {
    if (cause instanceof Malformed) throw new ServiceError("invalid_request", `the body ${cause.message}`, { cause });
    throw cause;
  }
}

function requireMethod(c: Context, method: "GET" | "POST"): void {
  const given = c.req.method === "HEAD" ? "GET" : c.req.method;
  if (given !== method) throw methodRefusal(c.req.method, c.req.path, [method]);
}

function noOpening(id: Uint8Array): ServiceError {
  return new ServiceError("not_found", `no opening of ${hex(id)} is kept for this API key`);
}

function parseId(text: string): Uint8Array {
  const id = parseHex(text);
  if (id?.length !== 32) throw new ServiceError("invalid_request", "a receipt id is 64 digits of lower-case hex");
  return id;
}
