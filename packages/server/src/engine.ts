/**
 * The engine of a node: models that run here, in the execution pool, filled as calls ask for revisions; and models that run
 * elsewhere, by relay.
 */
import {
  type ExecutionProfile,
  floats,
  keyOf,
  type Manifest,
  type PublishedModel,
  textTensor,
} from "@tallystick/protocol";
import type { GenerationDelta, GenerationEnd } from "./execution/generation.ts";
import { openExecution } from "./execution/pool.ts";
import { hasLlama, hasNative } from "./execution/profile.ts";
import { embeddingFault, embeddingInputs, localFault, localRequest } from "./local-request.ts";
import type { Delta, Embedded, Generated, Generator, TokenLogprob } from "./node/generation.ts";
import type { Engine } from "./node/service.ts";
import type { Report } from "./platform/http.ts";

/** What ran a relayed model is not known here: no digest of it, and no two answers that must agree. */
const RELAYED: ExecutionProfile = {
  runtime: "relay/openai-compatible",
  binary: new Uint8Array(32),
  exactness: "tolerant",
};

export type OpenEngine = {
  engine: Engine;
  /** What runs here, by the manifests' word for it. */
  names: readonly Manifest["engine"][];
  /** The revisions that some worker has loaded, in hex. */
  loaded(): string[];
  close(): Promise<void>;
};

/** Runs models in workers; each revision is opened on its first call. */
export async function openEngine(workerCount: number, report: Report, relay: Generator): Promise<OpenEngine> {
  const pool = await openExecution({ judgeWorkerCount: workerCount, log: report });
  const ready = new Map<string, Promise<void>>();

  function prepare(
    { revision, manifest }: PublishedModel,
    files: (manifest: Manifest) => Promise<Map<string, Uint8Array>>,
  ) {
    if (manifest.engine === "relay") return Promise.resolve();
    const name = keyOf(revision);
    const known = ready.get(name);
    if (known !== undefined) return known;
    const opening = files(manifest).then((bytes) => pool.load({ digest: revision, manifest, files: bytes }));
    ready.set(name, opening);
    opening.catch(() => ready.delete(name));
    return opening;
  }

  const run: Engine["run"] = (revision, inputs, deadlineMs) => pool.run(revision, inputs, { deadlineMs });

  const local: Generator = {
    fault: (model, operation, body) =>
      operation === "embedding" ? embeddingFault(body, dimensionCountOf(model.manifest)) : localFault(operation, body),

    async generate(model, { operation, body }, { seed, deadlineMs, signal, onDelta }) {
      const request = localRequest(operation, body, seed);
      const told = (delta: GenerationDelta) => onDelta(deltaOf(delta));
      return generatedOf(await pool.generate(model.revision, request, { deadlineMs, signal, onDelta: told }));
    },

    async embed(model, body, { deadlineMs }): Promise<Embedded> {
      const texts = embeddingInputs(body) ?? [];
      const execution = await run(model.revision, [textTensor("text", texts)], deadlineMs);
      if (execution.kind !== "answered") return execution;
      const [output] = execution.outputs;
      const values = output === undefined ? new Float32Array(0) : floats(output);
      const width = values.length / texts.length;
      const vectors = texts.map((_, row) => values.slice(row * width, (row + 1) * width));
      return { kind: "answered", vectors, promptTokens: execution.unitCount };
    },
  };

  const generatorOf = ({ manifest }: PublishedModel): Generator => (manifest.engine === "relay" ? relay : local);
  const engine: Engine = {
    prepare,
    run,
    profile: (model) => (model.manifest.engine === "relay" ? RELAYED : pool.profile(model.revision)),
    fault: (model, operation, body) => generatorOf(model).fault(model, operation, body),
    generate: (model, call, options) => generatorOf(model).generate(model, call, options),
    embed: (model, body, options) => generatorOf(model).embed(model, body, options),
  };
  const names: Manifest["engine"][] = ["judge"];
  if (hasNative()) names.push("native");
  if (hasLlama()) names.push("llama");
  names.push("relay");
  return { engine, names, loaded: pool.loaded, close: () => pool[Symbol.asyncDispose]() };
}

/** How many numbers an embedding of this model has. */
function dimensionCountOf({ outputs }: Manifest): number | undefined {
  return outputs[0]?.shape.at(-1);
}

function deltaOf({ index, text, logprobs }: GenerationDelta): Delta {
  const told = logprobs.map(({ top, ...token }): TokenLogprob => ({ ...token, top_logprobs: top }));
  return { index, content: text, ...(told.length === 0 ? {} : { logprobs: told }) };
}

function generatedOf(end: GenerationEnd): Generated {
  if (end.kind !== "answered") return end;
  const { promptTokens, completionTokens, choices } = end;
  const finishReasons = [...choices].sort((a, b) => a.index - b.index).map(({ finishReason }) => finishReason);
  return { kind: "answered", finishReasons, usage: { promptTokens, completionTokens } };
}
