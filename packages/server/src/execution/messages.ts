/** What is said between a pool and its workers: one request at a time, each with its reply. */
import type { Manifest } from "@tallystick/protocol";
import type { Packed } from "./packing.ts";

export type Request =
  | { kind: "load"; revision: string; manifest: Manifest; files: ReadonlyMap<string, Uint8Array> }
  | { kind: "unload"; revision: string }
  | { kind: "run"; revision: string; calls: Packed };

/** Why there is no answer. What an adapter finds wrong with a call is an answer, and no fault. */
export type Fault = { kind: "fault"; reason: "deadline" | "memory" | "crashed" | "engine"; message: string };

export type Reply =
  | { kind: "done" }
  /** Per call, the units it took or what its sender did wrong; a refused call has no outputs. */
  | { kind: "answers"; answers: ({ unitCount: number } | { refusal: string })[]; outputs: Packed }
  | Fault;

/** The signal by which a native child ends itself when it holds more memory than it may. */
export const MEMORY_SIGNAL = process.platform === "win32" ? "SIGKILL" : "SIGUSR2";

/** What the entry of a judge thread is given. */
export type ThreadData = { adapters: string; module: WebAssembly.Module; memoryBytes: number };

/** What the entry of a native child is given, as JSON in its first argument. */
export type ChildData = { adapters: string; memoryBytes: number };
