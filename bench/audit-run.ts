/** `tally audit` of a log in a folder as a user runs it, from what is built: its time, its memory and what it says. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { encodeNoteKey, type NoteKey } from "@tallystick/protocol";

const TALLY = join(import.meta.dirname, "..", "packages", "client", "bin", "tally.js");
const SAMPLE_MS = 200;

export type AuditRun = { seconds: number; peakBytes: number; signatureCount: number };

/** Runs the command on the log in `folder`, from its start to its end; Linux says how much memory it took at most. */
export async function runAudit(folder: string, key: NoteKey, home: string, receiptCount: number): Promise<AuditRun> {
  const started = performance.now();
  const child = spawn(process.execPath, [TALLY, "audit", folder, "--vkey", encodeNoteKey(key), "--json"], {
    env: { ...process.env, TALLYSTICK_HOME: home },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let peakBytes = 0;
  const sampling = setInterval(() => {
    const status = readFileSync(`/proc/${child.pid}/status`, "utf8");
    peakBytes = Math.max(peakBytes, 1024 * Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0));
  }, SAMPLE_MS);
  const parts: Buffer[] = [];
  child.stdout.on("data", (bytes: Buffer) => parts.push(bytes));
  child.once("exit", () => clearInterval(sampling));
  const [exit] = await once(child, "close");
  const seconds = (performance.now() - started) / 1_000;
  const { signatureCount, figures } = JSON.parse(Buffer.concat(parts).toString());
  if (exit !== 0 || figures.totals.valid !== receiptCount)
    throw new Error(`the audit is off: exit ${exit}, ${figures.totals.valid} valid`);
  return { seconds, peakBytes, signatureCount };
}
