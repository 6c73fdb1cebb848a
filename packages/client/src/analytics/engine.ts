/** The engine as others see it: a process that is asked one thing at a time, within a deadline and a bound on memory. */
import { type ChildProcess, fork } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { constants, getPriority, setPriority, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { ClosedRows, Columns, RowOf, WashRules } from "@tallystick/protocol";
import type { QueryLimits } from "./database.ts";
import { AnalyticsError, type AnalyticsFailure } from "./errors.ts";
import type { Progress, Reply, Request, SegmentFolder } from "./messages.ts";
import type { Segments } from "./segments.ts";

const MIB = 1024 * 1024;
export const ENGINE_LIMITS = {
  /** An answer, or the next sign of life of what is built. */
  timeoutMs: 30_000,
  /** The process, the engine's own 512 MiB among it. */
  memoryBytes: 1_024 * MIB,
  rows: 10_000,
  resultBytes: 8 * MIB,
  /** Questions that wait. */
  pending: 16,
  /** A process that has had nothing to do for so long ends. */
  idleMs: 60_000,
};
export type EngineLimits = typeof ENGINE_LIMITS;

/** `signal` tells that nobody waits for the answer any more. */
export type QueryOptions = Partial<QueryLimits & { timeoutMs: number; signal: AbortSignal }>;

export type Engine = {
  /**
   * Answers one SELECT over the segments in `folder` by the rules of `key`: the JSON of a QueryResult, which nobody on its way
   * has to read. Throws an AnalyticsError.
   */
  query(folder: string, key: string, sql: string, own?: QueryOptions): Promise<Uint8Array<ArrayBuffer>>;
  /** Rows as a Parquet file, which says `metadata` of itself. */
  parquet<C extends Columns>(
    columns: C,
    rows: RowOf<C>[],
    metadata: Record<string, string>,
  ): Promise<Uint8Array<ArrayBuffer>>;
  /** Which of the days have their segments, by each set of rules. */
  find(segments: SegmentFolder, days: { day: string; size: number }[], rules: readonly WashRules[]): Promise<string[]>;
  /** Makes the segments of one day, where they are not there. */
  write(segments: SegmentFolder, closed: ClosedRows): Promise<Segments>;
  /** Makes the segments that are not there of all days, replaying the log. */
  build(segments: SegmentFolder, rules: readonly WashRules[]): Promise<Segments>;
  close(): Promise<void>;
};

/** `scratchFolder` is where files are made that are handed over and removed; it is there. */
export type EngineOptions = Partial<EngineLimits & { scratchFolder: string }>;

const SAMPLE_MS = 50;
const UNHEARD = "nobody waits for the answer";
const CLOSED = "the engine is closed";
// Compiled code, also where this file runs as its source: a child cannot be told how to read that.
const ENTRY = fileURLToPath(new URL("../../dist/analytics/child.js", import.meta.url));

/** Opens an engine. Its process starts when it is first asked, and gives way to whoever else wants the processor. */
export function openEngine({ scratchFolder = tmpdir(), ...given }: EngineOptions = {}): Engine {
  const limits = { ...ENGINE_LIMITS, ...given };
  let child: ChildProcess | undefined;
  let queue: Promise<unknown> = Promise.resolve();
  let pending = 0;
  let isClosed = false;
  let idle: NodeJS.Timeout | undefined;

  function current(): ChildProcess {
    if (child !== undefined) return child;
    const started = start();
    child = started;
    started.once("exit", () => {
      if (child === started) child = undefined;
    });
    return started;
  }

  async function end(): Promise<void> {
    clearTimeout(idle);
    const ending = child;
    child = undefined;
    if (ending === undefined || ending.exitCode !== null || ending.signalCode !== null) return;
    const gone = new Promise((resolve) => ending.once("exit", resolve));
    ending.kill("SIGKILL"); // All it has on disk is written aside, and renamed when it is whole.
    await gone;
  }

  async function askNow(request: Request, timeoutMs: number, signal: AbortSignal | undefined): Promise<Reply> {
    if (isClosed) throw new AnalyticsError("closed", CLOSED);
    if (signal?.aborted) throw new AnalyticsError("cancelled", UNHEARD);
    clearTimeout(idle);
    const reply = await exchange(current(), request, { ...limits, timeoutMs }, signal);
    if (reply.kind === "fault" && isClosed) throw new AnalyticsError("closed", CLOSED);
    if (reply.kind === "fault" && reply.failure !== "refused") await end();
    idle = setTimeout(() => void end(), limits.idleMs).unref();
    return reply;
  }

  async function ask<K extends Reply["kind"]>(
    request: Request,
    kind: K,
    timeoutMs: number = limits.timeoutMs,
    signal?: AbortSignal,
  ): Promise<Extract<Reply, { kind: K }>> {
    if (pending >= limits.pending)
      throw new AnalyticsError("busy", `${pending} questions wait already: ask again later`);
    pending++;
    const asked = queue.then(() => askNow(request, timeoutMs, signal)).finally(() => pending--);
    queue = asked.catch(() => {});
    const reply = await asked;
    if (isOf(reply, kind)) return reply;
    if (reply.kind === "fault") throw new AnalyticsError(reply.failure, reply.message);
    throw new TypeError(`an engine that was asked for ${kind} replied ${reply.kind}`);
  }

  return {
    async query(folder, key, sql, own = {}) {
      const { rows, resultBytes, timeoutMs, signal } = { ...limits, signal: undefined, ...own };
      const request: Request = { kind: "query", folder, key, sql, limits: { rows, resultBytes } };
      return (await ask(request, "answered", timeoutMs, signal)).result;
    },
    async parquet(columns, rows, metadata) {
      // Made and removed here: the process that writes into it may be killed.
      const folder = await mkdtemp(join(scratchFolder, "tallystick-"));
      try {
        return (await ask({ kind: "parquet", folder, columns, rows, metadata }, "written")).bytes;
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    },
    async find(segments, days, rules) {
      return (await ask({ kind: "find", ...segments, days, rules }, "found")).days;
    },
    async write(segments, closed) {
      return (await ask({ kind: "write", ...segments, closed }, "built")).segments;
    },
    async build(segments, rules) {
      return (await ask({ kind: "build", ...segments, rules }, "built")).segments;
    },
    async close() {
      isClosed = true;
      await end();
      await queue;
    },
  };
}

/** Starts an engine's process, with a low priority. Throws where the system starts none: no descriptor is left, or no process. */
function start(): ChildProcess {
  const started = forked();
  started.on("error", () => {}); // Whoever waits for a reply hears it too; without a pid it comes a moment later, to nobody.
  // One that did not start is neither asked nor killed: without a pid that would be the group that this process is of.
  if (started.pid === undefined) throw new AnalyticsError("busy", NOT_STARTED);
  try {
    setPriority(started.pid, Math.max(getPriority(), constants.priority.PRIORITY_BELOW_NORMAL));
  } catch {
    // It answers the same with the priority that it has.
  }
  return started;
}

const NOT_STARTED = "no process can be started at the moment: ask again later";

function forked(): ChildProcess {
  try {
    return fork(ENTRY, [], {
      // What is made of one batch of rows is all garbage after it.
      ...{ serialization: "advanced", env: {}, execArgv: ["--max-semi-space-size=32"] },
      stdio: ["ignore", "ignore", "ignore", "ipc"],
    });
  } catch (cause) {
    throw new AnalyticsError("busy", NOT_STARTED, { cause });
  }
}

function isOf<K extends Reply["kind"]>(reply: Reply, kind: K): reply is Extract<Reply, { kind: K }> {
  return reply.kind === kind;
}

/** Sends `request` and waits for its reply, for the child's end, until it shows no life, or until it holds too much memory. */
function exchange(
  child: ChildProcess,
  request: Request,
  { timeoutMs, memoryBytes }: EngineLimits,
  signal: AbortSignal | undefined,
): Promise<Reply> {
  return new Promise((resolve) => {
    // Before there is a timer: it throws what cannot be sent. One that fails later is a child that is gone, and its exit says so.
    child.send(request, () => {});
    function settle(reply: Reply): void {
      clearTimeout(deadline);
      clearInterval(sampler);
      child.off("message", onMessage);
      child.off("exit", onExit);
      child.off("error", onError);
      signal?.removeEventListener("abort", onAbort);
      resolve(reply);
    }
    const fault = (failure: AnalyticsFailure, message: string) => settle({ kind: "fault", failure, message });
    function onMessage(message: Reply | Progress): void {
      if (message.kind === "progress") deadline.refresh();
      else settle(message);
    }
    const onAbort = () => fault("cancelled", UNHEARD);
    const onExit = () => fault("crashed", "the engine's process ended");
    const onError = ({ message }: Error) => fault("crashed", message);
    const deadline = setTimeout(() => fault("deadline", `it took more than ${timeoutMs} ms: ask for less`), timeoutMs);
    const sampler = setInterval(async () => {
      if ((await residentBytes(child.pid ?? 0)) > memoryBytes)
        fault("limit", `it took more than ${memoryBytes / MIB} MiB of memory: ask for less`);
    }, SAMPLE_MS);
    child.on("message", onMessage);
    child.once("exit", onExit);
    child.once("error", onError);
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

/** What a process holds, where the system says so (proc(5)); elsewhere 0. */
async function residentBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
  return 1024 * Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0);
}
