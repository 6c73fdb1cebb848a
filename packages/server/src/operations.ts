/** What an operator asks of a running network: whether it lives, whether it takes calls, and its figures for Prometheus. */
import { monitorEventLoopDelay } from "node:perf_hooks";
import { type Context, Hono } from "hono";
import type { Log } from "./log/service.ts";
import { ServiceError } from "./platform/errors.ts";
import type { RequestLog } from "./platform/logging.ts";
import { createMetrics, METRICS_CONTENT_TYPE, type Metrics } from "./platform/metrics.ts";
import { createRequests, type RequestLimits, type Requests } from "./platform/requests.ts";

export type Operations = {
  metrics: Metrics;
  requests: Requests;
  close(): void;
};

/** Measures a network from here on: its requests, its log, its process. */
export function openOperations(
  { requestLog = () => {}, requestLimits = {} }: { requestLog?: RequestLog; requestLimits?: Partial<RequestLimits> },
  log: MeasuredLog,
): Operations {
  const metrics = createMetrics();
  const requests = createRequests({ metrics, log: requestLog, limits: requestLimits });
  measureLog(metrics, log);
  return { metrics, requests, close: measureProcess(metrics) };
}

export type OperationsParts = {
  metrics: Metrics;
  /** Whether a request's authorization header is the operator's. */
  isAdmin(header: string | undefined): boolean;
  /** Whether calls can be taken. */
  isReady(): boolean;
  /** Whether requests come through a proxy, so that every peer is of this machine. */
  isBehindProxy: boolean;
};

export function operationsRoutes({ metrics, isAdmin, isReady, isBehindProxy }: OperationsParts): Hono {
  const app = new Hono();
  app.get("/healthz", (c) => c.json({ live: true }));
  app.get("/readyz", (c) => c.json({ ready: isReady() }, isReady() ? 200 : 503));
  app.get("/metrics", (c) => {
    if (!isAdmin(c.req.header("authorization")) && (isBehindProxy || !isOfThisMachine(c)))
      throw new ServiceError(
        "forbidden",
        "metrics are the operator's: ask on its machine, or send the token in keys/admin-token",
      );
    return c.body(metrics.text(), 200, { "content-type": METRICS_CONTENT_TYPE });
  });
  return app;
}

const LOOPBACK_PEER = /^(::ffff:)?127\.|^::1$/;
const LOOPBACK_HOST = /^(127\.[0-9.]+|\[::1\]|localhost)(:\d+)?$/;
const OF_PROXIES = ["forwarded", "x-forwarded-for", "via"];

/** Whether a program on this machine asks by a loopback name: no proxy, and no page whose name was bent to 127.0.0.1. */
function isOfThisMachine(c: Context): boolean {
  const bindings: { incoming?: { socket: { remoteAddress?: string } } } | undefined = c.env;
  const isLocal = LOOPBACK_PEER.test(bindings?.incoming?.socket.remoteAddress ?? "");
  return (
    isLocal &&
    LOOPBACK_HOST.test(c.req.header("host") ?? "") &&
    OF_PROXIES.every((name) => c.req.header(name) === undefined)
  );
}

type MeasuredLog = Pick<Log, "head" | "published" | "witnessed" | "canWrite" | "queueLength">;

/** Adds what is measured of the log. */
function measureLog(metrics: Metrics, log: MeasuredLog): void {
  metrics.gauge({ name: "tally_log_size", help: "Entries of the log, by how far they got.", labels: ["state"] }, () => [
    { labels: ["integrated"], value: log.head.size },
    { labels: ["published"], value: log.published.size },
    { labels: ["witnessed"], value: log.witnessed?.size ?? 0 },
  ]);
  metrics.gauge({ name: "tally_log_queue_entries", help: "Entries that wait to be durable." }, () => log.queueLength);
  metrics.gauge({ name: "tally_log_writable", help: "1 while the log can write." }, () => (log.canWrite ? 1 : 0));
}

type UpstreamState = { name: string; isOpen: boolean; inFlight: number };

/** Adds what is measured of upstreams, by the names that their operator gave them. */
export function measureUpstreams(metrics: Metrics, view: () => readonly UpstreamState[]): void {
  const of = (name: string, help: string, value: (upstream: UpstreamState) => number) =>
    metrics.gauge({ name, help, labels: ["upstream"] }, () =>
      view().map((one) => ({ labels: [one.name], value: value(one) })),
    );
  of("tally_upstream_breaker_open", "1 while an upstream is left alone.", ({ isOpen }) => (isOpen ? 1 : 0));
  of("tally_upstream_calls_in_flight", "Calls that an upstream has.", ({ inFlight }) => inFlight);
}

/** Adds what is measured of openings that are kept for the lot. */
export function measureOpenings(
  metrics: Metrics,
  held: () => { count: number; sizeBytes: number; evictedCount: number },
): void {
  metrics.gauge({ name: "tally_node_openings", help: "Openings that are kept for the lot." }, () => held().count);
  metrics.gauge({ name: "tally_node_openings_bytes", help: "What they take." }, () => held().sizeBytes);
  metrics.total(
    {
      name: "tally_node_openings_evicted_total",
      help: "Openings that went for want of room before they were needless.",
    },
    () => held().evictedCount,
  );
}

type NodeState = { id: string; breaker: "closed" | "open"; inFlight: number; waiting: number };

/** Adds what is measured of nodes elsewhere, by their key ids. */
export function measureNodes(metrics: Metrics, view: () => readonly NodeState[]): void {
  const of = (name: string, help: string, value: (node: NodeState) => number) =>
    metrics.gauge({ name, help, labels: ["node"] }, () =>
      view().map((one) => ({ labels: [one.id], value: value(one) })),
    );
  of("tally_node_breaker_open", "1 while a node is left alone.", ({ breaker }) => (breaker === "open" ? 1 : 0));
  of("tally_node_calls_in_flight", "Calls of this gateway that a node has.", ({ inFlight }) => inFlight);
  of("tally_node_calls_waiting", "Calls that wait at a node, by its own word.", ({ waiting }) => waiting);
}

/** How often the event loop is looked at. */
const RESOLUTION_MS = 20;

/** Adds what is measured of the process, in the names that dashboards of Node.js know. Returns what ends it. */
function measureProcess(metrics: Metrics): () => void {
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delay.enable();
  // What is measured is the time between two looks.
  const seconds = (nanoseconds: number) =>
    Number.isFinite(nanoseconds) ? Math.max(0, nanoseconds / 1e9 - RESOLUTION_MS / 1000) : 0;
  const lag = (name: string, read: () => number) =>
    metrics.gauge(
      { name: `nodejs_eventloop_lag_${name}_seconds`, help: `Event-loop lag since it was last asked: ${name}.` },
      () => seconds(read()),
    );
  lag("p50", () => delay.percentile(50));
  lag("p99", () => delay.percentile(99));
  lag("max", () => {
    const most = delay.max;
    delay.reset(); // The last to be read.
    return most;
  });
  const memory = (name: string, help: string, read: (usage: NodeJS.MemoryUsage) => number) =>
    metrics.gauge({ name, help }, () => read(process.memoryUsage()));
  memory("process_resident_memory_bytes", "Resident memory.", ({ rss }) => rss);
  memory("nodejs_heap_size_used_bytes", "Heap in use.", ({ heapUsed }) => heapUsed);
  memory("nodejs_external_memory_bytes", "Memory outside the heap, buffers among it.", ({ external }) => external);
  metrics.total({ name: "process_cpu_seconds_total", help: "Processor time, of all threads." }, () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  });
  return () => void delay.disable();
}
