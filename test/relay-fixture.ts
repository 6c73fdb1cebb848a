/** A relay to one upstream, with what it tells its reader and its operator kept. */
import { type JsonObject, type PublishedModel, revisionOf } from "@tallystick/protocol";
import type { Delta, Embedded, Generated } from "../packages/server/src/node/generation.ts";
import type { UpstreamConfig, UpstreamModel } from "../packages/server/src/relay/config.ts";
import { createRelay, type Relay } from "../packages/server/src/relay/relay.ts";

export const API_KEY = "sk-secret-of-the-operator";

export const RELAYED_MODEL: UpstreamModel = {
  name: "acme/chat",
  version: "1",
  upstreamModel: "their-model-7b",
  operations: ["chat", "completion", "embedding", "response"],
  contextLength: 8_192,
  licence: "Apache-2.0",
  summary: "A model elsewhere.",
  price: "0",
  unitPrice: "150000",
  outputUnitPrice: "600000",
  extraParameters: [],
  unsupportedParameters: [],
  yanked: false,
};

export function upstreamConfig(url: string, changes: Partial<UpstreamConfig> = {}): UpstreamConfig {
  return {
    name: "acme",
    url: new URL(url),
    allowHttp: true,
    apiKey: API_KEY,
    stream: true,
    embeddingFormat: "base64",
    concurrency: 8,
    timeouts: { connectMs: 5_000, firstByteMs: 10_000, betweenChunksMs: 10_000, wholeMs: 20_000 },
    models: [RELAYED_MODEL],
    ...changes,
  };
}

export type RelayOptions = {
  signal?: AbortSignal;
  deadlineMs?: number;
  onDelta?: (delta: Delta) => void | Promise<void>;
};

export type TestRelay = AsyncDisposable & {
  relay: Relay;
  model: PublishedModel;
  deltas: Delta[];
  reported: { event: string; detail: Record<string, unknown> }[];
  clock: { nowMs(): number; advance(ms: number): void };
  chat(body?: JsonObject, options?: RelayOptions): Promise<Generated>;
  complete(body?: JsonObject, options?: RelayOptions): Promise<Generated>;
  embed(body?: JsonObject): Promise<Embedded>;
};

export const MESSAGES: JsonObject = { messages: [{ role: "user", content: "a secret of the requester" }] };

export function openRelay(url: string, changes: Partial<UpstreamConfig> = {}): TestRelay {
  const reported: TestRelay["reported"] = [];
  const deltas: Delta[] = [];
  let nowMs = Date.UTC(2026, 10, 22, 12);
  const clock = {
    nowMs: () => nowMs,
    advance: (ms: number) => {
      nowMs += ms;
    },
  };
  const upstreams = [upstreamConfig(url, changes)];
  const relay = createRelay({ upstreams, clock, report: (event, detail) => void reported.push({ event, detail }) });
  const [made] = relay.packages;
  if (made === undefined) throw new Error("no model is relayed");
  const { manifest, manifestBytes, price } = made;
  const published = { revision: revisionOf(manifestBytes), publisher: "", index: 0, yanked: false };
  const model: PublishedModel = { ...published, ...price, manifest };
  const generate = (operation: "chat" | "completion", body: JsonObject, options: RelayOptions) =>
    relay.generate(
      model,
      { operation, body },
      {
        seed: 1,
        deadlineMs: options.deadlineMs ?? 20_000,
        signal: options.signal ?? new AbortController().signal,
        isStreamed: true,
        onDelta(delta) {
          deltas.push(delta);
          return options.onDelta?.(delta);
        },
      },
    );
  return {
    ...{ relay, model, deltas, reported, clock },
    chat: (body = MESSAGES, options = {}) => generate("chat", body, options),
    complete: (body = { prompt: "a secret of the requester" }, options = {}) => generate("completion", body, options),
    embed: (body = { input: "a secret of the requester" }) =>
      relay.embed(model, body, { deadlineMs: 20_000, signal: new AbortController().signal }),
    [Symbol.asyncDispose]: () => relay.close(),
  };
}
