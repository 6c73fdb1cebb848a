/**
 * A `fetch` for OpenAI's routes of a network: it signs the requester's half of each call with a key that never leaves this
 * process, and gives an answer on only as far as it holds (docs/clients/sdk.md).
 */
import {
  base64,
  CALL_SIZE_BYTES,
  callOf,
  encodeCall,
  hex,
  isJsonObject,
  type JsonObject,
  type JsonOperation,
  Malformed,
  parseHex,
  parseUtf8,
  signedId,
} from "@tallystick/protocol";
import type { VerifiedAnswer } from "./answer-check.ts";
import { RefusedError, UnreachableError, UnverifiedError } from "./errors.ts";
import { readBody, refusalOf } from "./http.ts";
import { operationAt } from "./openai-route.ts";
import { maxPriceOf } from "./price-bound.ts";
import { type CallTerms, createRequester, type Requester, type RequesterOptions, type Signed } from "./requester.ts";
import { checkedStream, StreamCheck } from "./stream-check.ts";
import { checkWhole } from "./whole-answer.ts";

export type VerifiedFetchOptions = RequesterOptions &
  CallTerms & {
    /** Gives the frames of a stream on when a signature of the node covers them; else each as it comes. */
    hold?: boolean;
    /** How often the node is to sign while it streams: 10 to 60,000. */
    sealIntervalMs?: number;
  };

export type VerifiedFetch = (input: string | URL | Request, init?: RequestInit) => Promise<Response>;

/** Is told of an answer that holds, before the caller has the end of it. */
export type OnVerified = (answer: VerifiedAnswer) => void;

const SEAL_INTERVAL_MS = 1_000;
const TERM_HEADERS = ["x-tally-max-price", "x-tally-traffic", "x-tally-decision", "x-tally-open", "x-tally-policy"];

/** A `fetch` whose answers are signed for, and checked before they are given out. What it refuses to send it says as a network would. */
export function createVerifiedFetch(options: VerifiedFetchOptions): VerifiedFetch {
  const requester = createRequester(options);
  return (input, init) => verifiedFetch(requester, options, input, init);
}

/** One request through a verified fetch. */
export async function verifiedFetch(
  requester: Requester,
  options: VerifiedFetchOptions,
  input: string | URL | Request,
  init?: RequestInit,
  onVerified: OnVerified = () => undefined,
): Promise<Response> {
  const url = new URL(input instanceof Request ? input.url : input);
  const base = new URL(options.url);
  if (url.origin !== base.origin)
    throw new TypeError(`${url.origin} is not the network that this fetch is for, ${base.origin}`);
  const request = new Request(input, init);
  if (request.method === "GET" || request.method === "HEAD") {
    const { method, headers, signal } = request;
    return requester.edges.fetch(url.href, { method, headers, signal });
  }
  const prefix = base.pathname.replace(/\/+$/, "");
  const path = url.pathname.startsWith(prefix) ? url.pathname.slice(prefix.length) : url.pathname;
  const operation = request.method === "POST" ? operationAt(path) : undefined;
  if (operation === undefined)
    return refuse(
      404,
      "not_found",
      `${request.method} ${path} gives no answer that can be verified, so it is not sent`,
    );
  return call(requester, options, { url: url.href, operation, request }, onVerified);
}

type Sending = { url: string; operation: JsonOperation; request: Request };

async function call(requester: Requester, options: VerifiedFetchOptions, sending: Sending, onVerified: OnVerified) {
  const { operation, request, url } = sending;
  const text = await request.text();
  const { signal } = request;
  signal.throwIfAborted();
  let signed: Signed;
  let body: JsonObject;
  try {
    body = parseBody(text);
    signed = await sign(requester, operation, body, termsOf(options, request.headers));
  } catch (error) {
    return saidOf(error);
  }
  const headers = headersOf(request.headers, signed, options.sealIntervalMs ?? SEAL_INTERVAL_MS);
  const key = request.headers.get("idempotency-key");
  const all = key === null ? [signed] : requester.signedUnder(key, signed);
  const response = await requester.edges.fetch(url, { method: "POST", headers, body: text, signal });
  if (!response.ok) {
    signed.refused(await refusalOf(response.clone(), url));
    return response;
  }
  signed.taken();
  const isStream = operation !== "embedding" && body.stream === true;
  // Under an Idempotency-Key the answer may be the one to an earlier call: it is held to what was signed for that.
  const receiptId = response.headers.get("x-receipt-id") ?? "";
  const found = all.find(({ authorization }) => hex(signedId(authorization.signed)) === receiptId);
  // What is accepted is for this call to say, also of an answer to an earlier one.
  const asked = found && { ...found, ...(signed.accept && { accept: signed.accept }) };
  if (asked === undefined)
    return broken(response, new UnverifiedError("the answer names another receipt than was asked for"));
  /** A connection that was lost says so with the receipt's id; one that the caller ended says what the caller said. */
  const lost = (cause: unknown) =>
    signal.aborted ? cause : new UnreachableError("the answer broke off", { cause, receiptId, retrySafe: false });
  if (isStream && response.body !== null) {
    const { hold = false } = options;
    const check = new StreamCheck({ operation, asked, nodeKeys: requester.nodeKeys, hold, onVerified });
    return again(response, checkedStream(response.body, check, lost));
  }
  return whole(requester, { operation, asked, response, lost, onVerified });
}

type Whole = {
  operation: JsonOperation;
  asked: Signed;
  response: Response;
  lost(cause: unknown): unknown;
  onVerified: OnVerified;
};

async function whole(requester: Requester, { operation, asked, response, lost, onVerified }: Whole): Promise<Response> {
  try {
    const bytes = await readBody(response, 2 * CALL_SIZE_BYTES).catch((cause: unknown) => {
      throw lost(cause);
    });
    const text = parseUtf8(bytes ?? new Uint8Array(0)) ?? "";
    const { body, verified } = await checkWhole(operation, asked, text, requester.nodeKeys);
    onVerified(verified);
    return again(response, JSON.stringify(body));
  } catch (error) {
    return broken(response, error);
  }
}

/**
 * An answer that cannot be had: reading it fails with `error`. Thrown from here instead, it would pass for a lost connection,
 * and clients would send the call again by themselves, and pay again.
 */
function broken(response: Response, error: unknown): Response {
  return again(
    response,
    new ReadableStream({
      pull(controller) {
        controller.error(error);
      },
    }),
  );
}

/** The same response with another body. */
function again({ status, statusText, headers: given }: Response, body: BodyInit): Response {
  const headers = new Headers(given);
  for (const name of ["content-length", "content-encoding", "transfer-encoding"]) headers.delete(name);
  return new Response(body, { status, statusText, headers });
}

function parseBody(text: string): JsonObject {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch (cause) {
    throw new Malformed(`is not JSON: ${cause instanceof Error ? cause.message : cause}`);
  }
  if (isJsonObject(body)) return body;
  throw new Malformed("is not an object of JSON");
}

async function sign(
  requester: Requester,
  operation: JsonOperation,
  body: JsonObject,
  terms: CallTerms,
): Promise<Signed> {
  if (typeof body.model !== "string") throw new Malformed("names no model");
  const model = await requester.model(body.model);
  const call = encodeCall(callOf(operation, body));
  const maxPrice = terms.maxPrice ?? maxPriceOf(model, body, call.length);
  return requester.sign(model, call, { ...terms, maxPrice, bodyPolicy: body.tally_policy });
}

/** What the caller says of all calls, and of this one in the headers that a call by API key would have. */
function termsOf({ maxPrice, traffic, decision, open, policy }: CallTerms, headers: Headers): CallTerms {
  const [price, said, decisionHex, openness, policyText] = TERM_HEADERS.map((name) => headers.get(name));
  // Its session's key signs for an app once: a header would come too late.
  if (headers.has("x-tally-app")) throw new Malformed("has an x-tally-app: here an app is named in the options");
  if (price != null && !/^[0-9]{1,19}$/.test(price))
    throw new Malformed("has an x-tally-max-price that is no whole number");
  const named = parseHex(decisionHex ?? "");
  if (decisionHex != null && named?.length !== 16)
    throw new Malformed("has an x-tally-decision that is not 32 hex digits");
  if (said != null && said !== "production" && said !== "test" && said !== "probe")
    throw new Malformed("has an x-tally-traffic that is not production, test or probe");
  if (openness != null && openness !== "none" && openness !== "lot")
    throw new Malformed("has an x-tally-open that is not none or lot");
  const terms = {
    maxPrice: price == null ? maxPrice : BigInt(price),
    traffic: said ?? traffic,
    decision: decisionHex == null ? decision : named,
    open: openness ?? open,
    policy: policyText == null ? policy : parseBody(policyText),
  };
  return {
    ...(terms.maxPrice === undefined ? {} : { maxPrice: terms.maxPrice }),
    ...(terms.traffic === undefined ? {} : { traffic: terms.traffic }),
    ...(terms.decision === undefined ? {} : { decision: terms.decision }),
    ...(terms.open === undefined ? {} : { open: terms.open }),
    ...(terms.policy === undefined ? {} : { policy: terms.policy }),
  };
}

/** The API key opened the session and goes no further. */
function headersOf(given: Headers, { authorization, salt, policyHeader }: Signed, sealIntervalMs: number): Headers {
  const headers = new Headers(given);
  for (const name of ["authorization", ...TERM_HEADERS]) headers.delete(name);
  headers.set("content-type", "application/json");
  headers.set("x-tally-authorization", base64url(authorization.signed.bytes));
  headers.set("x-tally-salt", base64url(salt));
  for (const [name, value] of Object.entries(policyHeader)) headers.set(name, value);
  headers.set("x-tally-seal", String(sealIntervalMs));
  return headers;
}

function base64url(bytes: Uint8Array): string {
  return base64(bytes).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** What keeps a call from being sent, as the network would say it: clients know its errors, and do not retry what cannot help. */
function saidOf(error: unknown): Response {
  if (error instanceof RefusedError) return refuse(error.status, error.code, error.message);
  if (error instanceof TypeError && error.cause instanceof Malformed)
    return refuse(400, "invalid_request", error.message);
  if (error instanceof Malformed) return refuse(400, "invalid_request", `the body ${error.message}`);
  if (error instanceof UnverifiedError) return broken(Response.json({}), error);
  throw error;
}

function refuse(status: number, code: string, message: string): Response {
  const type = status === 401 ? "authentication_error" : "invalid_request_error";
  return Response.json(
    { error: { message, type, param: null, code } },
    { status, headers: { "x-should-retry": "false" } },
  );
}
