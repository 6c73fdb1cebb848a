/**
 * Runs models again in a process of its own, which gets the processor when nobody else wants it. It is started when there is
 * something to judge, and ended when there was nothing for a while: a model that is loaded takes memory.
 */
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { constants, getPriority, setPriority } from "node:os";
import { fileURLToPath } from "node:url";
import type { Manifest } from "@tallystick/protocol";
import type { JudgeReply, JudgeRequest } from "./judge-child.ts";
import { forkProcess } from "./platform/child-process.ts";
import type { Report } from "./platform/http.ts";
import type { Claim, Judge, Reexecution } from "./verifier/cases.ts";

export type JudgeProcessParts = {
  /** Where a model's files lie, each under the hex of its SHA-256, once `prepare` has resolved. */
  folder: string;
  prepare(manifest: Manifest): Promise<unknown>;
  report: Report;
  idleMs?: number;
};

const IDLE_MS = 60_000;
const CLOSED = "the judge is closed";
const CHILD = fileURLToPath(new URL("../dist/judge-child.js", import.meta.url));

type Asked = { resolve(reply: Extract<JudgeReply, { number: number }> | undefined): void };

export function createJudgeProcess({ folder, prepare, report, idleMs = IDLE_MS }: JudgeProcessParts): Judge & {
  close(): Promise<void>;
} {
  const asked = new Map<number, Asked>();
  let child: ChildProcess | undefined;
  let timer: NodeJS.Timeout | undefined;
  let number = 0;
  let isClosed = false;

  function start(): ChildProcess {
    const started = forkProcess(CHILD, [], {
      ...{ serialization: "advanced", env: {}, execArgv: [] },
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    if (started.pid !== undefined) lower(started.pid);
    started.on("message", (message: JudgeReply) => {
      if (message.kind === "said") return report(message.event, message.detail);
      asked.get(message.number)?.resolve(message);
    });
    const gone = () => {
      if (child === started) child = undefined;
      for (const one of asked.values()) one.resolve(undefined);
    };
    started.on("error", gone);
    started.on("exit", gone);
    return started;
  }

  function lower(pid: number): void {
    try {
      setPriority(pid, Math.max(getPriority(), constants.priority.PRIORITY_BELOW_NORMAL));
    } catch (error) {
      report("the judge's process has no low priority", { error: String(error) });
    }
  }

  /** What the process finds; undefined where it ended before it had found anything. Throws once this is closed. */
  async function ask(claim: Claim): Promise<Reexecution | undefined> {
    if (isClosed) throw new Error(CLOSED); // One that was started now would outlive whoever closed this.
    clearTimeout(timer);
    child ??= start();
    const request: JudgeRequest = { number: number++, claim: claim as JudgeRequest["claim"], folder };
    const current = child;
    const told = await new Promise<Extract<JudgeReply, { number: number }> | undefined>((resolve) => {
      asked.set(request.number, { resolve });
      current.send(request, (error) => error && resolve(undefined));
    });
    asked.delete(request.number);
    if (asked.size === 0 && !isClosed) timer = setTimeout(() => void end(), idleMs);
    if (told?.kind === "failed") throw new Error(`the judge could not look at it: ${told.error}`);
    return told?.found;
  }

  async function end(): Promise<void> {
    const ending = child;
    child = undefined;
    if (ending === undefined || ending.exitCode !== null || ending.signalCode !== null) return;
    const gone = once(ending, "exit");
    ending.kill("SIGKILL"); // It keeps nothing, and what it is in the middle of is begun again by whoever asked.
    await gone;
  }

  return {
    async reexecute(claim) {
      await prepare(claim.manifest);
      const found = (await ask(claim)) ?? (await ask(claim));
      if (found !== undefined) return found;
      if (isClosed) throw new Error(CLOSED);
      const detail = "the process that ran it again ended twice before it was through";
      return { outcome: "undecided", method: "reexecution", detail, isProvable: false, costMicroseconds: 0 };
    },

    async close() {
      isClosed = true;
      clearTimeout(timer);
      await end();
    },
  };
}
