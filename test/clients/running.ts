/** A running network with a relayed model that says the same thing to everybody, for stock clients to call. */
import type { ServerResponse } from "node:http";
import { isJsonObject, type JsonObject, type LogTrust } from "@tallystick/protocol";
import { type Asked, eventsOf, sendJson, sendStream } from "../mock-upstream.ts";
import { MODEL, startRelayed } from "../openai/network.ts";

export const TEXT = "A tally stick is split, and each side keeps a half.";
const USAGE = { prompt_tokens: 3, completion_tokens: 11, total_tokens: 14 };
const WORDS = TEXT.split(/(?<= )/);

export type RunningNetwork = AsyncDisposable & {
  url: string;
  apiKey: string;
  trust: LogTrust;
  model: string;
  /** How often the model was run. */
  runCount(): number;
};

export async function startForClients(): Promise<RunningNetwork> {
  const relayed = await startRelayed(behave);
  const { url, apiKey, trust } = relayed.network;
  const runCount = () => relayed.upstream.asked.length;
  return { url, apiKey, trust, model: MODEL, runCount, [Symbol.asyncDispose]: () => relayed[Symbol.asyncDispose]() };
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
