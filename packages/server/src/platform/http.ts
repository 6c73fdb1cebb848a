/** HTTP's edge: bodies within their limit, refusals in one shape, one place where an error becomes a status. */
import { isUtf8 } from "node:buffer";
import type { Context } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { ServiceError, STATUS } from "./errors.ts";

/** What a service tells its operator. Never content, never a key. */
export type Report = (event: string, detail: Record<string, unknown>) => void;

/** The answer to a request that failed. A fault of ours is told to the operator whole, and to the caller as nothing. */
export function errorResponse(c: Context, error: unknown, report: Report): Response {
  const refusal =
    error instanceof ServiceError ? error : new ServiceError("internal", "something went wrong here; it was logged");
  if (refusal.code === "internal")
    report("internal error", { path: c.req.path, error: String(error), stack: stackOf(error) });
  if (refusal.receiptId !== undefined) c.header("x-receipt-id", refusal.receiptId);
  if (refusal.code === "unavailable" || refusal.code === "rate_limited") c.header("retry-after", "1");
  if (refusal.code === "limit_exceeded") c.header("connection", "close"); // The rest of the body is not read.
  if (refusal.allow !== undefined) c.header("allow", refusal.allow.join(", "));
  const body = isOip(c.req.path) ? oipBody(refusal) : ownBody(refusal);
  return c.json(body, STATUS[refusal.code] as ContentfulStatusCode);
}

function ownBody({ code, message, receiptId }: ServiceError): Record<string, unknown> {
  return { error: { code, message, ...(receiptId === undefined ? {} : { receiptId }) } };
}

/** Whether a path is of the Open Inference Protocol, whose clients read `error` as a text. */
const isOip = (path: string) => /^\/v2(?:\/|$)/.test(path);

function oipBody({ code, message, receiptId }: ServiceError): Record<string, unknown> {
  return { error: message, code, ...(receiptId === undefined ? {} : { receipt_id: receiptId }) };
}

function stackOf(error: unknown): string | undefined {
  return error instanceof Error ? error.stack : undefined;
}

/** Bodies that are being read, together; one more waits for its turn somewhere else. */
const BODIES_LIMIT_BYTES = 256 * 1024 * 1024;
let bodiesBytes = 0;

/** The body of a request, at most `limitBytes` of it. */
export async function readBody(c: Context, limitBytes: number): Promise<Uint8Array> {
  const says = c.req.header("content-length");
  if (Number(says ?? 0) > limitBytes) throw tooLarge(limitBytes);
  const reservedBytes = says === undefined ? limitBytes : Number(says);
  if (bodiesBytes + reservedBytes > BODIES_LIMIT_BYTES)
    throw new ServiceError("unavailable", "too many large bodies are on their way: try again in a second");
  bodiesBytes += reservedBytes;
  try {
    return says === undefined ? await readChunks(c, limitBytes) : new Uint8Array(await c.req.arrayBuffer());
  } catch (cause) {
    if (cause instanceof ServiceError) throw cause;
    // The caller went away in the middle of it, which is no fault of ours.
    throw new ServiceError("invalid_request", "the body ended before it was whole: send it again", { cause });
  } finally {
    bodiesBytes -= reservedBytes;
  }
}

async function readChunks(c: Context, limitBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of c.req.raw.body ?? []) {
    sizeBytes += chunk.length;
    if (sizeBytes > limitBytes) throw tooLarge(limitBytes);
    chunks.push(chunk);
  }
  return new Uint8Array(Buffer.concat(chunks));
}

function tooLarge(limitBytes: number): ServiceError {
  return new ServiceError("limit_exceeded", `the body is larger than the ${limitBytes} bytes allowed here`);
}

/** A body of JSON. */
export async function readJson(c: Context, limitBytes: number): Promise<unknown> {
  return parseJson(await readBody(c, limitBytes));
}

/** The JSON that a body, or the start of one, is. Throws invalid_request. */
export function parseJson(bytes: Uint8Array): unknown {
  if (!isUtf8(bytes)) throw new ServiceError("invalid_request", "the body is not UTF-8");
  try {
    return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8"));
  } catch (cause) {
    throw new ServiceError(
      "invalid_request",
      `the body is not JSON: ${cause instanceof Error ? cause.message : "malformed"}`,
      { cause },
    );
  }
}
