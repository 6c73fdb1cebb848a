/** Runs models, for a node or a verifier, in workers that can be ended: what may be asked of execution from outside. */
import assert from "node:assert/strict";
import { type ExecutionProfile, hex, type Tensor, tensorFault } from "@tallystick/protocol";
import { createCall, type Execution, sizeOf } from "./call.ts";
import { type Crew, createCrew, type Log } from "./crew.ts";
import { createGenerating, type GenerateOptions } from "./generating.ts";
import { type GenerationEnd, type GenerationRequest, generationFault, promptSize } from "./generation.ts";
import { startChild, startLlama, startThread } from "./host.ts";
import { EXECUTION_LIMITS, type ExecutionLimits } from "./limits.ts";
import type { Line } from "./place.ts";
import { readJudge, readLlama, readNative } from "./profile.ts";
import { checkRevision, type Revision } from "./revision.ts";

export type ExecutionPool = {
  /** Checks a revision's files and opens it once, so that what cannot run is known here. Throws. Twice is once. */
  load(revision: Revision): Promise<void>;
  /** Calls that wait for the revision fail; those that run may end. */
  unload(digest: Uint8Array): Promise<void>;
  /** What comes of `inputs` within `deadlineMs`, waiting included. Throws when the revision is not loaded. */
  run(digest: Uint8Array, inputs: Tensor[], options: { deadlineMs: number }): Promise<Execution>;
  /**
   * Writes the text that is asked for, in pieces, within `deadlineMs`, waiting included; the signal stops it between two
   * tokens. With claimed tokens it checks them instead, and gives the text that they are. Throws when the revision is not loaded.
   */
  generate(digest: Uint8Array, request: GenerationRequest, options: GenerateOptions): Promise<GenerationEnd>;
  profile(digest: Uint8Array): ExecutionProfile;
  /** The revisions that some worker has loaded, by the hex of their digests. */
  loaded(): string[];
  /** Fails what is under way and ends every worker. */
  [Symbol.asyncDispose](): Promise<void>;
};

export type ExecutionOptions = {
  judgeWorkerCount: number;
  /** Started only for revisions that choose the native engine, or llama.cpp. */
  nativeWorkerCount?: number;
  llamaWorkerCount?: number;
  limits?: Partial<ExecutionLimits>;
  /** Finds node-llama-cpp, where it is not beside this package. */
  findLlama?: (id: string) => string;
  /** The compiled module whose ADAPTERS the workers use. */
  adapters?: URL;
  log: Log;
};

type Pending = { sizeBytes: number; settle(end: { kind: "failed"; reason: "crashed"; message: string }): void };

// As in host.ts: what workers import is compiled.
const ADAPTERS = new URL("../../dist/execution/adapters/index.js", import.meta.url);

export async function openExecution(options: ExecutionOptions): Promise<ExecutionPool> {
  const { judgeWorkerCount, nativeWorkerCount = 1, llamaWorkerCount = 1, log } = options;
  const limits = { ...EXECUTION_LIMITS, ...options.limits };
  const { href } = options.adapters ?? ADAPTERS;
  const judge = await readJudge();
  const judgeData = { adapters: href, module: judge.module, memoryBytes: limits.judgeMemoryBytes };
  const nativeData = { adapters: href, memoryBytes: limits.nativeMemoryBytes };
  const llamaLimits = {
    ...limits,
    loadedBytes: limits.llamaLoadedBytes,
    workerGenerations: limits.llamaGenerations,
  };
  let nativeProfile: ExecutionProfile | undefined;
  let llama: Awaited<ReturnType<typeof readLlama>> | undefined;
  function startLlamaWorker() {
    assert(llama, "a revision for llama.cpp is opened after its profile was read");
    const { llamaMemoryBytes: memoryBytes, llamaGenerations: generations } = limits;
    return startLlama({ module: llama.module, memoryBytes, generations }, limits.heapBytes);
  }
  const engines = {
    judge: {
      crew: createCrew(() => startThread(judgeData, limits.heapBytes), judgeWorkerCount, limits, log),
      workerCount: judgeWorkerCount,
      readProfile: async () => judge.profile,
    },
    native: {
      crew: createCrew(() => startChild(nativeData, limits.heapBytes), nativeWorkerCount, limits, log),
      workerCount: nativeWorkerCount,
      readProfile: async () => (nativeProfile ??= await readNative()),
    },
    llama: {
      crew: createCrew(startLlamaWorker, llamaWorkerCount, llamaLimits, log),
      workerCount: llamaWorkerCount,
      async readProfile() {
        llama ??= await readLlama(options.findLlama);
        return llama.profile;
      },
    },
  };
  const loads = new Map<string, Promise<void>>();
  const pending = new Set<Pending>();
  let pendingBytes = 0;
  let closed = false;

  async function open(revision: Revision): Promise<void> {
    const checked = checkRevision(revision);
    const { manifest, sizeBytes } = checked;
    const name = `${manifest.name} ${manifest.version}`;
    if (manifest.engine === "relay") throw new Error(`${name} is relayed: no worker here runs it`);
    const { crew, workerCount, readProfile } = engines[manifest.engine];
    if (workerCount === 0) throw new Error(`${name} wants the ${manifest.engine} engine, which has no workers here`);
    const [limit, loadedBytes] =
      manifest.engine === "llama" ? ["llamaLoadedBytes", limits.llamaLoadedBytes] : ["loadedBytes", limits.loadedBytes];
    if (sizeBytes > loadedBytes)
      throw new Error(`${name} is ${sizeBytes} bytes, and a worker may hold ${loadedBytes}: raise ${limit}`);
    const fault = await crew.open(checked, await readProfile());
    if (fault !== undefined) throw new Error(`${name} does not open: ${fault.message}`);
  }

  function get(digest: Uint8Array): { crew: Crew; line: Line } {
    const key = hex(digest);
    for (const { crew } of Object.values(engines)) {
      const line = crew.find(key);
      if (line !== undefined) return { crew, line };
    }
    throw new Error(`revision ${key} is not loaded`);
  }

  function findOverload(sizeBytes: number): { kind: "overloaded"; message: string } | undefined {
    if (pending.size < limits.pendingCalls && pendingBytes + sizeBytes <= limits.pendingBytes) return undefined;
    return { kind: "overloaded", message: `${pending.size} calls wait already: try again later, or another node` };
  }

  function addPending(one: Pending): void {
    pending.add(one);
    pendingBytes += one.sizeBytes;
  }

  function removePending(one: Pending): void {
    pending.delete(one);
    pendingBytes -= one.sizeBytes;
  }

  return {
    load(revision) {
      const key = hex(revision.digest);
      const load =
        loads.get(key) ??
        open(revision).catch((error: unknown) => {
          loads.delete(key);
          throw error;
        });
      loads.set(key, load);
      return load;
    },

    async unload(digest) {
      const key = hex(digest);
      await loads.get(key)?.catch(() => {});
      loads.delete(key);
      for (const { crew } of Object.values(engines)) await crew.drop(key);
    },

    profile: (digest) => get(digest).line.profile,

    loaded: () => Object.values(engines).flatMap(({ crew }) => crew.loaded()),

    async run(digest, inputs, { deadlineMs }) {
      if (closed) throw new Error("this pool is closed");
      const { crew, line } = get(digest);
      const fault = inputs.map(tensorFault).find((one) => one !== undefined);
      if (fault !== undefined) return { kind: "refused", message: fault };
      const overload = findOverload(sizeOf(inputs));
      if (overload !== undefined) return overload;
      return new Promise((resolve) => {
        const call = createCall(inputs, Math.min(deadlineMs, limits.deadlineMs), (execution) => {
          removePending(call);
          crew.forget(line, call);
          resolve(execution);
        });
        addPending(call);
        crew.enqueue(line, call);
      });
    },

    async generate(digest, request, { deadlineMs, signal, claimed, onDelta }) {
      if (closed) throw new Error("this pool is closed");
      const { crew, line } = get(digest);
      const fault = generationFault(request);
      if (fault !== undefined) return { kind: "refused", message: fault };
      const overload = findOverload(promptSize(request));
      if (overload !== undefined) return overload;
      if (signal?.aborted) return { kind: "cancelled" };
      const options = { deadlineMs: Math.min(deadlineMs, limits.deadlineMs), signal, claimed, onDelta };
      return new Promise((resolve) => {
        const one = createGenerating(request, options, (end) => {
          removePending(one);
          crew.leave(line, one);
          resolve(end);
        });
        addPending(one);
        crew.generate(line, one);
      });
    },

    async [Symbol.asyncDispose]() {
      closed = true;
      const message = "the node stopped before this call was answered";
      for (const one of pending) one.settle({ kind: "failed", reason: "crashed", message });
      for (const { crew } of Object.values(engines)) await crew[Symbol.asyncDispose]();
    },
  };
}
