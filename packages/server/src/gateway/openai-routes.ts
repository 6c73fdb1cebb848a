/** OpenAI's API over HTTP: chat completions, completions, embeddings and responses, whole or as they come, each with its receipt. */
import {
  callOf,
  type Dispatch,
  encodeCall,
  hex,
  isJsonObject,
  type JsonObject,
  type JsonOperation,
  Malformed,
  type PublishedModel,
  parseBase64,
  parseHex,
  receiptJson,
  utf8,
} from "@tallystick/protocol";
import { type Context, Hono } from "hono";
import { ServiceError } from "../platform/errors.ts";
import { headersFor, parseJson, type Report, readBody, respond, withoutRetries } from "../platform/http.ts";
import { errorBody } from "../platform/refusals.ts";
import { type Observation, observationOf } from "../platform/requests.ts";
import { Stop } from "../platform/stop.ts";
import { policiesOf } from "./acceptance.ts";
import type { Caller } from "./accounts.ts";
import { answerOf } from "./answer.ts";
import { openOf, trafficOf } from "./attribution.ts";
import type { Contents } from "./contents.ts";
import { type Entrance, signalOf } from "./entrance.ts";
import { createFrameStream } from "./frame-stream.ts";
import type { Admission } from "./limits.ts";
import { type OpenAiRequest, parseOpenAiRequest } from "./openai-requests.ts";
import { maxPriceOf, unitsOf } from "./quotes.ts";
import type { Asked, Gateway, Served } from "./service.ts";

/** JSON is read on the event loop, at some 50 MB a second at worst; images in a chat fit. */
const JSON_LIMIT_BYTES = 8 * 1024 * 1024;
/** A stream whose first piece takes longer is begun without it, so that whoever waits knows that somebody works. */
const FIRST_FRAME_MS = 10_000;

export type OpenAiRoutes = {
  gateway: Gateway;
  entrance: Entrance;
  contents: Pick<Contents, "checkRoom" | "keep">;
  findModel(name: string, version?: string): PublishedModel;
  report: Report;
  nowMs(): number;
};

/** OpenTelemetry's names. */
const GEN_AI_OPERATIONS: Record<JsonOperation, string> = {
  chat: "chat",
  completion: "text_completion",
  embedding: "embeddings",
  response: "chat",
};

const PATHS: [path: string, operation: JsonOperation][] = [
  ["/v1/chat/completions", "chat"],
  ["/v1/completions", "completion"],
  ["/v1/embeddings", "embedding"],
  ["/v1/responses", "response"],
];

export function openAiRoutes(parts: OpenAiRoutes): Hono {
  const { gateway, entrance } = parts;
  const app = new Hono();

  for (const [path, operation] of PATHS)
    app.post(path, async (c) => {
      // Who asks is known before the body is read: reading is work, and a stranger's is not done.
      const half = halfOf(c);
      if (half === undefined) {
        const caller = entrance.callerOf(c, "infer");
        const asked = await readRequest(parts, c, operation);
        return entrance.once(c, caller, asked.bytes, () => answerByKey(parts, c, caller, asked));
      }
      const signed = await gateway.signerOf(half.authorization);
      const { bytes, request, stream } = await readRequest(parts, c, operation);
      const policies = policiesOf(c.req.header("x-tally-policy"), request.body);
      const asked = gateway.check(dispatchOf(half, request, stream), signed, policies);
      requireNamed(asked, request);
      return entrance.once(c, asked.caller, bytes, () => answer(parts, c, request, asked));
    });
  return app;
}

type Read = { bytes: Uint8Array; request: OpenAiRequest; stream: Dispatch["stream"] };

async function readRequest({ contents }: OpenAiRoutes, c: Context, operation: JsonOperation): Promise<Read> {
  const bytes = await readBody(c, JSON_LIMIT_BYTES);
  const request = parseOpenAiRequest(operation, parseJson(bytes), bytes.length);
  const stream = streamOf(c, request);
  if (request.body.store === true) contents.checkRoom();
  return { bytes, request, stream };
}

async function answerByKey(
  parts: OpenAiRoutes,
  c: Context,
  caller: Caller,
  { request, stream }: Read,
): Promise<Response> {
  const model = parts.findModel(request.model);
  const call = callOf(request.operation, request.body);
  const asks = terms(c, model, request, caller.key.terms.maxPriceAtomic);
  return answer(parts, c, request, await parts.gateway.authorize(caller, model, call, asks, stream));
}

/** A half is for a revision; the model that the body names must be its own. */
function requireNamed({ model }: Asked, request: OpenAiRequest): void {
  const { name } = model?.manifest ?? {};
  if (name === undefined || name === request.model) return;
  throw new ServiceError("invalid_request", `the authorization is for ${name}, and the body asks ${request.model}`, {
    param: "model",
  });
}

async function answer(parts: OpenAiRoutes, c: Context, request: OpenAiRequest, asked: Asked): Promise<Response> {
  const { gateway, entrance } = parts;
  const units = unitsOf(request);
  const observation = observationOf(c);
  const { name } = asked.model?.manifest ?? {};
  if (name !== undefined) observation.call(GEN_AI_OPERATIONS[request.operation], name);
  if (request.stream) observation.startStream();
  const admission = await entrance.admit(c, asked.caller.key, units.inputUnits + units.outputUnits);
  entrance.countApp(c, asked.caller);
  const { maxPrice } = asked.authorization.says;
  if (request.stream) return withoutRetries(c, maxPrice, () => streamed(parts, c, request, asked, admission));
  let used = 0;
  try {
    const beganMs = parts.nowMs();
    const serve = async () => answerOf(c, await gateway.serve(asked, signalOf(c)));
    const served = await withoutRetries(c, maxPrice, serve);
    used = tokensIn(served.body, observation);
    nameReceipt(c, asked);
    headersFor(c)["openai-processing-ms"] = String(Math.max(0, Math.round(parts.nowMs() - beganMs)));
    const body = { ...inEncoding(served.body ?? {}, request), receipt: receiptOf(served, asked) };
    keepContent(parts, request, asked, body);
    return respond(c, JSON.stringify(body), { "content-type": "application/json" });
  } catch (error) {
    if (isLeft(error)) used = units.inputUnits + units.outputUnits;
    throw error;
  } finally {
    admission.release(used);
  }
}

/** Whether the caller went away. It pays nothing, and what was worked for it counts against its key's tokens a minute. */
const isLeft = (failure: unknown) => failure instanceof ServiceError && failure.code === "cancelled";

/** The receipt's id, in the headers that clients of several kinds look at; what was not taken up has none. */
function nameReceipt(c: Context, { id }: Asked): void {
  const name = hex(id);
  const link = `</v1/receipts/${name}>; rel="describedby"`;
  Object.assign(headersFor(c), { "x-receipt-id": name, "x-request-id": name, link });
}

type Answered = Extract<Served, { ok: true }>;

function receiptOf({ id, receipt, salt, disclosure }: Answered, { requestSalt }: Asked): JsonObject {
  return receiptJson({
    ...{ id, entry: receipt, responseSalt: salt, ...disclosure },
    ...(requestSalt === undefined ? {} : { requestSalt }),
  });
}

/** The answer frame by frame. What fails before the first of them is a status; what fails after it is a frame that says so. */
async function streamed(
  parts: OpenAiRoutes,
  c: Context,
  request: OpenAiRequest,
  asked: Asked,
  admission: Admission,
): Promise<Response> {
  const gone = new Stop();
  // Until the answer's body is given out, and can be cancelled, only the connection tells that nobody waits.
  signalOf(c).addEventListener("abort", () => gone.abort(), { once: true });
  const frames = createFrameStream(() => gone.abort());
  const observation = observationOf(c);
  void frames.begun.then(observation.firstToken);
  let used = 0;
  const served = parts.gateway
    .stream(asked, { sink: frames.sink, signal: gone.signal })
    .then((outcome) => {
      if (outcome.ok) {
        used = tokensIn(outcome.body, observation);
        keepContent(parts, request, asked, { ...outcome.body, receipt: receiptOf(outcome, asked) });
        return outcome;
      }
      observation.fail(outcome.refusal.code);
      if (isLeft(outcome.refusal)) used = unitsOf(request).inputUnits + frames.frameCount();
      return outcome;
    })
    .finally(() => admission.release(used));
  const settled: Promise<Ending> = served.then(
    (outcome) => (outcome.ok ? { ok: true } : { ok: false, failure: outcome.refusal, isTold: frames.frameCount() > 0 }),
    (failure: unknown) => ({ ok: false, failure, isTold: false }),
  );
  const late = createTimer(FIRST_FRAME_MS);
  const early = await Promise.race([frames.begun, late.passed, settled]);
  late.clear();
  if (early !== undefined && !early.ok) {
    frames.close();
    throw early.failure;
  }
  nameReceipt(c, asked);
  void settled.then(async (ending) => {
    if (!ending.ok && !ending.isTold && !gone.signal.aborted)
      await frames.sink(utf8(`data: ${JSON.stringify(errorBody(refusalOf(ending.failure, parts.report)))}\n\n`));
    frames.close();
  });

  return respond(c, frames.body, {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache, no-transform",
    "x-accel-buffering": "no",
  });
}

/** How a stream ended; a node that gave a receipt for a failure told of it in the stream, once that had begun. */
type Ending = { ok: true } | { ok: false; failure: unknown; isTold: boolean };

function createTimer(ms: number): { passed: Promise<undefined>; clear(): void } {
  let timer: NodeJS.Timeout | undefined;
  const passed = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, ms, undefined);
  });
  return { passed, clear: () => clearTimeout(timer) };
}

function refusalOf(failure: unknown, report: Report): ServiceError {
  if (failure instanceof ServiceError) return failure;
  report("internal error", { path: "stream", error: String(failure) });
  return new ServiceError("internal", "something went wrong here; it was logged");
}

/** Keeps what was asked and answered where the request says so, and else nothing of it. */
function keepContent({ contents }: OpenAiRoutes, request: OpenAiRequest, asked: Asked, response: JsonObject): void {
  if (request.body.store !== true || typeof response.id !== "string") return;
  contents.keep(asked.caller.payerTag, response.id, { request: request.body, response });
}

/** The tokens that an answer took, together; each kind is told as it is. */
function tokensIn(body: JsonObject | undefined, observation: Observation): number {
  const usage = body?.usage;
  if (!isJsonObject(usage)) return 0;
  const count = (...names: string[]) =>
    Number(names.map((name) => usage[name]).find((value) => typeof value === "number") ?? 0);
  observation.usage(count("prompt_tokens", "input_tokens"), count("completion_tokens", "output_tokens"));
  return count("total_tokens");
}

/** How the answer is to travel, where it is streamed. */
function streamOf(c: Context, { stream, includeUsage }: OpenAiRequest): Dispatch["stream"] {
  if (!stream) return undefined;
  const seal = c.req.header("x-tally-seal");
  const sealIntervalMs = seal === undefined ? undefined : Number(/^[0-9]{1,5}$/.exec(seal)?.[0]);
  if (sealIntervalMs !== undefined && !(sealIntervalMs >= 10 && sealIntervalMs <= 60_000))
    throw new ServiceError("invalid_request", "x-tally-seal is a number of milliseconds from 10 to 60000", {
      param: "x-tally-seal",
    });
  return {
    usage: includeUsage ? "in_frame" : "in_receipt",
    ...(sealIntervalMs === undefined ? {} : { sealIntervalMs }),
  };
}

/** What a caller by API key authorises beside the call: what its headers say, else the most that the call can cost. */
function terms(c: Context, model: PublishedModel, request: OpenAiRequest, keyMaximum: string | undefined) {
  const given = c.req.header("x-tally-max-price");
  if (given !== undefined && !(/^[0-9]{1,20}$/.test(given) && BigInt(given) < 1n << 64n))
    throw new ServiceError("invalid_request", "x-tally-max-price is a number of atomic units below 2^64", {
      param: "x-tally-max-price",
    });
  const decision = c.req.header("x-tally-decision");
  const decisionBytes = decision === undefined ? undefined : parseHex(decision);
  if (decision !== undefined && decisionBytes?.length !== 16)
    throw new ServiceError("invalid_request", "x-tally-decision is 32 digits of lower-case hex", {
      param: "x-tally-decision",
    });
  return {
    maxPrice: given === undefined ? maxPriceOf(model, request, keyMaximum) : BigInt(given),
    traffic: trafficOf(c.req.header("x-tally-traffic")),
    open: openOf(c.req.header("x-tally-open")),
    policies: policiesOf(c.req.header("x-tally-policy"), request.body),
    ...(decisionBytes === undefined ? {} : { decision: decisionBytes }),
  };
}

type Half = Pick<Dispatch, "authorization" | "salt">;

/** The half of a requester that signed it itself; undefined where it sends none. */
function halfOf(c: Context): Half | undefined {
  const signed = c.req.header("x-tally-authorization");
  if (signed === undefined) return undefined;
  const authorization = bytesOf(signed);
  const salt = bytesOf(c.req.header("x-tally-salt") ?? "");
  if (authorization !== undefined && salt?.length === 32) return { authorization, salt };
  throw new ServiceError(
    "invalid_request",
    "x-tally-authorization and x-tally-salt are base64url: the requester's half, and the 32 bytes under its commitment",
  );
}

/** The dispatch of a half: over the call that this very body makes. */
function dispatchOf(half: Half, request: OpenAiRequest, stream: Dispatch["stream"]): Dispatch {
  try {
    const call = encodeCall(callOf(request.operation, request.body));
    return { ...half, call, ...(stream === undefined ? {} : { stream }) };
  } catch (cause) {
    if (!(cause instanceof Malformed)) throw cause;
    throw new ServiceError("invalid_request", `the request ${cause.message}`, { cause });
  }
}

function bytesOf(base64url: string): Uint8Array | undefined {
  const plain = base64url.replaceAll("-", "+").replaceAll("_", "/").replace(/=+$/, "");
  return parseBase64(plain.padEnd(Math.ceil(plain.length / 4) * 4, "="));
}

/** The answer in the encoding that was asked for: receipts are over base64, floats are for people. */
function inEncoding(body: JsonObject, { operation, encoding }: OpenAiRequest): JsonObject {
  if (operation !== "embedding" || encoding === "base64" || !Array.isArray(body.data)) return body;
  const data = body.data.map((row) => {
    if (!isJsonObject(row) || typeof row.embedding !== "string") return row;
    const bytes = Buffer.from(row.embedding, "base64");
    const floats = Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readFloatLE(i * 4));
    return { ...row, embedding: floats };
  });
  return { ...body, data };
}
