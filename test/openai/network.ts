/** A network with a relayed model, and the upstream behind it that does what a test says. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Behaviour, type MockUpstream, startUpstream } from "../mock-upstream.ts";
import { type NetworkSettings, startNetwork, type TestNetwork } from "../network.ts";

export const MODEL = "acme/chat";

export type RelayedNetwork = AsyncDisposable & {
  network: TestNetwork;
  upstream: MockUpstream;
  /** A POST of JSON by API key. */
  post(path: string, body: unknown, headers?: Record<string, string>, signal?: AbortSignal): Promise<Response>;
};

/** Prices are by the million tokens. */
export type UpstreamSettings = { prices?: Record<string, string>; timeouts?: Record<string, number> };

export async function startRelayed(
  behave: Behaviour,
  { prices = {}, timeouts = {}, ...settings }: NetworkSettings & UpstreamSettings = {},
): Promise<RelayedNetwork> {
  const upstream = await startUpstream(behave);
  const folder = await mkdtemp(join(tmpdir(), "tallystick-upstreams-"));
  const upstreamsPath = await writeUpstreams(folder, upstream.url, { prices, timeouts });
  const network = await startNetwork({ models: ["breast-cancer"], upstreamsPath, ...settings });
  return {
    network,
    upstream,
    post: (path, body, headers = {}, signal) =>
      network.fetch(path, {
        method: "POST",
        headers: { authorization: `Bearer ${network.apiKey}`, "content-type": "application/json", ...headers },
        body: JSON.stringify(body),
        ...(signal === undefined ? {} : { signal }),
      }),
    async [Symbol.asyncDispose]() {
      await network[Symbol.asyncDispose]();
      await upstream[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Writes the file by which a daemon relays `MODEL` to the upstream at `url`; its path. */
export async function writeUpstreams(
  folder: string,
  url: string,
  { prices = {}, timeouts = {} }: UpstreamSettings = {},
): Promise<string> {
  const model = {
    name: MODEL,
    upstreamModel: "their-model-7b",
    version: "1",
    contextLength: 8_192,
    operations: ["chat", "completion", "embedding", "response"],
    licence: "Apache-2.0",
    summary: "A model elsewhere.",
    ...prices,
  };
  const path = join(folder, "upstreams.json");
  await writeFile(path, JSON.stringify([{ name: "acme", url, allowHttp: true, timeouts, models: [model] }]));
  return path;
}

/** A chunk of an upstream's stream. */
export function chunk(delta: unknown, more: Record<string, unknown> = {}): string {
  const { finish_reason = null, ...rest } = more;
  const choices = [{ index: 0, delta, finish_reason }];
  return `data: ${JSON.stringify({ id: "up-1", object: "chat.completion.chunk", created: 1, model: "their-model-7b", system_fingerprint: "fp_1", choices, ...rest })}\n\n`;
}

export const USAGE = { prompt_tokens: 5, completion_tokens: 3, total_tokens: 8 };

/** A whole answer of three pieces, with its usage. */
export const HELLO: string[] = [
  chunk({ role: "assistant", content: "" }),
  chunk({ content: "Hel" }),
  chunk({ content: "lo" }),
  chunk({ content: " world" }),
  chunk({}, { finish_reason: "stop" }),
  chunk({}, { choices: [], usage: USAGE }),
  "data: [DONE]\n\n",
];
