import { auditLog, fetchSource, systemEdges } from "@tallystick/client";
import { parseReceiptFile, verifyReceiptFile } from "@tallystick/protocol";
import { expect, test } from "vitest";
import { creditInput, startNetwork } from "../network.ts";

const CREDIT = "statlog/credit-default";

test("while the log grows past many tiles, every receipt is served and verifies, and an audit finds nothing", async () => {
  await using network = await startNetwork();
  const ids: string[] = [];
  let running = true;
  const call = async (amount: number) => {
    const { status, receiptId } = await network.infer(CREDIT, [creditInput(amount)]);
    expect(status).toBe(200);
    ids.push(receiptId ?? "");
  };
  const lanes = Array.from({ length: 4 }, async (_, lane) => {
    for (let i = 0; running; i++) await call(lane * 1e6 + i);
  });
  const read = async () => {
    for (let at = 0; at < 600; at++) {
      while (ids.length <= at) await call(-at);
      const answer = await network.fetch(`/v1/receipts/${ids[at]}`);
      const file = new Uint8Array(await answer.arrayBuffer());
      expect(answer.status, `${ids[at]}: ${Buffer.from(file)}`).toBe(200);
      if (at % 20 > 0) continue;
      const covered = parseReceiptFile(file).parts.receipt.proof !== undefined;
      expect((await verifyReceiptFile(file, network.trust)).outcome).toBe(covered ? "verified" : "inconclusive");
    }
  };
  const audit = async () => {
    while (running) {
      const { findings } = await auditLog(fetchSource(network.url, systemEdges), { trust: network.trust });
      expect(findings).toEqual([]);
    }
  };
  const lanesAndAudit = Promise.all([audit(), ...lanes]);
  await read().finally(() => {
    running = false;
  });
  await lanesAndAudit;
  expect(network.reported).toEqual([]);
  expect(await network.audit()).toMatchObject({ findings: [], differences: [] });
});
