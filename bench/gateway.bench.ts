/**
 * Chat completions relayed to one mock engine: asked itself, through a bare relay that only signs, through Portkey's gateway,
 * and through this one with receipts and log on. Each in turn within a round, so that a machine whose speed drifts is fair.
 */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PORTKEY, startPortkey } from "./portkey.ts";
import { loadFrom, type Server, startBaseline, startNetwork } from "./process.ts";
import { median, type Row } from "./ratio.ts";
import { holdStreams } from "./streams.ts";

const WARM_ROUNDS = 1;
const ROUNDS = 7;
const ALONE_MS = 1_000;
const TOGETHER_MS = 2_500;
const CONNECTIONS = 16;
const PATH = "/v1/chat/completions";
const MODEL = "bench/mock";
const MESSAGES = [
  { role: "system", content: "You answer in one sentence." },
  { role: "user", content: "What is a receipt, and who signs it? ".repeat(4) },
];
const body = (members: object) => JSON.stringify({ model: MODEL, messages: MESSAGES, ...members });
const STREAMS = 1_000;

type Measured = { p50Ms: number; requestsPerSecond: number; firstMs: number; cpuMs: number };

async function measure(server: Server, canStream: boolean): Promise<Measured> {
  const { url, headers } = server;
  const load = { url: `${url}${PATH}`, headers };
  const { p50Ms } = await loadFrom({ ...load, body: body({}), connections: 1, durationMs: ALONE_MS });
  const streamed = { ...load, body: body({ stream: true }), connections: 1, durationMs: ALONE_MS };
  const { firstMs } = canStream ? await loadFrom(streamed) : { firstMs: Number.NaN };
  const many = { ...load, body: body({}), connections: CONNECTIONS, durationMs: TOGETHER_MS };
  const before = server.cpuMs();
  const { requestsPerSecond } = await loadFrom(many);
  const cpuMs = (server.cpuMs() - before) / ((requestsPerSecond * TOGETHER_MS) / 1_000);
  return { p50Ms, firstMs, requestsPerSecond, cpuMs };
}

/** A network that has no model but the mock's. */
async function startRelayingNetwork(upstream: string, folder: string): Promise<Server> {
  const models = join(folder, "models");
  await mkdir(models);
  const path = join(folder, "upstreams.json");
  const model = {
    ...{ name: MODEL, version: "1", upstreamModel: "mock", operations: ["chat"], contextLength: 8_192 },
    ...{ licence: "none", summary: "A mock." },
  };
  await writeFile(
    path,
    JSON.stringify([{ name: "mock", url: `${upstream}/v1`, allowHttp: true, concurrency: 1_024, models: [model] }]),
  );
  return startNetwork(["--models", models, "--upstreams", path]);
}

export async function benchGateway(): Promise<Row[]> {
  const folder = await mkdtemp(join(tmpdir(), "tallystick-bench-"));
  const direct = await startBaseline("upstream");
  const servers: Record<string, Server> = { direct };
  try {
    servers.relay = await startBaseline("relay", [direct.url]);
    servers.ours = await startRelayingNetwork(direct.url, folder);
    const portkey = await startPortkey(direct.url);
    if (portkey === undefined) console.log(`skip of gateway: npm cannot fetch ${PORTKEY}`);
    else servers.portkey = portkey;
    const rounds: Record<string, Measured>[] = [];
    for (let i = 0; i < WARM_ROUNDS + ROUNDS; i++) {
      const round: Record<string, Measured> = {};
      // Portkey's 1.15.2 answers a stream with 500 on this Node.js: it changes headers that fetch made immutable.
      for (const [name, server] of Object.entries(servers)) round[name] = await measure(server, name !== "portkey");
      if (i >= WARM_ROUNDS) rounds.push(round);
    }
    return rowsOf(rounds, portkey !== undefined);
  } finally {
    for (const server of Object.values(servers).reverse()) await server.close();
    await rm(folder, { recursive: true });
  }
}

/** A thousand streams of an event a second through this gateway. */
export async function benchStreams(): Promise<Row[]> {
  const folder = await mkdtemp(join(tmpdir(), "tallystick-bench-"));
  const direct = await startBaseline("upstream");
  const ours = await startRelayingNetwork(direct.url, folder);
  try {
    return await holdStreams(ours, PATH, body({ stream: true, max_tokens: 300, seed: 1_000 }), STREAMS);
  } finally {
    await ours.close();
    await direct.close();
    await rm(folder, { recursive: true });
  }
}

function rowsOf(rounds: Record<string, Measured>[], hasPortkey: boolean): Row[] {
  const of = (pick: (round: (name: string) => Measured) => number) =>
    median(
      rounds.map((round) => pick((name) => round[name] ?? { p50Ms: 0, requestsPerSecond: 0, firstMs: 0, cpuMs: 0 })),
    );
  const added = (name: string) => of((round) => round(name).p50Ms - round("direct").p50Ms);
  const rate = (name: string) => of((round) => round(name).requestsPerSecond);
  const first = (name: string) => of((round) => round(name).firstMs - round("direct").firstMs);
  const rows: Row[] = [
    {
      name: `requests/s at ${CONNECTIONS} connections, of a bare relay`,
      value: of((round) => round("ours").requestsPerSecond / round("relay").requestsPerSecond),
      unit: "×",
      bound: { atLeast: 0.6 },
      baseline: "Hono and undici, which only hash and sign",
    },
    { name: "until the first event, added p50", value: first("ours"), unit: "ms", bound: { atMost: 2 } },
    { name: "the same, of the bare relay", value: first("relay"), unit: "ms" },
  ];
  if (hasPortkey)
    rows.push(
      {
        name: "added p50, of Portkey's",
        value: of(
          (round) => (round("ours").p50Ms - round("direct").p50Ms) / (round("portkey").p50Ms - round("direct").p50Ms),
        ),
        unit: "×",
        bound: { atMost: 1 / 3 },
        baseline: PORTKEY,
      },
      {
        name: `requests/s at ${CONNECTIONS} connections, of Portkey's`,
        value: of((round) => round("ours").requestsPerSecond / round("portkey").requestsPerSecond),
        unit: "×",
        bound: { atLeast: 2.5 },
        baseline: PORTKEY,
      },
    );
  const names = ["ours", "relay", ...(hasPortkey ? ["portkey"] : [])];
  for (const name of names) rows.push({ name: `added p50, ${name}`, value: added(name), unit: "ms" });
  for (const name of names)
    rows.push({ name: `CPU of all threads a request, ${name}`, value: of((round) => round(name).cpuMs), unit: "ms" });
  for (const name of ["direct", ...names]) rows.push({ name: `requests/s, ${name}`, value: rate(name), unit: "/s" });
  return rows;
}
