/** The worker's half of execution: what is loaded in it, and the answers that come of it. */
import type { Tensor } from "@tallystick/protocol";
import type { Adapter, Outcome } from "./adapter.ts";
import type { Engine } from "./engine.ts";
import { withOneNaN } from "./floats.ts";
import type { ClaimedTokens, Generation, GenerationDelta, GenerationRequest } from "./generation.ts";
import { openKit } from "./kit.ts";
import type { Reply, Request } from "./messages.ts";
import { pack, unpack } from "./packing.ts";

export type Adapters = ReadonlyMap<string, Adapter>;
/** An engine's message may quote the graph at length. */
const MESSAGE_LENGTH = 500;

/** A revision that is ready to answer. */
export type Loaded = AsyncDisposable & {
  name: string;
  run(calls: Tensor[][]): Promise<Outcome[]>;
  generate?: ((request: GenerationRequest, claimed?: ClaimedTokens) => Generation) | undefined;
};
export type Load = Request & { kind: "load" };
export type Runner = (request: Request) => Promise<Reply>;
type Running = { revision: string; generation: Generation };

/** Opens revisions in ONNX Runtime, each with the adapter that its manifest names. */
export function createOpener(engine: Engine, adapters: Adapters): (load: Load) => Promise<Loaded> {
  return async ({ manifest, files }) => {
    const name = `${manifest.adapter.name}@${manifest.adapter.version}`;
    const adapter = adapters.get(name);
    if (adapter === undefined)
      throw new Error(`there is no adapter ${name} here: upgrade this node, or publish for another`);
    const kit = await openKit(engine, manifest, files);
    const { generate } = adapter;
    return {
      name,
      run: (calls) => adapter.run(calls, kit),
      generate: generate && ((request, claimed) => generate(request, kit, claimed)),
      [Symbol.asyncDispose]: () => kit[Symbol.asyncDispose](),
    };
  };
}

/** Answers requests, one at a time. What it throws has left the engine in an unknown state. */
export function createRunner(open: (load: Load) => Promise<Loaded>): Runner {
  const loaded = new Map<string, Loaded>();
  const running = new Map<number, Running>();

  async function load(request: Load): Promise<Reply> {
    loaded.set(request.revision, await open(request));
    return { kind: "done" };
  }

  function get(revision: string): Loaded {
    const one = loaded.get(revision);
    if (one === undefined) throw new Error(`revision ${revision} is not loaded`);
    return one;
  }

  async function unload({ revision }: Request & { kind: "unload" }): Promise<Reply> {
    for (const [id, one] of running) if (one.revision === revision) await leave(id);
    await loaded.get(revision)?.[Symbol.asyncDispose]();
    loaded.delete(revision);
    return { kind: "done" };
  }

  async function run({ revision, calls }: Request & { kind: "run" }): Promise<Reply> {
    const model = get(revision);
    const outcomes = await model.run(unpack(calls));
    if (outcomes.length !== calls.heads.length)
      throw new Error(`${model.name} gave ${outcomes.length} outcomes for ${calls.heads.length} calls`);
    return {
      kind: "answers",
      answers: outcomes.map((one) => (one.ok ? { unitCount: one.unitCount } : { refusal: one.message })),
      outputs: pack(outcomes.map((one) => (one.ok ? one.outputs.map(withOneNaN) : []))),
    };
  }

  async function begin({ revision, id, request, claimed }: Request & { kind: "begin" }): Promise<Reply> {
    const model = get(revision);
    if (model.generate === undefined) throw new Error(`${model.name} writes no text`);
    running.set(id, { revision, generation: model.generate(request, claimed) });
    return { kind: "done" };
  }

  async function advance({ id, sliceMs }: Request & { kind: "advance" }): Promise<Reply> {
    const { generation } = running.get(id) ?? {};
    if (generation === undefined) return { kind: "unknown" };
    const deltas: GenerationDelta[] = [];
    const until = performance.now() + sliceMs;
    try {
      do {
        const { done, value } = await generation.next();
        if (done) {
          running.delete(id);
          return { kind: "written", deltas, outcome: value };
        }
        deltas.push(...value);
      } while (performance.now() < until);
    } catch (error) {
      running.delete(id);
      throw error;
    }
    return { kind: "written", deltas, outcome: undefined };
  }

  async function leave(id: number): Promise<void> {
    await running.get(id)?.generation.return({ kind: "refused", message: "nobody waits for it" });
    running.delete(id);
  }

  async function reply(request: Request): Promise<Reply> {
    switch (request.kind) {
      case "load":
        return load(request);
      case "unload":
        return unload(request);
      case "run":
        return run(request);
      case "begin":
        return begin(request);
      case "advance":
        return advance(request);
      case "abandon":
        await leave(request.id);
        return { kind: "done" };
    }
  }

  return async (request) => {
    try {
      return await reply(request);
    } catch (error) {
      if (isFatal(error)) throw error;
      const message = (error instanceof Error ? error.message : String(error)).trim().slice(0, MESSAGE_LENGTH);
      return { kind: "fault", reason: OUT_OF_MEMORY.test(message) ? "memory" : "engine", message };
    }
  };
}

/** How the engines and JavaScript say that an allocation failed, or that its size is beyond counting. */
const OUT_OF_MEMORY =
  /bad_alloc|Failed to allocate|allocation failed|SafeIntOnOverflow|shape is too large|storage size overflowed/;

/** A trap, or a stack that ended inside WebAssembly, leaves the engine's memory half-written. */
function isFatal(error: unknown): boolean {
  return error instanceof WebAssembly.RuntimeError || (error instanceof RangeError && /call stack/.test(error.message));
}
