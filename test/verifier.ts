/** A verifier on a machine of its own, in this process: with a data folder and a key of its own, over real HTTP. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { createSystemRandom, openVerifierRole, systemClock, type VerifierRoleOptions } from "@tallystick/server";
import { temporaryFolder } from "./folder.ts";
import type { Reported, TestNetwork } from "./network.ts";

export type TestVerifier = AsyncDisposable & {
  readonly id: string;
  readonly data: string;
  readonly reported: Reported[];
  idle(): Promise<void>;
  stop(): Promise<void>;
};

/** Starts a verifier for `network`, and has it begin. */
export async function startVerifier(
  network: TestNetwork,
  tokenPath: string,
  settings: Partial<Omit<VerifierRoleOptions, "report">> = {},
): Promise<TestVerifier> {
  const temporary = await temporaryFolder();
  const data = settings.data ?? join(temporary.path, "data");
  const reported: Reported[] = [];
  const verifier = await openVerifierRole({
    gateway: network.url,
    token: (await readFile(tokenPath, "utf8")).trim(),
    trust: network.trust,
    data,
    keyPath: join(data, "keys", "verifier.pem"),
    name: undefined,
    keptBytes: 64 * 1024 * 1024,
    limits: { cpuShare: 1 },
    clock: systemClock,
    random: createSystemRandom(),
    logIntervalMs: 20,
    checkIntervalMs: 20,
    ...settings,
    report: (event, detail) => void reported.push({ event, detail }),
  });
  let isStopped = false;
  async function stop(): Promise<void> {
    if (isStopped) return;
    isStopped = true;
    await verifier.close();
  }
  try {
    await verifier.start();
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    ...{ id: verifier.id, data, reported, stop, idle: verifier.idle },
    async [Symbol.asyncDispose]() {
      await stop();
      await temporary[Symbol.asyncDispose]();
    },
  };
}
