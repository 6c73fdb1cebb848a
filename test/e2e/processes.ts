/** The commands as a person runs them: from `bin`, each in a process of its own. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";

const ROOT = join(import.meta.dirname, "..", "..");
const TALLY = join(ROOT, "packages", "client", "bin", "tally.js");
const { scripts } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { scripts: { start: string } };
/** What `npm start` gives Node, once everything is built. */
const START = scripts.start.split(" ").slice(1);

export type Ran = { status: number | null; stdout: string; stderr: string };

/** Runs `tally` in `cwd`, with a home of its own there and nothing else of this machine's. */
export async function runTally(
  args: readonly string[],
  cwd: string,
  env: NodeJS.ProcessEnv = {},
  stdin = "",
): Promise<Ran> {
  const child = spawn(process.execPath, [TALLY, ...args], {
    cwd,
    env: { PATH: process.env.PATH, HOME: cwd, TALLYSTICK_HOME: join(cwd, "home"), ...env },
  });
  child.stdin.end(stdin);
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  return { status: child.exitCode, stdout, stderr };
}

export type Ready = { url: string; apiKey: string; data: string; origin: string; logVkey: string };
export type Tallyd = AsyncDisposable & { ready: Ready; stop(): Promise<number | null> };

/** Starts `tallyd` as `npm start` does, on any port, and waits for its one line. */
export async function startTallyd(data: string, more: readonly string[] = []): Promise<Tallyd> {
  const args = [...START, "--port", "0", "--data", data, "--json", ...more];
  const child = spawn(process.execPath, args, { cwd: ROOT, stdio: ["ignore", "pipe", "pipe"] });
  const complaints = text(child.stderr);
  const lines = createInterface({ input: child.stdout });
  const [line] = await Promise.race([once(lines, "line"), once(child, "exit").then(() => [])]);
  if (line === undefined) throw new Error(`tallyd did not start: ${await complaints}`);
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill("SIGTERM");
      await once(child, "exit");
    }
    return child.exitCode;
  };
  return { ready: JSON.parse(line) as Ready, stop, [Symbol.asyncDispose]: async () => void (await stop()) };
}
