/** The whole network in this process, on any port of the loopback, with a data folder of its own that goes away with it. */
import { randomUUID } from "node:crypto";
import { cp, readFile, symlink } from "node:fs/promises";
import { join } from "node:path";
import { type Audit, auditLog, fetchSource, systemEdges } from "@tallystick/client";
import { type LogTrust, parseNoteKey, type Tensor, trustInLog } from "@tallystick/protocol";
import { createSystemRandom, listen, type NetworkOptions, openNetwork, systemClock } from "@tallystick/server";
import { temporaryFolder } from "./folder.ts";

const MODELS = join(import.meta.dirname, "..", "models");
/** What the build makes of models that come from packages. */
const BUILT = ".build";
/** Two small models: what most tests need. */
const SMALL_MODELS = ["credit-default", "breast-cancer"];
/** An hour: in a test, checkpoints and epochs come when they are asked for. */
const NEVER_MS = 3_600_000;

export type NetworkSettings = Partial<Omit<NetworkOptions, "data" | "models" | "report">> & {
  /** Names of folders in `models/`, or the path of a folder of models. */
  models?: readonly string[] | string;
  /** A folder to go on with, which stays; else a new one is made and removed. */
  data?: string;
};

/** What the network told its operator. */
export type Reported = { event: string; detail: Record<string, unknown> };

export type TestNetwork = AsyncDisposable & {
  readonly url: string;
  readonly apiKey: string;
  readonly data: string;
  readonly origin: string;
  readonly logVkey: string;
  readonly trust: LogTrust;
  /** The folder that its models are published from. */
  readonly models: string;
  readonly reported: Reported[];
  fetch(path: string, init?: RequestInit): Promise<Response>;
  /** Every route that it serves, as a pattern. */
  routes(): Route[];
  /** A call by API key, in JSON. `changes` replaces members of the body. */
  infer(model: string, inputs: readonly JsonTensor[], changes?: Record<string, unknown>): Promise<Inferred>;
  /** A request in JSON by the operator's token. */
  operate(method: string, path: string, body?: unknown): Promise<Response>;
  /** Gives an account credits, the first one where none is named. */
  topUp(amount: bigint, account?: string): Promise<void>;
  /** Resolves once everything appended is published and folded. */
  idle(): Promise<void>;
  /** Dates everything appended so far, by the network's clock. */
  closeEpoch(): Promise<void>;
  /** Resolves once its verifier and its referee have done what is to be done at once. */
  verified(): Promise<void>;
  /** Resolves once every closed day that is public has its segment. */
  segmented(): Promise<void>;
  /** The audit of its log, against the usage it publishes. */
  audit(): Promise<Audit>;
  stop(): Promise<void>;
  /** Starts again on the same folder, stopping first where it runs; `meanwhile` is done in between. */
  restart(meanwhile?: () => Promise<unknown>): Promise<void>;
};

export type Route = { method: string; path: string };
export type JsonTensor = { name: string; datatype: string; shape: number[]; data: unknown[] };
export type Inferred = { status: number; receiptId: string | undefined; body: unknown };

export async function startNetwork({
  models = SMALL_MODELS,
  data,
  ...settings
}: NetworkSettings = {}): Promise<TestNetwork> {
  const temporary = await temporaryFolder();
  const modelsFolder = typeof models === "string" ? models : await copyModels(models, join(temporary.path, "models"));
  const reported: Reported[] = [];
  const options: NetworkOptions = {
    data: data ?? join(temporary.path, "data"),
    models: modelsFolder,
    workerCount: 1,
    clock: systemClock,
    random: createSystemRandom(),
    report: (event, detail) => void reported.push({ event, detail }),
    integrateIntervalMs: 1,
    publishIntervalMs: 1,
    epochIntervalMs: NEVER_MS,
    deadlineMs: 20_000,
    resolveTexts: async () => [],
    ...settings,
  };
  let running: Running | undefined = await start(options);
  const current = () => {
    if (running === undefined) throw new Error("the network is stopped");
    return running;
  };

  async function stop(): Promise<void> {
    const stopping = running;
    running = undefined;
    await stopping?.listening.close();
    await stopping?.network.close();
  }

  const request: TestNetwork["fetch"] = (path, init) => fetch(`${current().listening.url}${path}`, init);

  const operate: TestNetwork["operate"] = async (method, path, body) => {
    const token = (await readFile(join(options.data, "keys", "admin-token"), "utf8")).trim();
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
    return request(path, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  };

  return {
    get url() {
      return current().listening.url;
    },
    get apiKey() {
      return current().network.apiKey;
    },
    get origin() {
      return current().network.origin;
    },
    get logVkey() {
      return current().network.logVkey;
    },
    get trust() {
      return trustInLog(parseNoteKey(current().network.logVkey));
    },
    data: options.data,
    models: modelsFolder,
    reported,
    fetch: request,
    routes: () => current().routes(),
    stop,

    async infer(model, inputs, changes = {}) {
      const headers = { authorization: `Bearer ${current().network.apiKey}`, "content-type": "application/json" };
      const body = JSON.stringify({ inputs, ...changes });
      const answer = await request(`/v2/models/${model}/infer`, { method: "POST", headers, body });
      return {
        status: answer.status,
        receiptId: answer.headers.get("x-receipt-id") ?? undefined,
        body: await answer.json(),
      };
    },

    operate,

    async topUp(amount, account) {
      const { accounts } = (await (await operate("GET", "/v1/accounts")).json()) as {
        accounts: { payerTag: string }[];
      };
      const reference = randomUUID().replaceAll("-", "");
      const topup = {
        account: account ?? accounts[0]?.payerTag,
        amount: String(amount),
        source: "transfer",
        reference,
      };
      const answer = await operate("POST", "/v1/settlements/topups", topup);
      if (!answer.ok) throw new Error(await answer.text());
    },

    idle: () => current().network.flush(),

    async closeEpoch() {
      const { network } = current();
      await network.flush();
      await network.writeEpoch();
      await network.flush();
    },

    verified: () => current().network.verified(),
    segmented: () => current().network.segmented(),

    async audit() {
      const { network, listening } = current();
      await network.flush();
      const published: unknown = await (await request("/v1/usage")).json();
      const trust = trustInLog(parseNoteKey(network.logVkey));
      return auditLog(fetchSource(listening.url, systemEdges), { trust, published });
    },

    async restart(meanwhile) {
      await stop();
      await meanwhile?.();
      running = await start(options);
    },

    async [Symbol.asyncDispose]() {
      await stop();
      await temporary[Symbol.asyncDispose]();
    },
  };
}

type Running = {
  network: Awaited<ReturnType<typeof openNetwork>>;
  listening: Awaited<ReturnType<typeof listen>>;
  routes(): Route[];
};

async function start(options: NetworkOptions): Promise<Running> {
  const network = await openNetwork(options);
  let routes: Route[] = [];
  // It is made once, at the first request.
  const application: typeof network.application = (url) => {
    const made = network.application(url);
    routes = made.routes.map(({ method, path }) => ({ method, path }));
    return made;
  };
  const listening = await listen({ ...network, application }, { host: "127.0.0.1", port: 0 });
  return { network, listening, routes: () => routes };
}

/** Copies models where a test may change them. */
export async function copyModels(names: readonly string[], to: string): Promise<string> {
  for (const name of names) await cp(join(MODELS, name), join(to, name), { recursive: true });
  await symlink(join(MODELS, BUILT), join(to, BUILT));
  return to;
}

/** A clock that stands still until a test moves it. */
export type TestClock = { nowMs(): number; advance(durationMs: number): void };

export function createTestClock(startMs: number = Date.UTC(2026, 10, 22, 12)): TestClock {
  let nowMs = startMs;
  return {
    nowMs: () => nowMs,
    advance: (durationMs) => {
      nowMs += durationMs;
    },
  };
}

/** An input for `statlog/credit-default`; another `amount` is another content. */
export function creditInput(amount: number = 3500): JsonTensor {
  return {
    name: "features",
    datatype: "FP32",
    shape: [1, 52],
    data: Array.from({ length: 52 }, (_, i) => (i === 1 ? amount : i % 2)),
  };
}

/** An FP32 tensor as the protocol has it, of the same values as its JSON form. */
export function tensorOf({ name, shape, data }: JsonTensor): Tensor {
  const values = Float32Array.from(data, Number);
  return { name, datatype: "FP32", shape, data: new Uint8Array(values.buffer) };
}
