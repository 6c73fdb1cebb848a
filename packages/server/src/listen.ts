/** The socket: a network's application, served on one address of this machine. */
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { createAdaptorServer } from "@hono/node-server";
import { type Front, startFront } from "./log/front.ts";
import type { Network } from "./network.ts";
import type { TlsPair } from "./platform/tls.ts";

/** How long calls under way may take to end once the server is told to. */
const DRAIN_MS = 10_000;
const SWEEP_MS = 20;
/** How long a request may take to arrive whole. */
const REQUEST_MS = 60_000;
const CONNECTIONS = 10_000;
/** How long a TLS handshake may take. */
const HANDSHAKE_MS = 10_000;

export type Listening = {
  url: string;
  /** Takes no more connections and lets the calls under way end, for a while. */
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
};

/** Serves the application of `network` on `host`. */
export async function listen(
  network: Pick<Network, "application"> & Partial<Pick<Network, "reads" | "clock">>,
  { host, port, tls, url: told }: ListenOptions,
): Promise<Listening> {
  let url = "";
  let application: ReturnType<Network["application"]> | undefined;
  // The port may be any, so where the application is reached is known only once it listens.
  const server = createAdaptorServer({
    fetch: (request, env) => {
      application ??= network.application(url);
      return application.fetch(request, env);
    },
    ...(tls === undefined
      ? {}
      : { createServer: createTlsServer, serverOptions: { ...tls, handshakeTimeout: HANDSHAKE_MS } }),
  });
  if ("requestTimeout" in server) Object.assign(server, { requestTimeout: REQUEST_MS, maxConnections: CONNECTIONS });
  const { reads, clock } = network; // A witness on its own has no log to be read.
  const front = reads && clock && startFront(server, { reads, clock, idleMs: REQUEST_MS });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, resolve);
  });
  const { address, family, port: bound } = server.address() as AddressInfo;
  const scheme = tls === undefined ? "http" : "https";
  url = told ?? `${scheme}://${family === "IPv6" ? `[${address}]` : address}:${bound}`;
  return { url, close: () => drain(server, front) };
}

async function drain(server: ReturnType<typeof createAdaptorServer>, front: Front | undefined): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  // A connection that is kept alive becomes idle only once its call has ended.
  const sweep = setInterval(() => {
    front?.closeIdleConnections();
    if ("closeIdleConnections" in server) server.closeIdleConnections();
  }, SWEEP_MS);
  const timer = setTimeout(() => {
    front?.closeAllConnections();
    if ("closeAllConnections" in server) server.closeAllConnections();
  }, DRAIN_MS);
  await closed;
  clearInterval(sweep);
  clearTimeout(timer);
}
