/** The bounds of execution. An operator may set each; a test meets each. */

export type ExecutionLimits = {
  /** Calls that wait or run, and the bytes of their inputs. */
  pendingCalls: number;
  pendingBytes: number;
  /** A batch holds no more calls, and no more bytes unless a single call has them. */
  batchCalls: number;
  batchBytes: number;
  /** A batch is made to take no longer than this, going by what the revision's calls took before. */
  batchMs: number;
  /** Generations that a worker has under way; more wait. */
  workerGenerations: number;
  /** How long a worker goes on with one generation before others have their turn. */
  sliceMs: number;
  /** How long a pass of a generation that nobody waits for may still take before its worker is ended. */
  graceMs: number;
  /** What the models loaded in one worker may add up to, by the size of their files. */
  loadedBytes: number;
  loadTimeoutMs: number;
  /** The longest deadline a call may have. */
  deadlineMs: number;
  /** WebAssembly memory of a judge: weights, activations and the engine. A multiple of 64 KiB. */
  judgeMemoryBytes: number;
  /** Resident memory of a native child. */
  nativeMemoryBytes: number;
  /** Resident memory of a process of llama.cpp, the file of weights that it maps included. */
  llamaMemoryBytes: number;
  /** What the models loaded in one such process may add up to, and the generations that it has under way. */
  llamaLoadedBytes: number;
  llamaGenerations: number;
  /** JavaScript heap of a worker of any kind. */
  heapBytes: number;
};

const MIB = 1024 * 1024;

export const EXECUTION_LIMITS: ExecutionLimits = {
  pendingCalls: 4096,
  pendingBytes: 256 * MIB,
  batchCalls: 64,
  batchBytes: 256 * 1024,
  batchMs: 20,
  workerGenerations: 8,
  sliceMs: 10,
  graceMs: 2000,
  loadedBytes: 256 * MIB,
  loadTimeoutMs: 60_000,
  deadlineMs: 600_000,
  judgeMemoryBytes: 1024 * MIB,
  nativeMemoryBytes: 2048 * MIB,
  llamaMemoryBytes: 6144 * MIB,
  llamaLoadedBytes: 2048 * MIB,
  llamaGenerations: 4,
  heapBytes: 256 * MIB,
};

/** What a generation may ask for. */
export const GENERATION_LIMITS = {
  promptBytes: 4 * MIB,
  stops: 4,
  stopBytes: 256,
  choices: 8,
  topTokens: 20,
  /** Keys and values of one generation over the model's whole context; it may hold twice as much. */
  cacheBytes: 64 * MIB,
};

/** The head of a GGUF file. */
export const GGUF_LIMITS = { entries: 4096, tensors: 50_000, elements: 2 ** 21, textBytes: 16 * MIB };

export type GraphLimits = {
  sizeBytes: number;
  nodes: number;
  /** Elements of one tensor that is part of the graph. */
  elements: number;
  /** Graphs inside graphs. */
  depth: number;
  /** Fields of the protobuf, the one figure that bounds the time a look at it takes. */
  fields: number;
};

export const GRAPH_LIMITS: GraphLimits = {
  sizeBytes: 512 * MIB,
  nodes: 50_000,
  elements: 2 ** 28,
  depth: 8,
  fields: 2 ** 23,
};
