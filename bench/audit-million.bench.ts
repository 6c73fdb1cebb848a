/** `tally audit` of a million receipts, as a user runs it: its time, its memory, and its rate beside that of raw verification. */
import { mkdtemp, rm } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { rawRate } from "./audit.bench.ts";
import { runAudit } from "./audit-run.ts";
import { writeLongLog } from "./long-log.ts";
import type { Row } from "./ratio.ts";

const RECEIPTS = 1_000_000;

export async function benchAuditMillion(): Promise<Row[]> {
  const folder = await mkdtemp(join(tmpdir(), "tallystick-bench-"));
  const workerCount = availableParallelism();
  try {
    const key = await writeLongLog(join(folder, "log"), RECEIPTS, workerCount);
    const before = await rawRate(workerCount);
    const run = await runAudit(join(folder, "log"), key, join(folder, "home"), RECEIPTS);
    const raw = (before + (await rawRate(workerCount))) / 2;
    const rate = run.signatureCount / run.seconds;
    const baseline = `raw P-256 verification before and after, ${workerCount} workers`;
    const of = `an audit of ${RECEIPTS} receipts`;
    return [
      { name: of, value: run.seconds / 60, unit: "minutes", bound: { atMost: 5 } },
      { name: `peak memory of ${of}`, value: run.peakBytes / 1e9, unit: "GB", bound: { atMost: 2 } },
      { name: `signatures/s in ${of}, of baseline`, value: rate / raw, unit: "×", bound: { atLeast: 0.8 }, baseline },
      { name: `signatures/s in ${of}`, value: rate, unit: "/s" },
      { name: "raw signatures/s", value: raw, unit: "/s" },
    ];
  } finally {
    await rm(folder, { recursive: true });
  }
}
