/** A tabular model over HTTP, receipts and log on, against the same gateway answering the same body with nothing behind it. */
import { loadFrom, type Server, startBaseline, startNetwork } from "./process.ts";
import { median, type Row } from "./ratio.ts";

/** Until code is compiled and the model is open. */
const WARM_ROUNDS = 4;
const ROUNDS = 7;
const DURATION_MS = 4_000;
const CONNECTIONS = 64;
const PATH = "/v2/models/wisconsin/breast-cancer/infer";
const FEATURES = [
  17.99, 10.38, 122.8, 1001, 0.1184, 0.2776, 0.3001, 0.1471, 0.2419, 0.07871, 1.095, 0.9053, 8.589, 153.4, 0.006399,
  0.04904, 0.05373, 0.01587, 0.03003, 0.006193, 25.38, 17.33, 184.6, 2019, 0.1622, 0.6656, 0.7119, 0.2654, 0.4601,
  0.1189,
];
const BODY = JSON.stringify({ inputs: [{ name: "features", datatype: "FP32", shape: [1, 30], data: FEATURES }] });

/** A call of the model. */
export const CALL = { path: PATH, body: BODY, connections: CONNECTIONS };

type Measured = { requestsPerSecond: number; cpuMs: number; p50Ms: number };

async function measure(server: Server): Promise<Measured> {
  const before = server.cpuMs();
  const { url, headers } = server;
  const { requestsPerSecond, p50Ms } = await loadFrom({
    url: `${url}${PATH}`,
    headers,
    body: BODY,
    connections: CONNECTIONS,
    durationMs: DURATION_MS,
  });
  return { requestsPerSecond, p50Ms, cpuMs: (server.cpuMs() - before) / ((requestsPerSecond * DURATION_MS) / 1000) };
}

export async function benchServing(): Promise<Row[]> {
  const servers = {
    bare: await startBaseline("empty"),
    unreceipted: await startBaseline("unreceipted"),
    network: await startNetwork(),
  };
  const rounds: Record<keyof typeof servers, Measured>[] = [];
  const round = async () => ({
    bare: await measure(servers.bare),
    unreceipted: await measure(servers.unreceipted),
    network: await measure(servers.network),
  });
  try {
    for (let i = 0; i < WARM_ROUNDS; i++) await round();
    for (let i = 0; i < ROUNDS; i++) rounds.push(await round());
  } finally {
    for (const server of Object.values(servers)) await server.close();
  }
  const of = (pick: (round: (typeof rounds)[number]) => number) => median(rounds.map(pick));
  const baseline = "the same gateway, same body, no inference and no receipt";
  return [
    {
      name: "requests/s, of baseline",
      value: of(({ unreceipted, network }) => network.requestsPerSecond / unreceipted.requestsPerSecond),
      unit: "×",
      bound: { atLeast: 0.3 },
      baseline,
    },
    {
      name: "requests/s, of a bare server",
      value: of(({ bare, network }) => network.requestsPerSecond / bare.requestsPerSecond),
      unit: "×",
      baseline: "the HTTP library alone, which parses the body and answers a constant",
    },
    {
      name: "inference, receipt and log add, CPU a request",
      value: of(({ unreceipted, network }) => network.cpuMs - unreceipted.cpuMs),
      unit: "ms",
      baseline,
    },
    { name: "requests/s with receipts", value: of(({ network }) => network.requestsPerSecond), unit: "/s" },
    { name: "requests/s, baseline", value: of(({ unreceipted }) => unreceipted.requestsPerSecond), unit: "/s" },
    { name: "requests/s, bare server", value: of(({ bare }) => bare.requestsPerSecond), unit: "/s" },
    { name: "latency p50 at 64 connections", value: of(({ network }) => network.p50Ms), unit: "ms" },
  ];
}
