/** What appraising hardware evidence takes: the vendors' own, with all of its collateral, at its own time. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { type Collateral, encodeEvidence, parseHex, type Technology } from "@tallystick/protocol";
import { parsePemChain } from "../packages/protocol/src/attest/x509.ts";
import { vectorsOf } from "../test/vectors-dir.ts";
import { median, type Row } from "./ratio.ts";

const ROUNDS = 15;
const COLD_MOST_MS = 150;

export async function benchAttestation(): Promise<Row[]> {
  const folder = vectorsOf("attestation");
  if (folder === undefined) {
    console.log("attestation: skipped: no vectors");
    return [];
  }
  const rows: Row[] = [];
  for (const { technology, ...work } of evidenceIn(folder)) {
    const times: number[][] = [];
    for (let i = 0; i < ROUNDS; i++) times.push(await timesOf(work));
    const [cold = [], warm = []] = [0, 1].map((i) => times.map((pair) => pair[i] ?? Number.NaN));
    rows.push({ name: `${technology}, cold`, value: median(cold), unit: "ms", bound: { atMost: COLD_MOST_MS } });
    rows.push({ name: `${technology}, again`, value: median(warm), unit: "ms" });
  }
  return rows;
}

/** Evidence, when to appraise it, and the one thing that is wrong with it. */
type Work = { archived: Uint8Array; nowSeconds: number; failure?: string };

/** Milliseconds of the first and of the second appraisal in an isolate of their own. */
function timesOf(workerData: Work): Promise<number[]> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL("./appraise-cold.mjs", import.meta.url), { execArgv: [], workerData });
    worker.once("message", resolve);
    worker.once("error", reject);
  });
}

function evidenceIn(folder: string): (Work & { technology: Technology })[] {
  const read = (name: string) => new Uint8Array(readFileSync(join(folder, name)));
  const text = (name: string) => readFileSync(join(folder, name), "utf8");
  const certificates = (name: string): Collateral[] =>
    parsePemChain(text(name)).map((bytes) => ({ kind: "certificate", bytes }));
  const archive = (technology: Technology, time: string, evidence: Uint8Array, collateral: Collateral[]) => ({
    technology,
    archived: encodeEvidence({ technology, evidence, collateral }),
    nowSeconds: Date.parse(time) / 1000,
  });
  const nitro = read("nitro_attestation.bin").subarray(4, 4 + 4_527); // Without what its file frames it with.
  const vcek: Collateral = { kind: "certificate", bytes: read("snp_milan_vcek.der") };
  const snp = [vcek, ...certificates("snp_milan_ask_ark.pem")];
  const tdx: Collateral = { kind: "json", bytes: read("tdx_quote_collateral.json") };
  const report = parseHex(text("nvidia_hopper_report.hex.txt").trim()) ?? new Uint8Array(0);
  return [
    archive("nitro", "2025-12-25T13:15:37Z", nitro, []),
    // Its guest may be debugged, which is found last.
    { ...archive("snp", "2022-09-24T06:13:20Z", read("snp_milan_report.bin"), snp), failure: "debug" },
    archive("tdx", "2025-06-19T11:16:00Z", read("tdx_quote.bin"), [tdx]),
    archive("hopper", "2024-12-01T00:00:00Z", report, certificates("nvidia_hopper_cert_chain.pem")),
  ];
}
