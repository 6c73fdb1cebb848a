/** Processes of our own, which the system may not start: no descriptor is left, or no memory, or no process. */
import { type ChildProcess, type ForkOptions, fork } from "node:child_process";

export class NotStartedError extends Error {
  override name = "NotStartedError";
}

/**
 * Starts a process that runs `path`. Throws a NotStartedError where it does not start. One without a pid is never killed: what
 * would be killed is the whole group that this process is of.
 */
export function forkProcess(path: string, args: readonly string[], options: ForkOptions): ChildProcess {
  let started: ChildProcess;
  try {
    started = fork(path, args, options);
  } catch (cause) {
    throw new NotStartedError(`no process could be started: ${cause instanceof Error ? cause.message : cause}`, {
      cause,
    });
  }
  if (started.pid !== undefined) return started;
  started.on("error", () => {}); // It comes a moment later, and nobody waits for it.
  throw new NotStartedError("no process could be started: the system has no room for one at the moment");
}
