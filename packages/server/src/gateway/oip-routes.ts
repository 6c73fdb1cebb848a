/**
 * The Open Inference Protocol v2 over HTTP, with Triton's extension for binary tensors in both directions, as Triton's own
 * HTTP client speaks it.
 */
import { base64, CALL_SIZE_BYTES, hex, type PublishedModel } from "@tallystick/protocol";
import { type Context, Hono } from "hono";
import { methodRefusal, ServiceError } from "../platform/errors.ts";
import { parseJson, readBody, respond, withoutRetries } from "../platform/http.ts";
import { observationOf } from "../platform/requests.ts";
import { policiesOf } from "./acceptance.ts";
import { answerOf, tensorsOf } from "./answer.ts";
import { CALL_UNITS, type Entrance, inPlace } from "./entrance.ts";
import {
  encodeInferResponse,
  modelMetadata,
  parseIndexRequest,
  parseInferRequest,
  type ResponseBody,
  repositoryIndex,
} from "./oip.ts";
import type { Gateway } from "./service.ts";

/** JSON is read on the event loop, at some 50 MB a second at worst; larger calls go with binary tensors, or as CBOR. */
const JSON_LIMIT_BYTES = 8 * 1024 * 1024;
const SMALL_BODY_BYTES = 16_384;
/** How much of a body is JSON, where the data of tensors stand behind it. */
const JSON_LENGTH = "inference-header-content-length";

/** Triton's names for what is beyond the protocol. The repository can be listed; nothing is loaded or unloaded over HTTP. */
const EXTENSIONS = ["binary_tensor_data", "model_repository"];

export type OipRoutes = {
  gateway: Gateway;
  entrance: Entrance;
  version: string;
  findModel(name: string, version?: string): PublishedModel;
  /** Every revision there is, yanked ones too. */
  models(): Iterable<PublishedModel>;
  /** Whether calls can be taken: the log writes, and the network is not closing. */
  isReady(): boolean;
};

export function oipRoutes({ gateway, entrance, version, findModel, models, isReady }: OipRoutes): Hono {
  const app = new Hono();

  app.get("/v2", (c) => c.json({ name: "tallystick", version, extensions: EXTENSIONS }));
  app.get("/v2/health/live", (c) => c.json({ live: true }));
  app.get("/v2/health/ready", (c) => c.json({ ready: isReady() }, isReady() ? 200 : 503));

  // A model's name may have a slash in it, so the path is taken apart by hand.
  app.all("/v2/models/:path{.+}", async (c) => {
    const { name, version: wanted, action } = parseModelPath(c.req.param("path"));
    requireMethod(c, action === "infer" ? "POST" : "GET");
    if (action === "config" || action === "stats") throw notKept(name, action);
    const model = findModel(name, wanted);
    if (action === "metadata") return c.json(modelMetadata(model.manifest));
    if (action === "ready") return c.json({ name, ready: isReady() }, isReady() ? 200 : 503);
    return infer(c, model);
  });

  async function infer(c: Context, model: PublishedModel): Promise<Response> {
    const caller = entrance.callerOf(c, "infer");
    observationOf(c).call("infer", model.manifest.name);
    const { body, jsonSizeBytes } = await readRequest(c);
    // The body alone says whether it is the same request: the sizes in it leave one place where its JSON can end.
    return entrance.once(c, caller, body, async () => {
      const json = parseJson(body.subarray(0, jsonSizeBytes));
      const binary = jsonSizeBytes === undefined ? undefined : body.subarray(jsonSizeBytes);
      const request = parseInferRequest(json, binary, model.manifest);
      const policies = policiesOf(c.req.header("x-tally-policy"));
      const admission = await entrance.admit(c, caller.key, CALL_UNITS);
      entrance.countApp(c, caller);
      const call = async () => {
        const served = await gateway.inferFor(caller, model, { ...request, policies });
        return { ...answerOf(c, served), requestSalt: served.requestSalt };
      };
      const served = await inPlace(admission, CALL_UNITS, () => withoutRetries(c, model.priceAtomic, call));
      const { name, version } = model.manifest;
      const head = {
        model_name: name,
        model_version: version,
        ...(request.id === undefined ? {} : { id: request.id }),
        parameters: {
          receipt_id: hex(served.id),
          receipt: base64(served.receipt),
          request_salt: base64(served.requestSalt),
          response_salt: base64(served.salt),
        },
      };
      return send(c, encodeInferResponse(head, tensorsOf(served), request.wantsBinary));
    });
  }

  app.post("/v2/repository/index", async (c) => {
    const body = await readBody(c, SMALL_BODY_BYTES);
    const onlyReady = body.length > 0 && parseIndexRequest(parseJson(body));
    const index = repositoryIndex(models(), isReady());
    return c.json(onlyReady ? index.filter(({ state }) => state === "READY") : index);
  });

  app.post("/v2/repository/models/:path{.+}", (c) => {
    const action = /\/(load|unload)$/.exec(c.req.path)?.[1];
    if (action === undefined) throw new ServiceError("not_found", `nothing at POST ${c.req.path}`);
    throw new ServiceError(
      "invalid_request",
      `${action} is not taken here: a model is offered by being published in the log, and opened by its first call`,
    );
  });

  return app;
}

/** The body of a request, and how much of it is JSON where the header says so; else all of it is. */
async function readRequest(c: Context): Promise<{ body: Uint8Array; jsonSizeBytes?: number }> {
  const encoding = c.req.header("content-encoding");
  if (encoding !== undefined && encoding !== "identity")
    throw new ServiceError("unsupported_media_type", "a body is taken as it is: send it without a content-encoding");
  const length = c.req.header(JSON_LENGTH);
  if (length === undefined) return { body: await readBody(c, JSON_LIMIT_BYTES) };
  const jsonSizeBytes = Number(/^[0-9]{1,10}$/.exec(length)?.[0]);
  if (Number.isNaN(jsonSizeBytes))
    throw new ServiceError("invalid_request", `Inference-Header-Content-Length is a number of bytes, not "${length}"`);
  if (jsonSizeBytes > JSON_LIMIT_BYTES)
    throw new ServiceError("limit_exceeded", `the JSON is larger than the ${JSON_LIMIT_BYTES} bytes allowed here`);
  const body = await readBody(c, jsonSizeBytes + CALL_SIZE_BYTES);
  if (jsonSizeBytes > body.length)
    throw new ServiceError(
      "invalid_request",
      `the body has ${body.length} bytes, fewer than the ${jsonSizeBytes} that Inference-Header-Content-Length says are its JSON`,
    );
  return { body, jsonSizeBytes };
}

function send(c: Context, body: ResponseBody): Response {
  if ("json" in body) return respond(c, body.json, { "content-type": "application/json" });
  return respond(c, body.bytes, {
    "content-type": "application/octet-stream",
    [JSON_LENGTH]: String(body.jsonSizeBytes),
  });
}

const ACTIONS = ["infer", "ready", "config", "stats"] as const;

/** `{model}[/versions/{version}][/infer|/ready|/config|/stats]`. */
function parseModelPath(path: string): {
  name: string;
  version?: string;
  action: "metadata" | (typeof ACTIONS)[number];
} {
  const [, name = "", version, last] =
    /^(.+?)(?:\/versions\/([^/]+))?(?:\/(infer|ready|config|stats))?$/.exec(path) ?? [];
  const action = ACTIONS.find((one) => one === last) ?? "metadata";
  return { name, action, ...(version === undefined ? {} : { version }) };
}

function notKept(name: string, action: "config" | "stats"): ServiceError {
  const instead =
    action === "config" ? `GET /v2/models/${name} has its inputs and outputs` : "GET /v1/usage has what was counted";
  return new ServiceError("not_found", `a model has no ${action} of Triton's here: ${instead}`);
}

function requireMethod(c: Context, method: "GET" | "POST"): void {
  const given = c.req.method === "HEAD" ? "GET" : c.req.method;
  if (given !== method) throw methodRefusal(c.req.method, c.req.path, [method]);
}
