/** A model's folder, opened as a node opens it, for the scripts and tests here. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Manifest, parseUtf8, type Tensor } from "@tallystick/protocol";
import * as ort from "onnxruntime-web";
import type { Kit, Outcome } from "../packages/server/src/execution/adapter.ts";
import { ADAPTERS } from "../packages/server/src/execution/adapters/index.ts";
import type { Engine } from "../packages/server/src/execution/engine.ts";
import type {
  GenerationOutcome,
  GenerationRequest,
  TokenLogprob,
} from "../packages/server/src/execution/generation.ts";
import { openKit } from "../packages/server/src/execution/kit.ts";
import { parseInferRequest } from "../packages/server/src/gateway/oip.ts";
import { readModelSource } from "../packages/server/src/hub/source.ts";

ort.env.wasm.numThreads = 1;
ort.env.logLevel = "error";
const ENGINE: Engine = { ort, provider: "wasm" };

const MODELS = import.meta.dirname;

/** The folders here that hold a model. */
export function modelFolders(): string[] {
  return readdirSync(MODELS).filter((name) => existsSync(join(MODELS, name, "model.json")));
}

/** Those of them that answer tensors, and those that write text. */
export const tensorFolders = () => modelFolders().filter((name) => readSource(name).forms.length > 0);
export const textFolders = () => modelFolders().filter((name) => readSource(name).forms.length === 0);

function readSource(name: string): { forms: unknown[] } {
  return JSON.parse(readFileSync(join(MODELS, name, "model.json"), "utf8"));
}

export type Model = {
  kit: Kit;
  manifest: Manifest;
  files: Map<string, Uint8Array>;
  /** Answers calls that come together. */
  run(calls: Tensor[][]): Promise<Outcome[]>;
  /** The outputs of one call, which must be answered, by name. */
  answer(call: Tensor[]): Promise<Map<string, Tensor>>;
  /** The text of one choice and its tokens, where the model writes. */
  write(request: GenerationRequest): Promise<{ text: string; tokens: TokenLogprob[]; outcome: GenerationOutcome }>;
};

const opened = new Map<string, Promise<Model>>();

/** The model in the folder `name`, opened once. */
export function openModel(name: string): Promise<Model> {
  const model = opened.get(name) ?? open(name);
  opened.set(name, model);
  return model;
}

async function open(name: string): Promise<Model> {
  const { manifest, files } = await readModelSource(join(MODELS, name));
  const adapter = ADAPTERS.get(`${manifest.adapter.name}@${manifest.adapter.version}`);
  assert(adapter, `${name} names an adapter that there is`);
  const kit = await openKit(ENGINE, manifest, files);
  const run = (calls: Tensor[][]) => adapter.run(calls, kit);
  return {
    manifest,
    files,
    kit,
    run,
    async write(request) {
      if (adapter.generate === undefined) throw new Error(`${name} writes no text`);
      const generation = adapter.generate(request, kit);
      let text = "";
      const tokens: TokenLogprob[] = [];
      for (;;) {
        const { done, value } = await generation.next();
        if (done) return { text, tokens, outcome: value };
        for (const delta of value) {
          text += delta.text;
          tokens.push(...delta.logprobs);
        }
      }
    },
    async answer(call) {
      const [outcome] = await run([call]);
      if (!outcome?.ok) throw new Error(`${name} refused: ${outcome?.message}`);
      return new Map(outcome.outputs.map((output) => [output.name, output]));
    },
  };
}

/** The model's example call. */
export const readExample = (name: string) => parseExample(readModelFile(name, "example.json"));

/** A call in the bytes of an `example.json`. */
export function parseExample(file: Uint8Array): Tensor[] {
  return parseInferRequest(JSON.parse(parseUtf8(file) ?? "")).inputs;
}

/** What the example of a model that writes asks for, as a completion of OpenAI's API asks for it. */
export const readPrompt = (name: string) => parsePrompt(readModelFile(name, "example.json"));

/** The same in the bytes of an `example.json`. */
export function parsePrompt(file: Uint8Array): GenerationRequest {
  const example: { prompt: string; max_tokens: number; temperature: number; seed: number } = JSON.parse(
    parseUtf8(file) ?? "",
  );
  return {
    prompt: { kind: "text", text: example.prompt },
    maxTokens: example.max_tokens,
    temperature: example.temperature,
    topP: 1,
    seed: example.seed,
    stop: [],
    choiceCount: 1,
    topLogprobs: undefined,
    frequencyPenalty: 0,
    presencePenalty: 0,
    echo: false,
  };
}

/** The bytes of a file in a model's folder. */
export function readModelFile(name: string, file: string): Uint8Array {
  return new Uint8Array(readFileSync(join(MODELS, name, file)));
}
