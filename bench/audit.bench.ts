/** An audit of 100,000 receipts against the raw rate of P-256 verification with as many workers, in turn. */
import { mkdtemp, rm } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { auditLog } from "@tallystick/client";
import { trustInLog } from "@tallystick/protocol";
import { openFolderSource } from "../packages/client/src/cli/folder-source.ts";
import { openSignaturePool } from "../packages/client/src/cli/signature-pool.ts";
import { writeBenchLog } from "./bench-log.ts";
import { median, type Row } from "./ratio.ts";

const RECEIPTS = 100_000;
const ROUNDS = 3;
const RAW_MS = 4_000;

async function rawRate(workerCount: number): Promise<number> {
  const rates = Array.from({ length: workerCount }, () => {
    const worker = new Worker(new URL("./raw-verify.mjs", import.meta.url), { workerData: { durationMs: RAW_MS } });
    return new Promise<number>((resolve, reject) => worker.once("message", resolve).once("error", reject));
  });
  return (await Promise.all(rates)).reduce((sum, rate) => sum + rate, 0);
}

export async function benchAudit(): Promise<Row[]> {
  const folder = await mkdtemp(join(tmpdir(), "tallystick-bench-"));
  const workerCount = availableParallelism();
  const ratios: number[] = [];
  const rates: number[] = [];
  try {
    const { key, largestReceiptBytes } = await writeBenchLog(folder, RECEIPTS);
    for (let i = 0; i < ROUNDS; i++) {
      const raw = await rawRate(workerCount);
      const pool = openSignaturePool(workerCount);
      const started = performance.now();
      const audit = await auditLog(await openFolderSource(folder), {
        trust: trustInLog(key),
        verifyAll: pool.verifyAll,
      });
      const rate = (1000 * audit.signatureCount) / (performance.now() - started);
      await pool.close();
      if (audit.findings.length > 0 || audit.figures.totals.valid !== RECEIPTS)
        throw new Error(`the audit is off: ${JSON.stringify(audit.findings.slice(0, 3))}`);
      rates.push(rate);
      ratios.push(rate / raw);
    }
    const baseline = `raw P-256 verification, ${workerCount} workers`;
    return [
      {
        name: `signatures/s in an audit of ${RECEIPTS} receipts, of baseline`,
        value: median(ratios),
        unit: "×",
        bound: { atLeast: 0.5 },
        baseline,
      },
      { name: "signatures/s in an audit", value: median(rates), unit: "/s" },
      { name: "a receipt entry", value: largestReceiptBytes, unit: "bytes", bound: { atMost: 1024 } },
    ];
  } finally {
    await rm(folder, { recursive: true });
  }
}
