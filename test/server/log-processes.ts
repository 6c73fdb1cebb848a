/** Runs the small process around a log, as it is or under strace, which lets one of its system calls fail or be its last. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join, relative } from "node:path";
import { createInterface } from "node:readline";
import { buildSync } from "esbuild";
import { expect } from "vitest";
import { Log, type LogOptions } from "../../packages/server/src/log/service.ts";
import { NO_WITNESSES } from "../../packages/server/src/log/witnesses.ts";
import { systemClock } from "../../packages/server/src/platform/clock.ts";
import { systemDisk } from "../../packages/server/src/platform/disk.ts";
import { openNoteSigner } from "../../packages/server/src/platform/keys.ts";
import { readFolder } from "../simulation/evidence.ts";

/** The entries that a process was given an index for, by index. */
export type Acknowledged = Map<number, string>;
export type Ended = {
  code: number | null;
  signal: NodeJS.Signals | null;
  stderr: string;
  isCreated: boolean;
  openedSize: number | undefined;
  acknowledged: Acknowledged;
};

/** One system call on a file of the log: the `nth` of its name on that path. */
export type Call = { name: string; path: string; nth: number };
export type Fault = "EIO" | "ENOSPC" | "SIGKILL";

const CALLS = "openat,write,pwrite64,fdatasync,fsync,rename,mkdir,ftruncate,unlink,rmdir,close";

/** Whether system calls can be made to fail here. */
export function canInject(): boolean {
  try {
    execFileSync("strace", ["-qq", "-e", "trace=none", "true"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/** Bundles the process into `folder`, so that it starts at once; gives its path. */
export function bundleLogProcess(folder: string): string {
  const outfile = join(folder, "log-process.mjs");
  buildSync({
    entryPoints: [join(import.meta.dirname, "log-process.ts")],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    conditions: ["@tallystick/source"],
  });
  return outfile;
}

export type LogProcess = { ended: Promise<Ended>; kill(): void };

/** Starts the process on the log in `root`; `onAcknowledged` is told how many indexes it was given so far. */
export function startLogProcess(
  command: readonly string[],
  args: readonly string[],
  onAcknowledged: (count: number) => void = () => {},
): LogProcess {
  const [program = "", ...rest] = [...command, ...args];
  // One thread for files: then its calls come in one order.
  const env = { ...process.env, UV_THREADPOOL_SIZE: "1" };
  const child = spawn(program, rest, { stdio: ["ignore", "pipe", "pipe"], env });
  let stderr = "";
  let isCreated = false;
  let openedSize: number | undefined;
  const acknowledged: Acknowledged = new Map();
  child.stderr.on("data", (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  createInterface({ input: child.stdout }).on("line", (line) => {
    const [, index, entry = ""] = /^([0-9]+) (.*)$/.exec(line) ?? [];
    if (line === "created") isCreated = true;
    else if (line.startsWith("opened ")) openedSize = Number(line.slice("opened ".length));
    else if (index === undefined) throw new Error(`the process says ${JSON.stringify(line)}`);
    else acknowledged.set(Number(index), entry);
    onAcknowledged(acknowledged.size);
  });
  const ended = once(child, "close").then(([code, signal]) => {
    const how = { code: code === null ? null : Number(code), signal: child.signalCode };
    expect([how.signal, signal]).toEqual([signal, how.signal]);
    return { ...how, stderr, isCreated, openedSize, acknowledged };
  });
  return { ended, kill: () => void child.kill("SIGKILL") };
}

/** Every call that the process makes on the files of its log, from the first on. */
export async function listCalls(script: string, root: string): Promise<Call[]> {
  const traces = `${root}-traces`;
  await mkdir(traces);
  const strace = ["strace", "-ff", "-y", "-qq", "-e", `trace=${CALLS}`, "-o", join(traces, "trace")];
  const ended = await startLogProcess([...strace, process.execPath, script], [root, "once"]).ended;
  expect(ended).toMatchObject({ code: 0, stderr: "" });
  const calls = new Map<string, Call>();
  for (const file of await readdir(traces)) {
    // strace counts the calls of each thread by themselves.
    const counts = new Map<string, number>();
    for (const line of (await readFile(join(traces, file), "utf8")).split("\n")) {
      const name = /^[a-z0-9]+(?=\()/.exec(line)?.[0];
      const path = new RegExp(`["<](${root}/log[^">]*)[">]`).exec(line)?.[1];
      if (name === undefined || path === undefined) continue;
      const key = `${name} ${path}`;
      const nth = (counts.get(key) ?? 0) + 1;
      counts.set(key, nth);
      calls.set(`${key} ${nth}`, { name, path: relative(root, path), nth });
    }
  }
  await rm(traces, { recursive: true });
  return [...calls.values()];
}

/** Runs the process on a new log in `root`, where `call` meets `fault`. */
export async function runWithFault(script: string, root: string, call: Call, fault: Fault): Promise<Ended> {
  const how = fault === "SIGKILL" ? `signal=${fault}` : `error=${fault}`;
  const trace = `${root}.trace`;
  const strace = ["strace", "-f", "-qq", "-o", trace, "-P", join(root, call.path), "-e", `trace=${call.name}`];
  const inject = ["-e", `inject=${call.name}:${how}:when=${call.nth}`, process.execPath, script];
  const ended = await startLogProcess([...strace, ...inject], [root, "once"]).ended;
  const said = await readFile(trace, "utf8");
  await rm(trace);
  expect(said, "the call was met").toMatch(fault === "SIGKILL" ? /killed by SIGKILL/ : /\(INJECTED\)/);
  return ended;
}

/** The log in `root`, opened here. */
export async function logOptions(root: string): Promise<LogOptions> {
  return {
    folder: join(root, "log"),
    signer: await openNoteSigner(join(root, "checkpoint.pem"), () => "log.example"),
    disk: systemDisk,
    clock: systemClock,
    formerKeys: [],
    witnessing: NO_WITNESSES,
    restored: false,
    integrateIntervalMs: 3_600_000,
    publishIntervalMs: 3_600_000,
    queueLength: 4_096,
    report: () => {},
  };
}

/** Opens the log again, where all is well, and holds it to what was promised. */
export async function checkOpens(root: string, acknowledged: Acknowledged): Promise<void> {
  const log = await Log.open(await logOptions(root));
  const text = new TextDecoder();
  for (const [index, entry] of acknowledged)
    expect(text.decode(await log.tree.readEntry(index)), `entry ${index}`).toBe(entry);
  const { size } = log.head;
  expect(await log.append(new Uint8Array(1)), "it goes on where it ended").toBe(size);
  await log.close();
}

/** Holds each tile and bundle on disk to the checkpoint beside them. */
export async function checkFiles(root: string): Promise<void> {
  const folder = join(root, "log");
  const found = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = found.filter((one) => one.isFile()).map((one) => join(one.parentPath, one.name));
  const files = await Promise.all(paths.map(async (path) => [path, await readFile(path)] as const));
  expect(readFolder(new Map(files), folder)).toBeDefined();
}
