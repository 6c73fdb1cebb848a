/** Every system call of a log, met by a fault one at a time; and what must be true of the log after each. */
import { cp, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { Log } from "../../packages/server/src/log/service.ts";
import {
  bundleLogProcess,
  type Call,
  checkFiles,
  checkOpens,
  type Fault,
  listCalls,
  logOptions,
  runWithFault,
} from "./log-processes.ts";

/** A sentence of its own, or the system's that names the file. Node.js takes a folder that cannot be made for one that is not there. */
const SENTENCE = /^log: (the log cannot write: its operator must look at the disk|E(IO|NOSPC|NOENT): [^\n]+)\n$/;

export type Faults = AsyncDisposable & {
  /** What the log's process asks of the system about the log's files, in order. */
  calls: readonly Call[];
  /** Runs the process with the fault, and then opens its log again. */
  meet(call: Call, fault: Fault): Promise<void>;
};

export async function openFaults(): Promise<Faults> {
  const folder = await mkdtemp(join(tmpdir(), "faults-"));
  const script = bundleLogProcess(folder);
  /** A new log's folder: the key is there, the log not yet. */
  const createRoot = async (name: string) => {
    const root = join(folder, name);
    await cp(join(folder, "empty"), root, { recursive: true });
    return root;
  };
  await mkdir(join(folder, "empty"));
  await logOptions(join(folder, "empty"));
  const calls = await listCalls(script, await createRoot("listed"));
  return {
    calls,
    async meet(call, fault) {
      const root = await createRoot("met");
      try {
        await meet(script, root, call, fault);
      } catch (cause) {
        throw new Error(`${fault} at ${call.name} ${call.path}, ${call.nth}`, { cause });
      }
      await rm(root, { recursive: true });
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  };
}

async function meet(script: string, root: string, call: Call, fault: Fault): Promise<void> {
  const { code, stderr, isCreated, acknowledged } = await runWithFault(script, root, call, fault);
  if (fault === "SIGKILL") expect(code, "strace ends as what it traced did").toBe(null);
  else if (code === 0) expect([stderr, acknowledged.size]).toEqual(["", 261]);
  else expect([code, stderr]).toEqual([1, expect.stringMatching(SENTENCE)]);
  if (!isCreated) await Log.create(await logOptions(root)); // What was cut short is begun again, as a first start is.
  await checkOpens(root, acknowledged);
  await checkFiles(root);
}
