import { auditLog, fetchSource, systemEdges } from "@tallystick/client";
import { parseReceiptFile, verifyReceiptFile } from "@tallystick/protocol";
import { expect, test } from "vitest";
import { creditInput, startNetwork } from "../network.ts";

const CREDIT = "statlog/credit-default";
/** Five bundles' worth. */
const CALLS = 1_300;

test("while the log grows past many tiles, every receipt is served at once and verifies, and no audit finds anything", async () => {
  await using network = await startNetwork();
  const ids: string[] = [];
  const isDone = () => ids.length >= CALLS;
  const call = async (_: unknown, lane: number) => {
    for (let i = 0; !isDone(); i++) {
      const { status, receiptId } = await network.infer(CREDIT, [creditInput(lane * 1e6 + i)]);
      expect(status).toBe(200);
      ids.push(receiptId ?? "");
    }
  };
  const read = async () => {
    for (let i = 0; !isDone(); i++) {
      const id = ids.at(-1 - (i % 5));
      if (id === undefined) await network.fetch("/v2/health/live");
      else await readReceipt(id, i % 10 === 0);
    }
  };
  const readReceipt = async (id: string, verified: boolean) => {
    const answer = await network.fetch(`/v1/receipts/${id}`);
    const file = new Uint8Array(await answer.arrayBuffer());
    expect(answer.status, `${id}: ${Buffer.from(file)}`).toBe(200);
    if (!verified) return;
    const isCovered = parseReceiptFile(file).parts.receipt.proof !== undefined;
    expect((await verifyReceiptFile(file, network.trust)).outcome).toBe(isCovered ? "verified" : "inconclusive");
  };
  // Signatures are looked at once, at the end.
  const verifyAll = async (jobs: readonly unknown[]) => jobs.map(() => true);
  const audit = async () => {
    while (!isDone()) {
      const source = fetchSource(network.url, systemEdges);
      expect(await auditLog(source, { trust: network.trust, verifyAll })).toMatchObject({ findings: [] });
    }
  };
  await Promise.all([...Array.from({ length: 8 }, call), read(), read(), audit()]);
  expect(network.reported).toEqual([]);
  expect(await network.audit()).toMatchObject({ findings: [], differences: [] });
}, 240_000);
