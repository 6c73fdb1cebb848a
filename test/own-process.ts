/** Scripts in a process of their own: what a whole process may run out of, its neighbours in a test do not lack. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";

const STARVE = `
  import { closeSync, openSync } from "node:fs";
  /** Takes every descriptor that is left; gives what gives them back. */
  function starve() {
    const taken = [];
    try { for (;;) taken.push(openSync("/dev/null")); } catch {}
    return () => taken.forEach((fd) => closeSync(fd));
  }
  const say = (value) => console.log(JSON.stringify(value));
`;

/**
 * What the script says at its end, which has `starve` and `say`. Rejects where it fails, or is killed: it is a group of its own,
 * so that whoever kills its whole group kills it alone.
 */
export async function saidBy(script: string): Promise<unknown> {
  const args = ["-c", 'ulimit -n 200; exec "$0" --input-type=module -e "$1"', process.execPath, STARVE + script];
  const child = spawn("/bin/sh", args, { detached: true, stdio: ["ignore", "pipe", "pipe"] });
  const [out, err, [code, signal]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  if (code !== 0) throw new Error(`the script ended with ${code ?? signal}: ${err}`);
  return JSON.parse(out);
}

/** For an import in a script: a compiled module. */
export const compiled = (path: string): string => JSON.stringify(new URL(`../packages/${path}`, import.meta.url).href);
