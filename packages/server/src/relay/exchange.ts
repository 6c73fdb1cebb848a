/**
 * One request to an upstream and what comes back, over a pool of connections that are kept. Nothing of a caller's request is in
 * the URL or the headers, and no redirect is followed: who is asked was configured.
 */
import type { IncomingHttpHeaders } from "node:http";
import { buildConnector, type Dispatcher, errors, Pool } from "undici";
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
      const arriving = new Arriving();
      watch.onStop((fault) => arriving.break(fault));
      pool.dispatch({ path: `${prefix}${path}`, method: "POST", headers, body }, arriving);
      try {
        const head = await arriving.head.catch((error: unknown) => {
          throw faultOf(error, watch);
        });
        const encoding = head.headers["content-encoding"];
        if (encoding !== undefined && encoding !== "identity")
          throw malformed("it is compressed, which was not asked for");
        const value = await read({ ...head, next: boundedReads(arriving, watch, timeouts.betweenChunksMs) });
        return { value, freed: arriving.readRest() };
      } catch (error) {
        arriving.break(error);
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

function boundedReads(arriving: Arriving, watch: Watch, betweenChunksMs: number): Response["next"] {
  let sizeBytes = 0;
  return async () => {
    const value = await arriving.next().catch((error: unknown) => {
      throw faultOf(error, watch);
    });
    if (watch.stopped !== undefined) throw watch.stopped;
    if (value === undefined) return undefined;
    if (sizeBytes === 0) watch.expect("between_chunks_timeout", betweenChunksMs);
    else watch.sign();
    sizeBytes += value.length;
    if (sizeBytes > ANSWER_SIZE_BYTES)
      throw new UpstreamFault("too_large", `the upstream's answer is larger than ${ANSWER_SIZE_BYTES} bytes`);
    return value;
  };
}

/** Bytes that wait to be read; an upstream waits once there are more. */
const WAITING_BYTES = 65_536;

type Head = Pick<Response, "status" | "headers">;

/** A response as it arrives, beneath the library's streams: a call makes one, and reads it once. */
class Arriving implements Dispatcher.DispatchHandler {
  readonly head: Promise<Head>;
  #begin: (head: Head) => void = () => {};
  #refuse: (error: unknown) => void = () => {};
  #controller: Dispatcher.DispatchController | undefined;
  #chunks: Uint8Array[] = [];
  #waitingBytes = 0;
  #hasEnded = false;
  /** What broke it off. */
  #failure: unknown;
  #wake: (() => void) | undefined;
  /** Bytes that may come behind the answer. */
  #restBytes: number | undefined;

  constructor() {
    this.head = new Promise((resolve, reject) => {
      this.#begin = resolve;
      this.#refuse = reject;
    });
    this.head.catch(() => {}); // Whoever waits for it is told.
  }

  /** Ends it, wherever it is. */
  break(error: unknown): void {
    if (this.#hasEnded) return;
    this.#end(error);
    this.#controller?.abort(error instanceof Error ? error : new Error("broken off"));
  }

  #end(failure?: unknown): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#failure = failure;
    if (failure !== undefined) this.#refuse(failure);
    this.#wake?.();
  }

  /** The next bytes; undefined at the end. Throws what broke it off. */
  async next(): Promise<Uint8Array | undefined> {
    while (this.#chunks.length === 0) {
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#hasEnded) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const chunk = this.#chunks.shift();
    this.#waitingBytes -= chunk?.length ?? 0;
    if (this.#controller?.paused === true && this.#waitingBytes <= WAITING_BYTES) this.#controller.resume();
    return chunk;
  }

  /** Lets come what comes behind the answer, a little and not for long, so that the connection can be used again. */
  async readRest(): Promise<void> {
    if (this.#hasEnded) return;
    this.#restBytes = REST_SIZE_BYTES - this.#waitingBytes;
    if (this.#controller?.paused === true) this.#controller.resume();
    const timer = setTimeout(() => this.break(new Error("too long")), REST_MS);
    while (!this.#hasEnded)
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    clearTimeout(timer);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#hasEnded) controller.abort(new Error("nobody waits any more"));
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    if (status >= 200) this.#begin({ status, headers });
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Uint8Array): void {
    if (this.#hasEnded) return;
    if (this.#restBytes !== undefined) {
      this.#restBytes -= chunk.length;
      if (this.#restBytes < 0) this.break(new Error("too much"));
      return;
    }
    this.#chunks.push(chunk);
    this.#waitingBytes += chunk.length;
    if (this.#waitingBytes > WAITING_BYTES) controller.pause();
    this.#wake?.();
  }

  onResponseEnd(): void {
    this.#end();
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    this.#end(error);
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
