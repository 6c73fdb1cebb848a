/** A node on a machine of its own, in this process: with a data folder, a key and a port of its own, over real HTTP. */
import { mkdtemp, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createSystemRandom, listen, type NodeRoleOptions, openNodeRole, systemClock } from "@tallystick/server";
import { temporaryFolder } from "./folder.ts";
import type { Reported, TestNetwork } from "./network.ts";

export type NodeSettings = Partial<Omit<NodeRoleOptions, "report">> & { port?: number };

export type TestNode = AsyncDisposable & {
  readonly id: string;
  readonly url: string;
  readonly data: string;
  readonly reported: Reported[];
  drain(): Promise<void>;
  stop(): Promise<void>;
};

/** The file of the token that a network lets nodes in by: given to `startNetwork`, which makes it. */
export async function tokenFile(): Promise<string> {
  return join(await mkdtemp(join(tmpdir(), "tallystick-token-")), "node-token");
}

/** Starts a node for `network`, and has it take calls. */
export async function startNode(
  network: TestNetwork,
  tokenPath: string,
  { port = 0, ...settings }: NodeSettings = {},
): Promise<TestNode> {
  const temporary = await temporaryFolder();
  const data = settings.data ?? join(temporary.path, "data");
  const reported: Reported[] = [];
  const node = await openNodeRole({
    gateway: network.url,
    token: (await readFile(tokenPath, "utf8")).trim(),
    trust: network.trust,
    data,
    keyPath: join(data, "keys", "node.pem"),
    name: undefined,
    workerCount: 1,
    priceFloorAtomic: 0n,
    modelSizeMostBytes: 64 * 1024 * 1024,
    keptBytes: 64 * 1024 * 1024,
    clock: systemClock,
    random: createSystemRandom(),
    logIntervalMs: 20,
    deadlineMs: 20_000,
    generationDeadlineMs: 20_000,
    ...settings,
    report: (event, detail) => void reported.push({ event, detail }),
  });
  const listening = await listen(node, { host: "127.0.0.1", port });
  let isStopped = false;
  async function stop(): Promise<void> {
    if (isStopped) return;
    isStopped = true;
    await listening.close();
    await node.close();
  }
  try {
    await node.start(listening.url);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    ...{ id: node.id, url: listening.url, data, reported, stop },
    drain: () => node.drain(),
    async [Symbol.asyncDispose]() {
      await stop();
      await temporary[Symbol.asyncDispose]();
    },
  };
}
