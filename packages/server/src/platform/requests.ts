/**
 * Every request from its head to the last byte of its answer: how many there may be at once, what is counted, and what the
 * log says of it. Names are OpenTelemetry's, of HTTP and of GenAI.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Context, MiddlewareHandler } from "hono";
import { routePath } from "hono/route";
import { ServiceError } from "./errors.ts";
import { headersFor } from "./http.ts";
import type { LogLevel, RequestLog } from "./logging.ts";
import type { Metrics } from "./metrics.ts";
import { createRequestMetrics } from "./request-metrics.ts";

export type RequestLimits = {
  /** Requests in flight at once, streams among them; one more is refused. */
  requests: number;
  streams: number;
  /** Headers of one request; their bytes are the HTTP server's to bound. */
  headers: number;
  /** How long a client may take nothing of an answer that waits for it. */
  idleAnswerMs: number;
};

export const REQUEST_LIMITS: RequestLimits = { requests: 4_096, streams: 2_048, headers: 128, idleAnswerMs: 120_000 };

/** What its route says of a request, for the log and the metrics: never content, never whose it is. */
export type Observation = {
  /** Which operation of which model. The model's name must be the log's own, never what was asked for. */
  call(operation: string, model: string): void;
  /** Takes a place among the streams until the answer has ended. Throws unavailable where there is none. */
  startStream(): void;
  /** The first of the answer's content is on its way. */
  firstToken(): void;
  usage(inputTokens: number, outputTokens: number): void;
  /** The answer ends in a failure that its status does not show, as in the middle of a stream. */
  fail(code: string): void;
};

export type Requests = {
  /** Goes before every other handler. */
  middleware: MiddlewareHandler;
  /** From now on requests are refused, but for those that ask how things are. Resolves once none is in flight. */
  drain(): Promise<void>;
  readonly isDraining: boolean;
};

export type RequestsParts = { metrics: Metrics; log: RequestLog; limits?: Partial<RequestLimits> };

/** Asked by supervisors and scrapers: never refused, and only the log's finest level tells of them. */
const PROBES = new Set(["/healthz", "/readyz", "/metrics", "/v2/health/live", "/v2/health/ready"]);
const KEY = "observation";

/** What a context outside the middleware has. */
const UNOBSERVED: Observation = { call() {}, startStream() {}, firstToken() {}, usage() {}, fail() {} };

/** The observation of the request that is being answered. */
export function observationOf(c: Context): Observation {
  const found: Observation | undefined = c.get(KEY);
  return found ?? UNOBSERVED;
}

/** What is known of a request in the end. */
export type Told = {
  operation?: string;
  model?: string;
  isStream: boolean;
  firstTokenMs?: number;
  tokens?: { input: number; output: number };
  errorCode?: string;
};

/** What is known while the request is under way. */
type Underway = { told: Told; hasEnded: boolean };

type Bindings = { incoming?: IncomingMessage; outgoing?: ServerResponse };

export function createRequests({ metrics, log, limits: given }: RequestsParts): Requests {
  const limits = { ...REQUEST_LIMITS, ...given };
  let inFlight = 0;
  let streams = 0;
  let isDraining = false;
  let emptied: (() => void)[] = [];
  const measure = createRequestMetrics(metrics, { inFlight: () => inFlight, streams: () => streams });

  function refuse(reason: string, message: string): ServiceError {
    measure.refused(reason);
    return new ServiceError("unavailable", message);
  }

  function admit(c: Context, incoming: IncomingMessage | undefined): void {
    if ((incoming?.rawHeaders.length ?? 0) > 2 * limits.headers)
      throw new ServiceError("limit_exceeded", `the request has more than the ${limits.headers} headers allowed here`);
    if (isDraining) {
      c.header("connection", "close");
      throw refuse("draining", "the network is stopping: try again in a moment, there or elsewhere");
    }
    if (inFlight > limits.requests) throw refuse("requests", "too many requests are in flight: try again in a second");
  }

  function observe(underway: Underway, startedMs: number): Observation {
    const { told } = underway;
    return {
      call: (operation, model) => void Object.assign(told, { operation, model }),
      usage: (input, output) => void Object.assign(told, { tokens: { input, output } }),
      fail: (errorCode) => void Object.assign(told, { errorCode }),
      firstToken() {
        told.firstTokenMs ??= performance.now() - startedMs;
      },
      startStream() {
        if (told.isStream) return;
        // Nobody would give the place back.
        if (underway.hasEnded) throw new ServiceError("cancelled", "the caller went away before its answer was begun");
        if (streams >= limits.streams) throw refuse("streams", "too many answers are streamed: try again in a second");
        streams++;
        told.isStream = true;
      },
    };
  }

  function leave(told: Told): void {
    if (told.isStream) streams--;
    inFlight--;
    if (inFlight > 0) return;
    for (const resolve of emptied) resolve();
    emptied = [];
  }

  const middleware: MiddlewareHandler = async (c, next) => {
    const bindings: Bindings | undefined = c.env;
    const { incoming, outgoing } = bindings ?? {};
    const isProbe = PROBES.has(c.req.path);
    const startedMs = performance.now();
    const bytesBefore = outgoing?.socket?.bytesWritten ?? 0;
    const socket = outgoing?.socket;
    const told: Told = { isStream: false };
    const underway: Underway = { told, hasEnded: false };
    const end = (isAborted: boolean) => {
      underway.hasEnded = true;
      if (!isProbe) leave(told);
      const request = {
        method: c.req.method,
        route: routeOf(c),
        status: c.res.status,
        durationMs: performance.now() - startedMs,
        receiptId: headersFor(c)["x-receipt-id"],
        ...told,
        errorCode: told.errorCode ?? (isAborted ? "aborted" : codeOf(c.error)),
      };
      measure.ended(request);
      const sizeBytes = socket === undefined || socket === null ? undefined : socket.bytesWritten - bytesBefore;
      log(levelOf(request.status, isProbe), attributesOf(request, c.req.header("traceparent"), sizeBytes));
    };
    if (!isProbe) inFlight++;
    outgoing?.once("close", () => end(!outgoing.writableFinished));
    c.set(KEY, observe(underway, startedMs));
    try {
      if (!isProbe) admit(c, incoming);
      await next();
    } finally {
      outgoing?.setTimeout(limits.idleAnswerMs);
      if (outgoing === undefined) end(false);
    }
  };

  return {
    middleware,
    get isDraining() {
      return isDraining;
    },
    drain() {
      isDraining = true;
      return inFlight === 0 ? Promise.resolve() : new Promise((resolve) => void emptied.push(resolve));
    },
  };
}

/** The pattern of the route that answered, which names no id. */
function routeOf(c: Context): string {
  const path = routePath(c, -1);
  return path === "/*" || path === "*" ? "unmatched" : path;
}

function codeOf(error: Error | undefined): string | undefined {
  return error === undefined ? undefined : error instanceof ServiceError ? error.code : "internal";
}

function levelOf(status: number, isProbe: boolean): LogLevel {
  if (isProbe) return "debug";
  return status >= 500 ? "warn" : "info";
}

export type Ended = Omit<Told, "errorCode"> & {
  method: string;
  route: string;
  status: number;
  durationMs: number;
  receiptId: string | undefined;
  errorCode: string | undefined;
};

function attributesOf(ended: Ended, traceparent: string | undefined, sizeBytes: number | undefined) {
  const [, traceId, spanId] =
    /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(?:-|$)/.exec(traceparent ?? "") ?? [];
  return {
    "http.request.method": ended.method,
    "http.route": ended.route,
    "http.response.status_code": ended.status,
    "http.response.size": sizeBytes,
    duration_ms: rounded(ended.durationMs),
    "error.type": ended.errorCode,
    "gen_ai.operation.name": ended.operation,
    "gen_ai.request.model": ended.model,
    "gen_ai.server.time_to_first_token_ms": ended.firstTokenMs === undefined ? undefined : rounded(ended.firstTokenMs),
    "gen_ai.usage.input_tokens": ended.tokens?.input,
    "gen_ai.usage.output_tokens": ended.tokens?.output,
    "tally.receipt.id": ended.receiptId,
    trace_id: traceId,
    parent_span_id: spanId,
  };
}

function rounded(ms: number): number {
  return Math.round(ms * 100) / 100;
}
