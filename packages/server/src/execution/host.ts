/** One worker as its parent sees it: a judge's thread or a native child, asked one thing at a time and ended at will. */
import type { ChildProcess } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type TransferListItem, Worker } from "node:worker_threads";
import { forkProcess, NotStartedError } from "../platform/child-process.ts";
import { parseVocabulary } from "./gguf.ts";
import {
  type ChildData,
  type Fault,
  type LlamaData,
  MEMORY_SIGNAL,
  type Reply,
  type Request,
  type ThreadData,
} from "./messages.ts";

export type Host = {
  /** What the worker replies, or the fault of its end. */
  ask(request: Request): Promise<Reply>;
  /** Ends the worker whatever it is doing; resolves when it is gone. */
  end(): Promise<void>;
  /** Resolves when the worker is gone, for whichever reason. */
  gone: Promise<Fault>;
};

const MIB = 1024 * 1024;
// Compiled code, also where this file runs as its source: neither a thread nor a child can be told how to read that.
const entry = (name: string) => new URL(`../../dist/execution/${name}.js`, import.meta.url);

/** Starts a judge. It gets no environment and no flags of this process. */
export function startThread(data: ThreadData, heapBytes: number): Host {
  const worker = new Worker(entry("worker"), {
    workerData: data,
    env: {},
    execArgv: [],
    resourceLimits: { maxOldGenerationSizeMb: heapBytes / MIB },
  });
  return createHost({
    send: (request, transfer) => worker.postMessage(request, transfer),
    onReply: (take) => worker.on("message", take),
    onGone: (take) => {
      let cause: NodeJS.ErrnoException | undefined;
      worker.on("error", (error) => {
        cause = error;
      });
      worker.on("exit", () => {
        if (cause?.code === "ERR_WORKER_OUT_OF_MEMORY") take(outOfMemory(heapBytes));
        else take(crashed(cause?.message ?? "its thread ended"));
      });
    },
    end: () => worker.terminate(),
  });
}

/** Starts a native child. */
export function startChild(data: ChildData, heapBytes: number): Host {
  return startProcess("child", data, heapBytes);
}

/** Starts a child with llama.cpp. It reads a file, and gets one that nobody else may read, for as long as it takes to load. */
export function startLlama(data: LlamaData, heapBytes: number): Host {
  const host = startProcess("llama-child", data, heapBytes);
  return {
    ...host,
    async ask(request) {
      if (request.kind !== "load") return host.ask(request);
      const bytes = ggufOf(request);
      const folder = await mkdtemp(join(tmpdir(), "tallystick-"));
      try {
        const path = join(folder, "model.gguf");
        await writeFile(path, bytes, { mode: 0o600 });
        return await host.ask({ ...request, files: new Map(), gguf: { path, vocabulary: parseVocabulary(bytes) } });
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    },
  };
}

function ggufOf({ manifest, files }: Request & { kind: "load" }): Uint8Array {
  const artifact = manifest.artifacts.find(({ role }) => role === "model");
  const bytes = files.get(artifact?.path ?? "");
  if (bytes === undefined) throw new Error(`${manifest.name} ${manifest.version} has no model among its files`);
  return bytes;
}

function startProcess(name: string, data: ChildData | LlamaData, heapBytes: number): Host {
  let child: ChildProcess;
  try {
    child = forkProcess(fileURLToPath(entry(name)), [JSON.stringify(data)], {
      serialization: "advanced",
      env: {},
      execArgv: [`--max-old-space-size=${heapBytes / MIB}`],
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
  } catch (error) {
    if (error instanceof NotStartedError) return goneHost(crashed(error.message));
    throw error;
  }
  return createHost({
    // A send that fails is a child that is gone, and its exit says so.
    send: (request) => child.send(request, () => {}),
    onReply: (take) => child.on("message", take),
    onGone: (take) => {
      child.on("error", (error) => take(crashed(error.message)));
      child.on("exit", (code, signal) => {
        if (signal === MEMORY_SIGNAL) take(outOfMemory(data.memoryBytes));
        else take(crashed(`its process ended with ${signal ?? `exit code ${code}`}`));
      });
    },
    end: () => child.kill("SIGKILL"),
  });
}

type Channel = {
  send(request: Request, transfer: TransferListItem[]): void;
  onReply(take: (reply: Reply) => void): void;
  onGone(take: (fault: Fault) => void): void;
  end(): void;
};

function createHost(channel: Channel): Host {
  let answer: ((reply: Reply) => void) | undefined;
  let fault: Fault | undefined;
  channel.onReply((reply) => answer?.(reply));
  const gone = new Promise<Fault>((resolve) =>
    channel.onGone((found) => {
      fault ??= found;
      resolve(fault);
      answer?.(fault);
    }),
  );
  return {
    gone,
    ask(request) {
      return new Promise((resolve) => {
        if (fault !== undefined) return resolve(fault);
        answer = resolve;
        channel.send(request, request.kind === "run" ? [request.calls.data.buffer] : []);
      });
    },
    async end() {
      channel.end();
      await gone;
    },
  };
}

/** A worker that never was: the next one may start. */
function goneHost(fault: Fault): Host {
  return { gone: Promise.resolve(fault), ask: async () => fault, end: async () => {} };
}

function crashed(cause: string): Fault {
  return { kind: "fault", reason: "crashed", message: `the worker that ran this call ended: ${cause}` };
}

function outOfMemory(sizeBytes: number): Fault {
  return {
    kind: "fault",
    reason: "memory",
    message: `this call took more than ${Math.floor(sizeBytes / MIB)} MiB of memory`,
  };
}
