/** The socket: a network's application, served on one address of this machine. */
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { createAdaptorServer } from "@hono/node-server";
import { type Front, startFront } from "./log/front.ts";
import type { Network } from "./network.ts";
import type { TlsPair } from "./platform/tls.ts";

const SWEEP_MS = 20;

export type ListenLimits = {
  /** How long calls under way may take to end once the server is told to. */
  drainMs: number;
  /** How long a request's head, and the request as a whole, may take to arrive. */
  headMs: number;
  requestMs: number;
  /** The bytes of all headers of a request together. */
  headBytes: number;
  connections: number;
  /** How long a TLS handshake may take. */
  handshakeMs: number;
};

export const LISTEN_LIMITS: ListenLimits = {
  drainMs: 10_000,
  headMs: 20_000,
  requestMs: 60_000,
  headBytes: 16_384,
  connections: 10_000,
  handshakeMs: 10_000,
};
/** How often connections are looked at that take too long, as a part of the shortest limit. */
const LOOKS = 4;

export type Listening = {
  url: string;
  /** Refuses what comes anew and lets the calls under way end, streams included, for a while. */
  close(): Promise<void>;
};

export type ListenOptions = {
  host: string;
  /** 0 is any. */
  port: number;
  /** Serves by https alone. */
  tls?: TlsPair;
  /** Where clients are told to come; else where it listens. */
  url?: string;
  /** Where they differ from those of LISTEN_LIMITS. */
  limits?: Partial<ListenLimits>;
};

/** Serves the application of `network` on `host`. */
export async function listen(
  network: Pick<Network, "application"> & Partial<Pick<Network, "reads" | "clock" | "requests">>,
  { host, port, tls, url: told, limits: given }: ListenOptions,
): Promise<Listening> {
  const limits = { ...LISTEN_LIMITS, ...given };
  let url = "";
  let application: ReturnType<Network["application"]> | undefined;
  // The port may be any, so where the application is reached is known only once it listens.
  const server = createAdaptorServer({
    fetch: (request, env) => {
      application ??= network.application(url);
      return application.fetch(request, env);
    },
    ...(tls === undefined
      ? { serverOptions: httpLimits(limits) }
      : {
          createServer: createTlsServer,
          serverOptions: { ...httpLimits(limits), ...tls, handshakeTimeout: limits.handshakeMs },
        }),
  });
  if ("maxConnections" in server || "requestTimeout" in server) server.maxConnections = limits.connections;
  const { reads, clock } = network; // A witness on its own has no log to be read.
  const front = reads && clock && startFront(server, { reads, clock, idleMs: limits.requestMs });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, resolve);
  });
  const { address, family, port: bound } = server.address() as AddressInfo;
  const scheme = tls === undefined ? "http" : "https";
  url = told ?? `${scheme}://${family === "IPv6" ? `[${address}]` : address}:${bound}`;
  return { url, close: () => drain(server, front, network.requests, limits.drainMs) };
}

function httpLimits({ headMs, requestMs, headBytes }: ListenLimits) {
  return {
    headersTimeout: headMs,
    requestTimeout: requestMs,
    maxHeaderSize: headBytes,
    connectionsCheckingInterval: Math.ceil(Math.min(headMs, requestMs) / LOOKS),
  };
}

/**
 * While calls are under way it still listens, so that whoever balances load is told to go elsewhere and not that nobody
 * is there.
 */
async function drain(
  server: ReturnType<typeof createAdaptorServer>,
  front: Front | undefined,
  requests: Network["requests"] | undefined,
  drainMs: number,
): Promise<void> {
  const until = performance.now() + drainMs;
  let waiting: NodeJS.Timeout | undefined;
  await Promise.race([
    requests?.drain(),
    new Promise((resolve) => {
      waiting = setTimeout(resolve, drainMs);
    }),
  ]);
  clearTimeout(waiting);
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  // A connection that is kept alive becomes idle only once its call has ended.
  const sweep = setInterval(() => {
    front?.closeIdleConnections();
    if ("closeIdleConnections" in server) server.closeIdleConnections();
  }, SWEEP_MS);
  const timer = setTimeout(
    () => {
      front?.closeAllConnections();
      if ("closeAllConnections" in server) server.closeAllConnections();
    },
    Math.max(0, until - performance.now()),
  );
  await closed;
  clearInterval(sweep);
  clearTimeout(timer);
}
