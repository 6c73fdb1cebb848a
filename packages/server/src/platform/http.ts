/** HTTP's edge: bodies within their limit, refusals in the shape of each API, one place where an error becomes a status. */
import { isUtf8 } from "node:buffer";
import { JSON_DEPTH } from "@tallystick/protocol";
import type { Context } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { type ErrorCode, mayHaveRun, ServiceError, STATUS } from "./errors.ts";
import { refusalShapeOf, writeRefusal } from "./refusals.ts";

/** What a service tells its operator. Never content, never a key. */
export type Report = (event: string, detail: Record<string, unknown>) => void;

const HEADERS = "headers";

/** Headers that the answer will have, whichever it is, by their names in lower case. To be added to. */
export function headersFor(c: Context): Record<string, string> {
  const known: Record<string, string> | undefined = c.get(HEADERS);
  if (known !== undefined) return known;
  const made: Record<string, string> = {};
  c.set(HEADERS, made);
  return made;
}

/** An answer with the headers that were gathered for it: as they are, since a Headers object takes its time for each. */
export function respond(
  c: Context,
  body: string | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array>,
  headers: Record<string, string>,
): Response {
  return new Response(body, { status: 200, headers: { ...headersFor(c), ...headers } });
}

/**
 * The answer to a request that failed, in the shape of the API that was asked. A fault of ours is told to the operator whole,
 * and to the caller as nothing.
 */
export function errorResponse(c: Context, error: unknown, report: Report): Response {
  const refusal =
    error instanceof ServiceError ? error : new ServiceError("internal", "something went wrong here; it was logged");
  if (refusal.code === "internal")
    report("internal error", { path: c.req.path, error: String(error), stack: stackOf(error) });
  for (const [name, value] of Object.entries(Object.assign(headersFor(c), headersOf(refusal)))) c.header(name, value);
  const { contentType, body } = writeRefusal(refusal, refusalShapeOf(c.req.path));
  return c.body(body, STATUS[refusal.code] as ContentfulStatusCode, { "content-type": contentType });
}

/** Stock clients send a 409 again of themselves: ours say the same the second time. */
const FINAL: ReadonlySet<ErrorCode> = new Set(["conflict", "idempotency_conflict"]);
const RETRY_AFTER_MS = 1_000;

function headersOf(refusal: ServiceError): Record<string, string> {
  const { code, receiptId, allow, headers } = refusal;
  const isTemporary = code === "unavailable" || code === "rate_limited";
  const retryAfterMs = refusal.retryAfterMs ?? (isTemporary ? RETRY_AFTER_MS : undefined);
  return {
    ...headers,
    ...(receiptId === undefined ? {} : { "x-receipt-id": receiptId, "x-request-id": receiptId }),
    ...(retryAfterMs === undefined
      ? {}
      : { "retry-after": String(Math.ceil(retryAfterMs / 1000)), "retry-after-ms": String(Math.ceil(retryAfterMs)) }),
    ...(code === "limit_exceeded" ? { connection: "close" } : {}), // The rest of the body is not read.
    ...(FINAL.has(code) ? { "x-should-retry": "false" } : {}),
    ...(allow === undefined ? {} : { allow: allow.join(", ") }),
  };
}

/**
 * What `work` gives. Where it fails after it may have run and its price is not nothing, stock clients, which send a POST
 * again of themselves, are told not to: it would be another call, with a receipt and a price of its own.
 */
export async function withoutRetries<T>(c: Context, priceAtomic: bigint, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (priceAtomic > 0n && mayHaveRun(error)) headersFor(c)["x-should-retry"] = "false";
    throw error;
  }
}

function stackOf(error: unknown): string | undefined {
  return error instanceof Error ? error.stack : undefined;
}

/** What has arrived of bodies that are being read, together; one more waits for its turn somewhere else. */
const BODIES_LIMIT_BYTES = 256 * 1024 * 1024;
let bodiesBytes = 0;
/** A body that says it is no larger is read in one. */
const SMALL_BODY_BYTES = 256 * 1024;

/** The body of a request, at most `limitBytes` of it. */
export async function readBody(c: Context, limitBytes: number): Promise<Uint8Array> {
  const says = c.req.header("content-length");
  if (Number(says ?? 0) > limitBytes) throw tooLarge(limitBytes);
  try {
    return says !== undefined && Number(says) <= SMALL_BODY_BYTES
      ? new Uint8Array(await c.req.arrayBuffer())
      : await readChunks(c, limitBytes);
  } catch (cause) {
    if (cause instanceof ServiceError) throw cause;
    // The caller went away in the middle of it, which is no fault of ours.
    throw new ServiceError("invalid_request", "the body ended before it was whole: send it again", { cause });
  }
}

/** What has arrived counts, and not what was announced: who sends slowly keeps no room from others. */
async function readChunks(c: Context, limitBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  try {
    for await (const chunk of c.req.raw.body ?? []) {
      sizeBytes += chunk.length;
      bodiesBytes += chunk.length;
      if (sizeBytes > limitBytes) throw tooLarge(limitBytes);
      if (bodiesBytes > BODIES_LIMIT_BYTES)
        throw new ServiceError("unavailable", "too many large bodies are on their way: try again in a second");
      chunks.push(chunk);
    }
    return new Uint8Array(Buffer.concat(chunks));
  } finally {
    bodiesBytes -= sizeBytes;
  }
}

function tooLarge(limitBytes: number): ServiceError {
  return new ServiceError("limit_exceeded", `the body is larger than the ${limitBytes} bytes allowed here`);
}

/** A body of JSON. */
export async function readJson(c: Context, limitBytes: number): Promise<unknown> {
  return parseJson(await readBody(c, limitBytes));
}

/** The value that JSON in UTF-8 stands for. Throws invalid_request, and limit_exceeded where it is built to be slow to read. */
export function parseJson(bytes: Uint8Array): unknown {
  if (!isUtf8(bytes)) throw new ServiceError("invalid_request", "the body is not UTF-8");
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  checkShape(buffer);
  try {
    return JSON.parse(buffer.toString("utf8"));
  } catch (cause) {
    throw new ServiceError(
      "invalid_request",
      `the body is not JSON: ${cause instanceof Error ? cause.message : "malformed"}`,
      { cause },
    );
  }
}

/** Objects, lists and members of a body, together. */
const JSON_PARTS = 250_000;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
/** What a byte outside of texts is: nothing to look at, a quote, an opening, a closing, a colon. */
const KINDS = new Uint8Array(256);
const [TEXT, OPENING, CLOSING, MEMBER] = [1, 2, 3, 4];
for (const [kind, characters] of [
  [TEXT, '"'],
  [OPENING, "[{"],
  [CLOSING, "]}"],
  [MEMBER, ":"],
] as const)
  for (const character of characters) KINDS[character.charCodeAt(0)] = kind;

/**
 * Looks at JSON before it is read: eight megabytes of brackets take the event loop seconds, where eight of text take it
 * milliseconds. What is nested deeper than a call may be would be refused after that anyway.
 */
function checkShape(json: Buffer): void {
  let depth = 0;
  let parts = 0;
  for (let i = 0; i < json.length; i++) {
    const kind = KINDS[json[i] ?? 0];
    if (kind === 0) continue;
    if (kind === TEXT) {
      i = endOfText(json, i);
      continue;
    }
    if (kind === OPENING && ++depth > JSON_DEPTH + 1)
      throw new ServiceError("invalid_request", `the body has JSON nested more than ${JSON_DEPTH} deep`);
    if (kind === CLOSING) depth--;
    else if (++parts > JSON_PARTS)
      throw new ServiceError("limit_exceeded", `the body has more than ${JSON_PARTS} objects, lists and members`);
  }
}

/** Where the text that begins at `start` has its closing quote. */
function endOfText(json: Buffer, start: number): number {
  const end = json.indexOf(QUOTE, start + 1);
  if (end < 0 || json[end - 1] !== BACKSLASH) return end < 0 ? json.length : end;
  for (let i = start + 1; i < json.length; i++) {
    if (json[i] === QUOTE) return i;
    if (json[i] === BACKSLASH) i++;
  }
  return json.length;
}
