/**
 * The engine of a node: models that run here, in the execution pool, filled as calls ask for revisions; and models that run
 * elsewhere, by relay.
 */
import { type ExecutionProfile, keyOf, type Manifest, type PublishedModel } from "@tallystick/protocol";
import { openExecution } from "./execution/pool.ts";
import { hasLlama, hasNative } from "./execution/profile.ts";
import { createLocalGenerator } from "./local-generator.ts";
import type { Generator, RunModel } from "./node/generation.ts";
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

  const local = createLocalGenerator(pool);
  const generatorOf = ({ manifest }: RunModel): Generator => (manifest.engine === "relay" ? relay : local);
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
