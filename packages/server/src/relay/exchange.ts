/**
 * One request to an upstream and what comes back, over a pool of connections that are kept. Nothing of a caller's request is in
 * the URL or the headers, and no redirect is followed: who is asked was configured.
 */
import type { IncomingHttpHeaders } from "node:http";
import { buildConnector, errors, Pool } from "undici";
import { systemCode } from "../platform/errors.ts";
import type { UpstreamConfig } from "./config.ts";
import { malformed, UpstreamFault } from "./fault.ts";
import { ANSWER_SIZE_BYTES, REST_MS, REST_SIZE_BYTES } from "./limits.ts";
import { lookupPrivate } from "./private-address.ts";
import type { Watch } from "./watch.ts";

export type Response = {
  status: number;
  headers: IncomingHttpHeaders;
  /** The next bytes of the body; undefined at its end. */
  next(): Promise<Uint8Array | undefined>;
};

export type Exchange = {
  /**
   * Sends `body` to `path` and has the response read. `freed` resolves once its connection can be used again. Throws an
   * UpstreamFault, and what `read` throws.
   */
  ask<T>(
    path: string,
    body: string,
    firstByteMs: number,
    watch: Watch,
    read: (response: Response) => Promise<T>,
  ): Promise<{ value: T; freed: Promise<void> }>;
  close(): Promise<void>;
};

/** No connection came about. Told apart here, where it is certain, from a connection that was lost. */
class NotConnected extends Error {}

export function openExchange(config: UpstreamConfig): Exchange {
  const { url, apiKey, concurrency, timeouts } = config;
  const pool = new Pool(url.origin, {
    connections: concurrency,
    pipelining: 1,
    // The watch has the only clocks: it knows when nobody reads.
    headersTimeout: 0,
    bodyTimeout: 0,
    connect: connectorOf(url, timeouts.connectMs),
  });
  const headers = {
    "content-type": "application/json",
    accept: "text/event-stream, application/json",
    ...(apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }),
  };
  const prefix = url.pathname.replace(/\/+$/, "");

  return {
    async ask(path, body, firstByteMs, watch, read) {
      watch.expect("first_byte_timeout", firstByteMs);
      const { signal } = watch;
      const asked = await pool
        .request({ path: `${prefix}${path}`, method: "POST", headers, body, signal })
        .catch((error: unknown) => {
          throw faultOf(error, watch);
        });
      const stream = asked.body;
      stream.on("error", () => {}); // Whoever reads it is told; nobody may be reading.
      try {
        const encoding = asked.headers["content-encoding"];
        if (encoding !== undefined && encoding !== "identity")
          throw malformed("it is compressed, which was not asked for");
        const chunks: AsyncIterator<Uint8Array> = stream[Symbol.asyncIterator]();
        const next = boundedReads(chunks, watch, timeouts.betweenChunksMs);
        const value = await read({ status: asked.statusCode, headers: asked.headers, next });
        return { value, freed: readRest(chunks, () => stream.destroy()) };
      } catch (error) {
        stream.destroy();
        throw error;
      }
    },
    close: () => pool.destroy(),
  };
}

function connectorOf(url: URL, timeoutMs: number): buildConnector.connector {
  const lookup = url.protocol === "http:" ? { lookup: lookupPrivate } : {};
  const connect = buildConnector({ timeout: timeoutMs, ...lookup });
  return (options, callback) =>
    connect(options, (...[error, socket]) => {
      if (error !== null) callback(new NotConnected("no connection", { cause: error }), null);
      else callback(null, socket);
    });
}

function boundedReads(chunks: AsyncIterator<Uint8Array>, watch: Watch, betweenChunksMs: number): Response["next"] {
  let sizeBytes = 0;
  return async () => {
    const { done, value } = await chunks.next().catch((error: unknown) => {
      throw faultOf(error, watch);
    });
    if (watch.stopped !== undefined) throw watch.stopped;
    if (done) return undefined;
    if (sizeBytes === 0) watch.expect("between_chunks_timeout", betweenChunksMs);
    else watch.sign();
    sizeBytes += value.length;
    if (sizeBytes > ANSWER_SIZE_BYTES)
      throw new UpstreamFault("too_large", `the upstream's answer is larger than ${ANSWER_SIZE_BYTES} bytes`);
    return value;
  };
}

/** Reads what comes behind the answer, a little and not for long, so that the connection can be used again. */
async function readRest(chunks: AsyncIterator<Uint8Array>, destroy: () => void): Promise<void> {
  const timer = setTimeout(destroy, REST_MS);
  try {
    for (let sizeBytes = 0; sizeBytes <= REST_SIZE_BYTES; ) {
      const { done, value } = await chunks.next();
      if (done) return;
      sizeBytes += value.length;
    }
    destroy();
  } catch {
    // The answer was whole: the connection is lost, and nothing else.
  } finally {
    clearTimeout(timer);
  }
}

function faultOf(cause: unknown, watch: Watch): UpstreamFault {
  if (watch.stopped !== undefined) return watch.stopped;
  if (cause instanceof NotConnected) {
    const isLate = systemCode(cause.cause) === "UND_ERR_CONNECT_TIMEOUT";
    return new UpstreamFault(isLate ? "connect_timeout" : "not_connected", "the upstream cannot be reached", {
      cause: cause.cause,
    });
  }
  if (cause instanceof errors.HTTPParserError || cause instanceof errors.HeadersOverflowError)
    return new UpstreamFault("malformed", "the upstream's answer is malformed: it is no HTTP", { cause });
  return new UpstreamFault("reset", "the connection to the upstream ended before the answer did", { cause });
}
