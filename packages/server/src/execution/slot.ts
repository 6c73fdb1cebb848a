/** A place for one worker: started when first needed, replaced when it ended, and what is loaded in it. */
import type { Host } from "./host.ts";
import type { ExecutionLimits } from "./limits.ts";
import type { Fault, Reply, Request } from "./messages.ts";
import type { Packed } from "./packing.ts";
import type { CheckedRevision } from "./revision.ts";

export type Slot = {
  has(key: string): boolean;
  /** What is loaded. */
  keys(): string[];
  loadedBytes(): number;
  /** Loads `revision` unless it is there; what was used longest ago, and is not `kept`, makes room. */
  open(revision: CheckedRevision, kept: ReadonlyMap<string, unknown>): Promise<Fault | undefined>;
  run(key: string, calls: Packed): Promise<Reply>;
  ask(request: Request): Promise<Reply>;
  /** Unloads what is not wanted any more. */
  tidy(): Promise<void>;
  /** Ends the worker; what it was asked comes back as a fault. The next one starts when it is needed. */
  end(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
};

export const CLOSED: Fault = { kind: "fault", reason: "crashed", message: "this pool is closed" };

export function createSlot(start: () => Host, wanted: (key: string) => boolean, limits: ExecutionLimits): Slot {
  let closed = false;
  let host: Host | undefined;
  /** Sizes by revision, the one used longest ago first. */
  let loaded = new Map<string, number>();
  /** Resolves when every worker that was let go of is gone. */
  let ended: Promise<unknown> = Promise.resolve();

  function current(): Host {
    if (host !== undefined) return host;
    const started = start();
    host = started;
    loaded = new Map();
    void started.gone.then(() => {
      if (host !== started) return;
      host = undefined;
      loaded = new Map();
    });
    return started;
  }

  async function ask(request: Request): Promise<Reply> {
    return closed ? CLOSED : current().ask(request);
  }

  /** Lets go of the worker at once: what is asked next is asked of another. */
  async function end(): Promise<void> {
    const ending = host;
    host = undefined;
    loaded = new Map();
    const gone = Promise.all([ended, ending?.end()]);
    ended = gone;
    await gone;
  }

  async function unload(key: string): Promise<void> {
    loaded.delete(key);
    await host?.ask({ kind: "unload", revision: key });
  }

  async function tidy(): Promise<void> {
    for (const key of [...loaded.keys()]) if (!wanted(key)) await unload(key);
  }

  const loadedBytes = () => [...loaded.values()].reduce((sum, size) => sum + size, 0);

  return {
    has: (key) => loaded.has(key),
    keys: () => [...loaded.keys()],
    loadedBytes,
    tidy,

    async open({ key, manifest, files, sizeBytes }, kept) {
      if (loaded.delete(key)) {
        loaded.set(key, sizeBytes);
        return undefined;
      }
      for (const oldest of [...loaded.keys()])
        if (!kept.has(oldest) && loadedBytes() + sizeBytes > limits.loadedBytes) await unload(oldest);
      if (closed) return CLOSED;
      let late = false;
      const timer = setTimeout(() => {
        late = true;
        void end();
      }, limits.loadTimeoutMs);
      const reply = await ask({ kind: "load", revision: key, manifest, files });
      clearTimeout(timer);
      if (late) return { kind: "fault", reason: "deadline", message: `did not load in ${limits.loadTimeoutMs} ms` };
      if (reply.kind === "fault") return reply;
      loaded.set(key, sizeBytes);
      return undefined;
    },

    run: (key, calls) => ask({ kind: "run", revision: key, calls }),
    ask,

    end,

    async [Symbol.asyncDispose]() {
      closed = true;
      await end();
    },
  };
}
