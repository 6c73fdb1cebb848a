/** `tallyd` as an operator runs it: a process of its own. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { expect } from "vitest";
import { creditInput } from "../network.ts";

export type Ready = { url: string; apiKey: string; data: string; origin: string; logVkey: string };
export type Ended = { code: number | null; signal: NodeJS.Signals | null; stderr: string };

export type Daemon = AsyncDisposable & {
  process: ChildProcess;
  /** What it prints when it is ready. Rejects where it ends before. */
  ready: Promise<Ready>;
  ended: Promise<Ended>;
  stop(signal?: NodeJS.Signals): Promise<Ended>;
  /** What it said of the disk so far, which `stderr` leaves out: how full this machine's is, is no test's to say. */
  diskWarnings(): string[];
};

const DISK_WARNING = /^\{"event":"disk nearly full".*\}\n/gm;
const TALLYD = join(import.meta.dirname, "..", "..", "packages", "server", "bin", "tallyd.js");

/** Starts `tallyd` on any port. Where `command` is given, the daemon is its last arguments. */
export function startDaemon(
  data: string,
  models: string,
  { args = [], command = [], detached = false }: { args?: string[]; command?: string[]; detached?: boolean } = {},
): Daemon {
  const line = [...command, process.execPath, TALLYD, "--port", "0", "--data", data, "--models", models];
  const [program = "", ...rest] = [...line, "--workers", "1", "--json", "--log-level", "warn", ...args];
  const child = spawn(program, rest, { stdio: ["ignore", "pipe", "pipe"], detached });
  let stderr = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  const ended = once(child, "close").then(
    ([code, signal]) => ({ code, signal, stderr: stderr.replace(DISK_WARNING, "") }) as Ended,
  );
  const ready = Promise.race([
    once(createInterface({ input: child.stdout! }), "line").then(([text]) => JSON.parse(String(text)) as Ready),
    ended.then(({ stderr: said }) => Promise.reject(new Error(`tallyd ended: ${said}`))),
  ]);
  ready.catch(() => {}); // Some tests only want to see it end.
  const stop = (signal: NodeJS.Signals = "SIGTERM") => {
    child.kill(signal);
    return ended;
  };
  return {
    process: child,
    ready,
    ended,
    stop,
    diskWarnings: () => stderr.match(DISK_WARNING) ?? [],
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) await stop("SIGKILL");
    },
  };
}

/** A call of the small model that these tests publish. */
export function callDaemon({ url, apiKey }: Ready, amount?: number): Promise<Response> {
  const headers = { authorization: `Bearer ${apiKey}` };
  const body = JSON.stringify({ inputs: [creditInput(amount)] });
  return fetch(`${url}/v2/models/statlog/credit-default/infer`, { method: "POST", headers, body });
}

/** Runs a network on `data`, makes a call, and stops it. */
export async function runOnce(data: string, models: string): Promise<Ready> {
  await using daemon = startDaemon(data, models);
  const ready = await daemon.ready;
  expect((await callDaemon(ready)).status).toBe(200);
  expect(await daemon.stop("SIGTERM")).toEqual({ code: 0, signal: null, stderr: "" });
  return ready;
}

/** That it ended because it could not start, with one sentence that has `words` in it, behind events if there were any. */
export function expectOneSentence({ code, stderr }: Ended, words: RegExp): void {
  expect(stderr).toMatch(words);
  expect(stderr).toMatch(/^(\{.*\}\n)*tallyd: [^\n]+\n$/);
  expect(code).toBe(1);
}
