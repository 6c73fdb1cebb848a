/** What an honest node signs for a call, without the signing: for tests of those who run it again. */
import { join } from "node:path";
import {
  type Call,
  encodeAnswer,
  encodeCall,
  encodeManifest,
  filesRoot,
  type JsonObject,
  type Manifest,
  seedOf,
  sha256,
  unitStep,
} from "@tallystick/protocol";
import proto from "onnx-proto";
import { readExample, readPrompt } from "../models/load.ts";
import type { Claim } from "../packages/server/src/execution/claim.ts";
import { type ExecutionOptions, type ExecutionPool, openExecution } from "../packages/server/src/execution/pool.ts";
import { readModelSource } from "../packages/server/src/hub/source.ts";
import { createLocalGenerator } from "../packages/server/src/local-generator.ts";
import { answerJson } from "../packages/server/src/node/json-answer.ts";
import { choose } from "../packages/server/src/node/tensor-answer.ts";

const { onnx } = proto;

export type Source = { manifest: Manifest; files: ReadonlyMap<string, Uint8Array> };

/** The model in a folder of models/, with some of its manifest otherwise. */
export async function readSource(folder: string, changes: Partial<Manifest> = {}): Promise<Source> {
  const { manifest, files } = await readModelSource(join(import.meta.dirname, "../models", folder));
  return { manifest: { ...manifest, ...changes }, files };
}

/** The example of a model, as a call. */
export function exampleCall(folder: string, { manifest }: Source): Call {
  if (manifest.forms.length > 0) return { operation: "infer", inputs: readExample(folder), outputs: [] };
  const { prompt, maxTokens = 0, temperature } = readPrompt(folder);
  if (prompt.kind !== "text") throw new Error("the examples are completions");
  return { operation: "completion", body: { prompt: prompt.text, max_tokens: maxTokens ?? 0, temperature } };
}

export type TestNode = AsyncDisposable & {
  pool: ExecutionPool;
  answer(source: Source, call: Call, receiptId?: Uint8Array): Promise<Claim>;
};

/** Runs models as a node does. */
export async function openTestNode(options: Partial<ExecutionOptions> = {}): Promise<TestNode> {
  const pool = await openExecution({ judgeWorkerCount: 1, log: () => {}, ...options });

  async function run({ manifest }: Source, revision: Uint8Array, call: Call, receiptId: Uint8Array) {
    if (call.operation === "infer") {
      const execution = await pool.run(revision, call.inputs, { deadlineMs: 600_000 });
      if (execution.kind === "overloaded") throw new Error(execution.message);
      const chosen = choose(execution, call.outputs);
      if (chosen.kind !== "answered") throw new Error(`${manifest.name} gave no answer: ${JSON.stringify(chosen)}`);
      return { answer: encodeAnswer(chosen.outputs), units: unitStep(chosen.unitCount) };
    }
    const asking = { seed: seedOf(receiptId), deadlineMs: 600_000 };
    const outcome = await answerJson(createLocalGenerator(pool), { revision, manifest }, call, asking);
    if (outcome.kind !== "answered") throw new Error(`${manifest.name} gave no answer: ${JSON.stringify(outcome)}`);
    const evidence: JsonObject = { attempts: [], ...(outcome.tokens === undefined ? {} : { tokens: outcome.tokens }) };
    const { promptTokens, completionTokens } = outcome.usage;
    return {
      ...{ answer: outcome.bytes, units: unitStep(promptTokens), evidence },
      ...(call.operation === "embedding" ? {} : { outputUnits: unitStep(completionTokens) }),
    };
  }

  return {
    pool,
    async answer(source, call, receiptId = sha256(new Uint8Array(1))) {
      const { manifest, files } = source;
      const revision = sha256(encodeManifest(manifest));
      await pool.load({ digest: revision, manifest, files });
      const { runtime, binary, exactness } = pool.profile(revision);
      const profile = { runtime, binary, exactness };
      return {
        manifest,
        files,
        isEngineKnown: true,
        call: encodeCall(call),
        receiptId,
        profile,
        ...(await run(source, revision, call, receiptId)),
      };
    },
    [Symbol.asyncDispose]: () => pool[Symbol.asyncDispose](),
  };
}

/** The same model with other weights: `change` is given the bytes of each constant of floating point, and their width. */
export function withOtherWeights(
  { manifest, files }: Source,
  change: (raw: Uint8Array, widthBytes: 2 | 4) => void,
): Source {
  const changed = new Map(files);
  const artifacts = manifest.artifacts.map((artifact) => {
    if (artifact.role !== "model") return artifact;
    const model = onnx.ModelProto.decode(files.get(artifact.path) ?? new Uint8Array());
    for (const tensor of model.graph?.initializer ?? []) {
      const isHalf = tensor.dataType === onnx.TensorProto.DataType.FLOAT16;
      if (!isHalf && tensor.dataType !== onnx.TensorProto.DataType.FLOAT) continue;
      const given = tensor.rawData?.length
        ? tensor.rawData
        : new Uint8Array(Float32Array.from(tensor.floatData ?? []).buffer);
      tensor.rawData = Uint8Array.from(given);
      tensor.floatData = [];
      change(tensor.rawData, isHalf ? 2 : 4);
    }
    const bytes = Uint8Array.from(onnx.ModelProto.encode(model).finish());
    changed.set(artifact.path, bytes);
    return { ...artifact, sizeBytes: bytes.length, digest: sha256(bytes) };
  });
  return { manifest: { ...manifest, artifacts, filesRoot: filesRoot(artifacts) }, files: changed };
}
