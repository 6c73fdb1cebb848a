import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { auditLog, createClient, fetchSource, systemEdges } from "@tallystick/client";
import { parseEntry, parseNoteKey, trustInLog, verifyReceiptFile } from "@tallystick/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { copyModels, creditInput, tensorOf } from "../network.ts";
import { callDaemon, type Daemon, type Ready, startDaemon } from "./daemon.ts";
import { entriesAt, receiptIdsOf } from "./entries.ts";

const CONCURRENCY = 1_000;

let root: string;
let models: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "killed-"));
  models = await copyModels(["credit-default"], join(root, "models"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

/** Keeps a thousand calls under way, half of them signed by a session key of their own, until the daemon is gone. */
async function callUntilKilled(ready: Ready, daemon: Daemon, receiptCount: number): Promise<string[]> {
  const held: string[] = [];
  const client = createClient(ready);
  const model = await client.model("statlog/credit-default");
  let killed = false;
  const hold = (receiptId: string) => {
    held.push(receiptId);
    if (held.length !== receiptCount) return;
    killed = true;
    process.kill(-(daemon.process.pid ?? 0), "SIGKILL"); // The whole tree: the daemon leads a group of its own.
  };
  const byKey = async (amount: number) => {
    const answer = await callDaemon(ready, amount);
    if (answer.status !== 200) throw new Error(await answer.text());
    await answer.arrayBuffer();
    hold(answer.headers.get("x-receipt-id") ?? "");
  };
  const signed = async (amount: number) => hold((await client.infer(model, [tensorOf(creditInput(amount))])).receiptId);
  const lane = async (_: unknown, i: number) => {
    for (let n = 0; !killed; n++) await (i % 2 === 0 ? byKey(i * 1e4 + n) : signed(i * 1e4 + n));
  };
  const lanes = await Promise.allSettled(Array.from({ length: CONCURRENCY }, lane));
  const failures = lanes.filter((one) => one.status === "rejected");
  expect(failures.length, "calls were under way when it was killed").toBeGreaterThan(0);
  expect(await daemon.ended).toMatchObject({ signal: "SIGKILL" });
  return held;
}

test("killed with its whole tree in the middle of a thousand calls, it has lost no receipt that a client holds, three times over", async () => {
  const data = join(root, "data");
  const held: string[] = [];
  for (const receiptCount of [1, 300, 1_100]) {
    await using daemon = startDaemon(data, models, { detached: true });
    const ready = await daemon.ready;
    expect((await callDaemon(ready)).status).toBe(200); // The model is loaded.
    held.push(...(await callUntilKilled(ready, daemon, receiptCount)));
  }
  expect(new Set(held).size).toBe(held.length);
  expect(held.length).toBeGreaterThan(1_400);

  await using daemon = startDaemon(data, models);
  const { url, logVkey } = await daemon.ready;
  const published: unknown = await (await fetch(`${url}/v1/usage`)).json();
  const trust = trustInLog(parseNoteKey(logVkey));
  const audit = await auditLog(fetchSource(url, systemEdges), { trust, published });
  expect(audit).toMatchObject({ findings: [], differences: [] });
  expect(audit.figures.totals.valid).toBeGreaterThanOrEqual(held.length);
  expect(audit.figures.exclusions).toEqual({});
  const entries = await entriesAt(url);
  const logged = receiptIdsOf(entries);
  expect(held.filter((receiptId) => !logged.has(receiptId))).toEqual([]);
  const sequences = entries.map(parseEntry).flatMap(({ kind, says }) => (kind === "receipt" ? [says.sequence] : []));
  expect(sequences, "the node's receipts count from 0 without a gap").toEqual(sequences.map((_, i) => i));
  const file = new Uint8Array(await (await fetch(`${url}/v1/receipts/${held.at(-1)}`)).arrayBuffer());
  expect((await verifyReceiptFile(file, trust)).outcome).toBe("verified");
  expect(await daemon.stop()).toMatchObject({ code: 0, stderr: "" });
}, 240_000);
