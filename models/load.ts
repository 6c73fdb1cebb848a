/** A model's folder, opened as a node opens it, for the scripts and tests here. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Manifest, Tensor } from "@tallystick/protocol";
import * as ort from "onnxruntime-web";
import type { Outcome } from "../packages/server/src/execution/adapter.ts";
import { ADAPTERS } from "../packages/server/src/execution/adapters/index.ts";
import type { Engine } from "../packages/server/src/execution/engine.ts";
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

export type Model = {
  manifest: Manifest;
  files: Map<string, Uint8Array>;
  /** Answers calls that come together. */
  run(calls: Tensor[][]): Promise<Outcome[]>;
  /** The outputs of one call, which must be answered, by name. */
  answer(call: Tensor[]): Promise<Map<string, Tensor>>;
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
    run,
    async answer(call) {
      const [outcome] = await run([call]);
      if (!outcome?.ok) throw new Error(`${name} refused: ${outcome?.message}`);
      return new Map(outcome.outputs.map((output) => [output.name, output]));
    },
  };
}

/** The model's example call. */
export function readExample(name: string): Tensor[] {
  return parseInferRequest(JSON.parse(readFileSync(join(MODELS, name, "example.json"), "utf8"))).inputs;
}

/** The bytes of a file in a model's folder. */
export function readModelFile(name: string, file: string): Uint8Array {
  return new Uint8Array(readFileSync(join(MODELS, name, file)));
}
