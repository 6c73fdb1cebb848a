/** One daemon for all clients, as `npm start` starts it, with a relayed model beside its own that says the same thing to everybody. */
import type { ServerResponse } from "node:http";
import { join } from "node:path";
import { isJsonObject, type JsonObject, type LogTrust, parseNoteKey, trustInLog } from "@tallystick/protocol";
import { afterAll, beforeAll } from "vitest";
import { startTallyd } from "../e2e/processes.ts";
import { temporaryFolder } from "../folder.ts";
import { type Asked, eventsOf, sendJson, sendStream, startUpstream } from "../mock-upstream.ts";
import { MODEL, writeUpstreams } from "../openai/network.ts";

export const TEXT = "A tally stick is split, and each side keeps a half.";
/** Models that come with it and run in it. */
export const OWN = { chat: "tallystick/state-of-the-union", embedding: "google/use-lite" };
const USAGE = { prompt_tokens: 3, completion_tokens: 11, total_tokens: 14 };
const WORDS = TEXT.split(/(?<= )/);

export type RunningNetwork = AsyncDisposable & {
  url: string;
  apiKey: string;
  trust: LogTrust;
  model: string;
  /** How often the relayed model was run. */
  runCount(): number;
};

export let network: RunningNetwork;
beforeAll(async () => {
  network = await start();
});
afterAll(() => network[Symbol.asyncDispose]());

async function start(): Promise<RunningNetwork> {
  const folder = await temporaryFolder();
  const upstream = await startUpstream(behave);
  const upstreams = await writeUpstreams(folder.path, upstream.url);
  const daemon = await startTallyd(join(folder.path, ".tallystick"), ["--upstreams", upstreams]);
  const { url, apiKey, logVkey } = daemon.ready;
  return {
    ...{ url, apiKey, trust: trustInLog(parseNoteKey(logVkey)), model: MODEL },
    runCount: () => upstream.asked.length,
    async [Symbol.asyncDispose]() {
      await daemon[Symbol.asyncDispose]();
      await upstream[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

function behave(response: ServerResponse, asked: Asked): void {
  if (asked.path.endsWith("/embeddings")) sendJson(response, embeddingsFor(asked.body));
  else generate(response, asked);
}

function generate(response: ServerResponse, { path, body }: Asked): void {
  const isChat = path.endsWith("/chat/completions");
  const head = { id: "up-1", object: "chunk", created: 1, model: "their-model-7b" };
  const pieces = isChat ? deltasFor(body) : WORDS.map((text) => ({ text }));
  const finish = Array.isArray(body.tools) ? "tool_calls" : "stop";
  const end = isChat ? { delta: {} } : { text: "" };
  const choices = [
    ...pieces.map((piece) => ({ index: 0, ...piece, finish_reason: null })),
    { index: 0, ...end, finish_reason: finish },
  ];
  sendStream(
    response,
    eventsOf(...choices.map((choice) => ({ ...head, choices: [choice] })), { ...head, choices: [], usage: USAGE }),
  );
}

function deltasFor({ tools }: JsonObject): JsonObject[] {
  if (!Array.isArray(tools)) return WORDS.map((content) => ({ delta: { content } }));
  const [tool] = tools.filter(isJsonObject);
  const called = isJsonObject(tool?.function) ? tool.function.name : "";
  const call = { index: 0, id: "call_1", type: "function", function: { name: called ?? "", arguments: "" } };
  const pieces = ['{"what"', ':"stick"}'].map((piece) => ({ index: 0, function: { arguments: piece } }));
  return [call, ...pieces].map((one) => ({ delta: { tool_calls: [one] } }));
}

function embeddingsFor({ input }: JsonObject): JsonObject {
  const texts = Array.isArray(input) ? input : [input];
  const vector = Buffer.from(Float32Array.of(0.5, -2).buffer).toString("base64");
  const data = texts.map((_, index) => ({ object: "embedding", index, embedding: vector }));
  return { object: "list", data, model: "their-model-7b", usage: { prompt_tokens: 3, total_tokens: 3 } };
}
