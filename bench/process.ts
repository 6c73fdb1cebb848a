/** Processes under measurement: servers, the load, and the processor time they took. */
import { type ChildProcess, fork, spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import type { Load, LoadResult } from "./load.ts";

const ROOT = join(import.meta.dirname, "..");
const { scripts }: { scripts: { start: string } } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
/** What `npm start` runs: Node's flags and the command. */
const [, ...START] = scripts.start.split(" ");
const FLAGS = START.filter((word) => word.startsWith("--"));
const TSX = ["--import", "tsx", "--conditions=@tallystick/source"];
/** Clock ticks a second in /proc: what Linux reports to every program. */
const TICKS = 100;

export type Server = {
  url: string;
  headers: Record<string, string>;
  cpuMs(): number;
  residentBytes(): number;
  close(): Promise<void>;
};

/** Processor time of a process and its threads so far, milliseconds. Linux. */
export function cpuOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / TICKS;
}

/** Resident memory of a process, bytes. Linux. */
function residentOf(pid: number): number {
  return 1024 * Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
}

export function serverOf(child: ChildProcess, url: string, headers: Record<string, string>): Server {
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  return {
    url,
    headers: { "content-type": "application/json", ...headers },
    cpuMs: () => cpuOf(child.pid ?? 0),
    residentBytes: () => residentOf(child.pid ?? 0),
    async close() {
      child.kill("SIGTERM");
      await ended;
    },
  };
}

/** A server in a process of its own: `empty`, `unreceipted`, `upstream` or `relay`. */
export async function startBaseline(name: string, args: string[] = []): Promise<Server> {
  const child = fork(join(import.meta.dirname, `serve-${name}.ts`), args, { execArgv: [...FLAGS, ...TSX] });
  const { port, apiKey = "" } = await new Promise<{ port: number; apiKey?: string }>((resolve) =>
    child.once("message", (address: { port: number }) => resolve(address)),
  );
  return serverOf(child, `http://127.0.0.1:${port}`, { authorization: `Bearer ${apiKey}` });
}

/** A whole network, in a process of its own, on a data folder that goes with it. Its log of requests is in there as well. */
export async function startNetwork(args: string[] = []): Promise<Server & { data: string }> {
  const data = await mkdtemp(join(tmpdir(), "tallystick-bench-"));
  const said = join(data, "..", `${basename(data)}.log`);
  const log = openSync(said, "w");
  const child = spawn(process.execPath, [...START, "--port", "0", "--data", data, "--json", ...args], {
    cwd: ROOT,
    stdio: ["ignore", "pipe", log],
  });
  closeSync(log);
  const line = await new Promise<string>((resolve, reject) => {
    child.stdout?.once("data", (bytes: Buffer) => resolve(bytes.toString()));
    child.once("exit", () => reject(new Error(readFileSync(said, "utf8"))));
  });
  const { url, apiKey }: { url: string; apiKey: string } = JSON.parse(line);
  const server = serverOf(child, url, { authorization: `Bearer ${apiKey}` });
  return {
    ...server,
    data,
    async close() {
      await server.close();
      await rm(data, { recursive: true });
      await rm(said);
    },
  };
}

/** Runs a load in a process of its own. */
export function loadFrom(load: Load): Promise<LoadResult> {
  const child = fork(join(import.meta.dirname, "load.ts"), [JSON.stringify(load)], { execArgv: TSX });
  return new Promise((resolve, reject) => {
    child.once("message", (result: LoadResult | { error: string }) => {
      child.disconnect();
      if ("error" in result) reject(new Error(result.error));
      else resolve(result);
    });
    child.once("exit", (code) => code !== 0 && reject(new Error(`the load ended with ${code}`)));
  });
}
