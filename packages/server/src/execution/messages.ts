/** What is said between a pool and its workers: one request at a time, each with its reply. */
import type { Manifest } from "@tallystick/protocol";
import type { ClaimedTokens, GenerationDelta, GenerationOutcome, GenerationRequest } from "./generation.ts";
import type { Vocabulary } from "./gguf.ts";
import type { Packed } from "./packing.ts";

export type Request =
  | {
      kind: "load";
      revision: string;
      manifest: Manifest;
      files: ReadonlyMap<string, Uint8Array>;
      /** For llama.cpp, which reads a file: where it lies, instead of its bytes. */
      gguf?: { path: string; vocabulary: Vocabulary };
    }
  | { kind: "unload"; revision: string }
  | { kind: "run"; revision: string; calls: Packed }
  /** Opens a generation, or the check of one that was claimed; nothing of it runs before the first `advance`. */
  | { kind: "begin"; revision: string; id: number; request: GenerationRequest; claimed?: ClaimedTokens | undefined }
  /** Goes on with a generation for a while, by at least one pass of the model. */
  | { kind: "advance"; id: number; sliceMs: number }
  | { kind: "abandon"; id: number };

/** Why there is no answer. What an adapter finds wrong with a call is an answer, and no fault. */
export type Fault = { kind: "fault"; reason: "deadline" | "memory" | "crashed" | "engine"; message: string };

export type Reply =
  | { kind: "done" }
  /** Per call, the units it took or what its sender did wrong; a refused call has no outputs. */
  | { kind: "answers"; answers: ({ unitCount: number } | { refusal: string })[]; outputs: Packed }
  /** What a generation wrote meanwhile; with an outcome there is no more. */
  | { kind: "written"; deltas: GenerationDelta[]; outcome: GenerationOutcome | undefined }
  /** This worker has no such generation: it began in another. */
  | { kind: "unknown" }
  | Fault;

/** The signal by which a native child ends itself when it holds more memory than it may. */
export const MEMORY_SIGNAL = process.platform === "win32" ? "SIGKILL" : "SIGUSR2";

/** What the entry of a judge thread is given. */
export type ThreadData = { adapters: string; module: WebAssembly.Module; memoryBytes: number };

/** What the entry of a native child is given, as JSON in its first argument. */
export type ChildData = { adapters: string; memoryBytes: number };

/** What the entry of a child with llama.cpp is given: the URL of node-llama-cpp beside what a native child is. */
export type LlamaData = { module: string; memoryBytes: number; generations: number };
