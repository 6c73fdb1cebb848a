/** What an adapter stands on: a revision's sessions in one engine, its files and its options. */
import assert from "node:assert/strict";
import type { Manifest } from "@tallystick/protocol";
import type { InferenceSession } from "onnxruntime-web";
import type { Kit } from "./adapter.ts";
import type { Engine } from "./engine.ts";
import { fromEngine, toEngine } from "./tensors.ts";

/** Part of the execution profile: another value here may give other bits. */
const SETTINGS = {
  graphOptimizationLevel: "all",
  executionMode: "sequential",
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  // Errors are thrown as well, and need not be printed.
  logSeverityLevel: 4,
} as const satisfies InferenceSession.SessionOptions;

/**
 * Opens every graph of `manifest` from its bytes; never from a path, where a graph could name other files.
 * All at once, so that a graph which the engine cannot open shows when the revision is loaded and not in a call.
 */
export async function openKit(
  engine: Engine,
  manifest: Manifest,
  files: ReadonlyMap<string, Uint8Array>,
): Promise<Kit & AsyncDisposable> {
  const sessions = new Map<string, InferenceSession>();
  const close = async () => {
    for (const session of sessions.values()) await session.release();
    sessions.clear();
  };
  function file(path: string): Uint8Array {
    const bytes = files.get(path);
    if (bytes === undefined) throw new Error(`${manifest.name} ${manifest.version} has no file "${path}"`);
    return bytes;
  }

  try {
    for (const { path, role } of manifest.artifacts) {
      if (role !== "model") continue;
      const settings = { ...SETTINGS, executionProviders: [engine.provider] };
      sessions.set(path, await engine.ort.InferenceSession.create(file(path), settings));
    }
  } catch (error) {
    await close();
    throw error;
  }

  return {
    file,
    options: JSON.parse(manifest.adapter.options),
    contextLength: manifest.contextLength,
    async run(path, feeds) {
      const session = sessions.get(path);
      if (session === undefined) throw new Error(`${manifest.name} ${manifest.version} has no graph "${path}"`);
      const inputs = Object.fromEntries(feeds.map((feed) => [feed.name, toEngine(engine, feed)]));
      const outputs = await session.run(inputs);
      return session.outputNames.map((name) => {
        const output = outputs[name];
        assert(output, "an engine gives every output it names");
        return fromEngine(name, output);
      });
    },
    [Symbol.asyncDispose]: close,
  };
}
