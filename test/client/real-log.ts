/** A log that a whole network wrote: calls of both custodies, reliances, acknowledgements, epochs, and what it published. */
import { join } from "node:path";
import { createClient, createInputs, createKey } from "@tallystick/client";
import { type LogTrust, parseBundle, parseCheckpoint, parseHex, tilePath, utf8 } from "@tallystick/protocol";
import { creditInput, startNetwork, type TestNetwork } from "../network.ts";
import { type LogFiles, readLogFiles } from "./log-files.ts";

export type RealLog = {
  files: LogFiles;
  /** A checkpoint from when the log was about half as long, and the figures published then. */
  earlier: { checkpoint: Uint8Array; usage: unknown };
  usage: unknown;
  vkey: string;
  trust: LogTrust;
  size: number;
  /** All entries in order, read straight from the bundles. */
  entries: Uint8Array[];
};

const MODEL = "statlog/credit-default";
const AT_ONCE = 25;

/** Over 600 entries: two full tiles, a partial one with older partial ones beside it, and a tile of level 1. */
export async function makeRealLog(): Promise<RealLog> {
  await using network = await startNetwork({ publishIntervalMs: 1 });
  await useByKey(network);
  await network.closeEpoch();
  const earlier = { checkpoint: await bytesAt(network, "/checkpoint"), usage: await usageOf(network) };
  await useBySdk(network);
  await network.closeEpoch();
  await network.infer(MODEL, [creditInput()]); // What no epoch covers yet.
  await network.idle();
  const files = await readLogFiles(join(network.data, "log", "tiles"));
  const { size } = parseCheckpoint(files.get("checkpoint") ?? new Uint8Array(0));
  const { logVkey: vkey, trust } = network;
  return { files, earlier, usage: await usageOf(network), vkey, trust, size, entries: entriesOf(files, size) };
}

/** Custody `gateway`: 290 calls, some of them excluded, some acted on, in two epochs. */
async function useByKey(network: TestNetwork): Promise<void> {
  const traffic = ["production", "production", "test", "probe"];
  const receipts: string[] = [];
  for (let i = 0; i < 290; i += AT_ONCE) {
    const calls = Array.from({ length: Math.min(AT_ONCE, 290 - i) }, async (_, j) => {
      const parameters = { traffic: traffic[j % 4], decision: (i + j).toString(16).padStart(32, "0") };
      const { receiptId } = await network.infer(MODEL, [creditInput(1_000 + i + j)], { parameters });
      if (j % 4 < 2) receipts.push(receiptId ?? "");
    });
    await Promise.all(calls);
    await network.idle();
    if (i === 4 * AT_ONCE) await network.closeEpoch();
  }
  const { url } = network;
  const client = createClient({ url });
  const { signer } = await createKey();
  for (const receipt of receipts.slice(0, 5)) await client.rely(receipt, signer, "a-relier");
}

/** Custody `account`: 300 calls in one session, some acknowledged, three of them behind one decision that is acted on. */
async function useBySdk({ url, apiKey, idle }: TestNetwork): Promise<void> {
  const client = createClient({ url, apiKey });
  const model = await client.model(MODEL);
  const row = JSON.stringify(creditInput().data);
  const decision = parseHex("d".repeat(32));
  if (decision === undefined) throw new Error("that is hex");
  const ids: string[] = [];
  for (let i = 0; i < 300; i += AT_ONCE) {
    const calls = Array.from({ length: AT_ONCE }, (_, j) =>
      client.infer(model, createInputs(model.forms, utf8(row)), i === 0 && j < 3 ? { decision } : {}),
    );
    ids.push(...(await Promise.all(calls)).map(({ receiptId }) => receiptId));
    await idle();
  }
  for (const id of ids.slice(0, 10)) await client.acknowledge(id);
  for (const id of ids.slice(0, 3)) await client.rely(id, (await createKey()).signer, "another-relier");
}

async function bytesAt(network: TestNetwork, path: string): Promise<Uint8Array> {
  return new Uint8Array(await (await network.fetch(path)).arrayBuffer());
}

async function usageOf(network: TestNetwork): Promise<unknown> {
  return (await network.fetch("/v1/usage")).json();
}

function entriesOf(files: LogFiles, size: number): Uint8Array[] {
  const entries: Uint8Array[] = [];
  while (entries.length < size) {
    const width = Math.min(256, size - entries.length);
    const bundle = files.get(tilePath({ level: "entries", index: entries.length / 256, width }));
    entries.push(...parseBundle(bundle ?? new Uint8Array(0), width));
  }
  return entries;
}
