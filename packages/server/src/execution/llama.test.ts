/**
 * The language model that ships as GGUF, in llama.cpp. Runs where node-llama-cpp is installed, beside this repository's
 * packages or in the folder that NODE_LLAMA_CPP names.
 */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { sha256 } from "@tallystick/protocol";
import { afterEach, describe, expect, test } from "vitest";
import { readModelSource } from "../hub/source.ts";
import type { GenerationEnd, GenerationRequest } from "./generation.ts";
import { ggufFaults, parseVocabulary } from "./gguf.ts";
import { type ExecutionOptions, type ExecutionPool, openExecution } from "./pool.ts";
import { readLlama } from "./profile.ts";

const MODELS = join(import.meta.dirname, "../../../../models");
const findLlama = createRequire(join(process.env.NODE_LLAMA_CPP ?? import.meta.dirname, "index.js")).resolve;
const installed = await readLlama(findLlama).then(
  () => true,
  () => false,
);

const open = async (folder: string) => {
  const { manifest, manifestBytes, files } = await readModelSource(join(MODELS, folder));
  return { digest: sha256(manifestBytes), manifest, files };
};
const model = await open("state-of-the-union/gguf");
const file = model.files.get("model.gguf") ?? new Uint8Array();

let pool: ExecutionPool | undefined;
afterEach(() => pool?.[Symbol.asyncDispose]());

async function start(options: Partial<ExecutionOptions> = {}): Promise<ExecutionPool> {
  pool = await openExecution({ judgeWorkerCount: 1, findLlama, log: () => {}, ...options });
  return pool;
}

const REQUEST: GenerationRequest = {
  prompt: { kind: "text", text: "The state of our Union is" },
  maxTokens: 40,
  temperature: 0,
  topP: 1,
  seed: 7,
  stop: [],
  choiceCount: 1,
  topLogprobs: undefined,
  frequencyPenalty: 0,
  presencePenalty: 0,
  echo: false,
};

async function write(
  from: ExecutionPool,
  { digest }: { digest: Uint8Array },
  request: GenerationRequest,
  options: { deadlineMs?: number; signal?: AbortSignal; onDelta?: () => void } = {},
): Promise<{ end: GenerationEnd; texts: string[] }> {
  const texts: string[] = [];
  const end = await from.generate(digest, request, {
    deadlineMs: options.deadlineMs ?? 60_000,
    signal: options.signal,
    onDelta({ index, text }) {
      texts[index] = (texts[index] ?? "") + text;
      options.onDelta?.();
    },
  });
  return { end, texts };
}

describe.skipIf(!installed)("with node-llama-cpp installed", () => {
  test("the file of GGUF and the graph of ONNX write the same", async () => {
    const both = await start();
    const onnx = await open("state-of-the-union");
    await both.load(model);
    await both.load(onnx);
    const greedy = await write(both, model, REQUEST);
    expect(greedy.end).toMatchObject({ kind: "answered", promptTokens: 7, completionTokens: 40 });
    expect(greedy.texts).toEqual((await write(both, onnx, REQUEST)).texts);
    const chat: GenerationRequest = {
      ...REQUEST,
      prompt: { kind: "chat", messages: [{ role: "user", content: "Of </s> peace." }] },
      maxTokens: 12,
    };
    expect(await write(both, model, chat)).toEqual(await write(both, onnx, chat));
    expect(both.profile(model.digest)).toMatchObject({
      runtime: expect.stringMatching(/^node-llama-cpp@3\./),
      exactness: "tolerant",
    });
  });

  test("a seed repeats, choices differ, and several at once are each what they are alone", async () => {
    const one = await start();
    await one.load(model);
    const drawn = { ...REQUEST, temperature: 1, choiceCount: 2 };
    const alone = await write(one, model, drawn);
    expect(alone.texts[0]).not.toBe(alone.texts[1]);
    const together = await Promise.all([1, 2, 3, 4, 5].map(() => write(one, model, drawn)));
    for (const { texts } of together) expect(texts).toEqual(alone.texts);
  });

  test("a signal stops it, a long prompt is refused, and the next is answered", async () => {
    const one = await start();
    await one.load(model);
    const stopping = new AbortController();
    const long = { ...REQUEST, maxTokens: 400 };
    const stopped = write(one, model, long, { signal: stopping.signal, onDelta: () => stopping.abort() });
    expect((await stopped).end).toEqual({ kind: "cancelled" });
    const words: GenerationRequest = { ...REQUEST, prompt: { kind: "text", text: "peace ".repeat(600) } };
    expect((await write(one, model, words)).end).toMatchObject({ kind: "refused" });
    for (let i = 0; i < 6; i++) expect((await write(one, model, REQUEST)).end.kind).toBe("answered");
  });

  test("a process of llama.cpp that takes more memory than it may ends, with that reason", async () => {
    const small = await start({ limits: { llamaMemoryBytes: 64 * 1024 * 1024 } });
    await expect(small.load(model)).rejects.toThrow("does not open: this call took more than 64 MiB of memory");
  });
});

test("where node-llama-cpp is not installed, a GGUF revision does not load, and the error says how to install it", async () => {
  const { resolve } = createRequire(new URL("file:///nowhere/module.js"));
  const none = await start({ findLlama: resolve });
  await expect(none.load(model)).rejects.toThrow("npm install node-llama-cpp@3.22.1 @node-llama-cpp/linux-x64");
});

describe("the head of a GGUF file", () => {
  test("has the vocabulary of the model", () => {
    const { model: bpe }: { model: { vocab: Record<string, number> } } = JSON.parse(
      readFileSync(join(MODELS, "state-of-the-union/tokenizer.json"), "utf8"),
    );
    const { kind, tokens } = parseVocabulary(file);
    expect(kind).toBe("gpt2");
    expect(Object.fromEntries(tokens.map((token, id) => [token, id]))).toEqual(bpe.vocab);
  });

  test("is refused wherever it is cut, and with counts that nobody could mean", () => {
    expect(ggufFaults(file)).toEqual([]);
    for (let length = 0; length < 60_000; length += 997) expect(ggufFaults(file.slice(0, length))).toHaveLength(1);
    for (const at of [8, 16]) {
      const huge = file.slice();
      huge.fill(0xff, at, at + 8);
      expect(ggufFaults(huge)[0]).toMatch(/at most \d+ are allowed/);
    }
    expect(ggufFaults(new Uint8Array(64))).toEqual(["is not a GGUF file to run here: it does not begin with GGUF"]);
  });
});
