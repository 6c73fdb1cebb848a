/** The two builds of ONNX Runtime as one thing, opened inside the worker that owns it. They share a JavaScript interface. */
import { endianness } from "node:os";

export type Engine = { ort: typeof import("onnxruntime-web"); provider: "wasm" | "cpu" };

const PAGE_BYTES = 65_536;

/**
 * The judge: onnxruntime-web on `module`, in at most `memoryBytes`. It changes this thread's WebAssembly for good, so
 * it is opened once in a thread of its own.
 */
export async function openJudge(module: WebAssembly.Module, memoryBytes: number): Promise<Engine> {
  assertLittleEndian();
  const { Memory, instantiate } = WebAssembly;
  // The engine asks for 4 GiB. Growth beyond the clamp is refused, and it reports a failed allocation like any other.
  class BoundedMemory extends Memory {
    constructor(descriptor: { initial: number; maximum?: number; shared?: boolean }) {
      const maximum = Math.min(descriptor.maximum ?? Number.POSITIVE_INFINITY, Math.floor(memoryBytes / PAGE_BYTES));
      super({ ...descriptor, maximum });
    }
  }
  Object.assign(WebAssembly, {
    Memory: BoundedMemory,
    // Whatever bytes it brings, the module that runs is the one whose digest is in the profile; nor is it compiled again.
    instantiate: async (_bytes: unknown, imports: WebAssembly.Imports) => ({
      module,
      instance: await instantiate(module, imports),
    }),
  });
  const ort = await import("onnxruntime-web");
  ort.env.logLevel = "fatal";
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmBinary = new Uint8Array(1);
  return { ort, provider: "wasm" };
}

/** onnxruntime-node, an optional peer. */
export async function openNative(): Promise<Engine> {
  assertLittleEndian();
  const ort = await import("onnxruntime-node");
  ort.env.logLevel = "fatal";
  return { ort, provider: "cpu" };
}

function assertLittleEndian(): void {
  if (endianness() !== "LE") throw new Error("tensors are little-endian, and so must the machine be that runs models");
}
