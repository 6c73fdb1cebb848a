/** `tally audit` of 100,000 receipts, as a user runs it, between two looks at the raw rate of P-256 verification. */
import { mkdtemp, rm } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { runAudit } from "./audit-run.ts";
import { writeBenchLog } from "./bench-log.ts";
import { median, type Row } from "./ratio.ts";

const RECEIPTS = 100_000;
const ROUNDS = 3;
const RAW_MS = 4_000;

/** Signatures a second that so many workers verify when they do nothing else. */
export async function rawRate(workerCount: number): Promise<number> {
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
    const { key, largestReceiptBytes } = await writeBenchLog(join(folder, "log"), RECEIPTS);
    let before = await rawRate(workerCount);
    for (let i = 0; i < ROUNDS; i++) {
      const { signatureCount, seconds } = await runAudit(join(folder, "log"), key, join(folder, "home"), RECEIPTS);
      const after = await rawRate(workerCount);
      rates.push(signatureCount / seconds);
      ratios.push(signatureCount / seconds / ((before + after) / 2));
      before = after;
    }
    const baseline = `raw P-256 verification before and after, ${workerCount} workers`;
    return [
      {
        name: `signatures/s in an audit of ${RECEIPTS} receipts, of baseline`,
        value: median(ratios),
        unit: "×",
        bound: { atLeast: 0.8 },
        baseline,
      },
      { name: "signatures/s in an audit", value: median(rates), unit: "/s" },
      { name: "a receipt entry", value: largestReceiptBytes, unit: "bytes", bound: { atMost: 1024 } },
    ];
  } finally {
    await rm(folder, { recursive: true });
  }
}
