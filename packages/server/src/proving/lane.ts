/** One child as its parent sees it: asked one thing at a time, within a deadline and a bound on memory, and ended when idle. */
import type { ChildProcess } from "node:child_process";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { forkProcess, NotStartedError } from "../platform/child-process.ts";
import { ServiceError } from "../platform/errors.ts";
import type { ProvingLimits } from "./limits.ts";
import type { ChildOptions, Reply, Request } from "./messages.ts";

export type Lane = {
  /** What the child replies, or the fault of its end. Throws a ServiceError where too many wait. */
  ask(request: Request, timeoutMs: number): Promise<Reply>;
  /** Ends the child, and fails what is asked of it. */
  [Symbol.asyncDispose](): Promise<void>;
};

const MIB = 1024 * 1024;
const SAMPLE_MS = 50;
// Compiled code, also where this file runs as its source: a child cannot be told how to read that.
const ENTRY = new URL("../../dist/proving/child.js", import.meta.url);

/** Opens a lane whose child finds the CRS in `crsFolder`. It starts when it is first asked. */
export function openLane(crsFolder: string, limits: ProvingLimits): Lane {
  let child: ChildProcess | undefined;
  let gone: Promise<void> = Promise.resolve();
  let queue: Promise<unknown> = Promise.resolve();
  let pending = 0;
  let closed = false;
  let idle: NodeJS.Timeout | undefined;

  function current(): ChildProcess {
    if (child !== undefined) return child;
    const options: ChildOptions = { threadCount: limits.threadCount, crsFolder };
    const started = forkProcess(fileURLToPath(ENTRY), [JSON.stringify(options)], {
      serialization: "advanced",
      env: { CRS_PATH: crsFolder },
      execArgv: [`--max-old-space-size=${limits.heapBytes / MIB}`],
      stdio: ["ignore", "ignore", "ignore", "ipc"],
    });
    child = started;
    gone = new Promise((resolve) => started.once("exit", () => resolve()));
    started.once("exit", () => {
      if (child === started) child = undefined;
    });
    return started;
  }

  async function end(): Promise<void> {
    clearTimeout(idle);
    // The prover that the child started ends with it: bb watches for its parent's death.
    child?.kill("SIGKILL");
    child = undefined;
    await gone;
  }

  async function askChild(request: Request, timeoutMs: number): Promise<Reply> {
    try {
      return await exchange(current(), request, timeoutMs, limits.memoryBytes);
    } catch (error) {
      if (!(error instanceof NotStartedError)) throw error;
      return { kind: "fault", reason: "crashed", message: error.message };
    }
  }

  async function askNow(request: Request, timeoutMs: number): Promise<Reply> {
    clearTimeout(idle);
    if (closed) return { kind: "fault", reason: "crashed", message: "this prover is closed" };
    let reply = await askChild(request, timeoutMs);
    // On a busy machine bb.js gives its prover up after five seconds, and ends the child with it. All that is asked here may
    // be asked again.
    if (reply.kind === "fault" && reply.reason === "crashed") {
      await end();
      if (!closed) reply = await askChild(request, timeoutMs);
    }
    // What compiled holds on to its memory, and is not asked again soon.
    const isSpent = request.kind === "compile" || (reply.kind === "fault" && reply.reason !== "refused");
    if (isSpent) await end();
    else idle = setTimeout(() => void end(), limits.idleMs).unref();
    return reply;
  }

  return {
    ask(request, timeoutMs) {
      if (pending >= limits.pending)
        throw new ServiceError("unavailable", `${pending} proofs wait already: try again later, or without a proof`);
      pending++;
      const reply = queue.then(() => askNow(request, timeoutMs)).finally(() => pending--);
      queue = reply.catch(() => {});
      return reply;
    },
    async [Symbol.asyncDispose]() {
      closed = true;
      await end();
      await queue;
    },
  };
}

/** Sends `request` and waits for its reply, for the child's end, for its deadline, or until it holds too much memory. */
function exchange(child: ChildProcess, request: Request, timeoutMs: number, memoryBytes: number): Promise<Reply> {
  return new Promise((resolve) => {
    // Before there is a timer: it throws what cannot be sent. One that fails later is a child that is gone, and its exit says so.
    child.send(request, () => {});
    const { pid = 0 } = child;
    function settle(reply: Reply): void {
      clearTimeout(deadline);
      clearInterval(sampler);
      child.off("message", settle);
      child.off("exit", onExit);
      child.off("error", onError);
      resolve(reply);
    }
    const onExit = () => settle({ kind: "fault", reason: "crashed", message: "the process that proves ended" });
    const onError = ({ message }: Error) => settle({ kind: "fault", reason: "crashed", message });
    const deadline = setTimeout(
      () => settle({ kind: "fault", reason: "deadline", message: `took more than ${timeoutMs} ms` }),
      timeoutMs,
    );
    const sampler = setInterval(async () => {
      if ((await residentBytes(pid)) > memoryBytes)
        settle({ kind: "fault", reason: "memory", message: `took more than ${memoryBytes / MIB} MiB of memory` });
    }, SAMPLE_MS);
    child.on("message", settle);
    child.once("exit", onExit);
    child.once("error", onError);
  });
}

/** What the process `pid` and its children hold, where the system says so (proc(5)); elsewhere 0. */
async function residentBytes(pid: number): Promise<number> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8").catch(() => "");
  const pids = [pid, ...children.split(" ").filter((one) => one !== "")];
  const sizes = await Promise.all(pids.map((one) => readFile(`/proc/${one}/status`, "utf8").catch(() => "")));
  return sizes.reduce((sum, status) => sum + 1024 * Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0), 0);
}
