/** `npm run bench [name …]`: measures, prints each figure with its bound, and fails where a bound does not hold. */
import { holds, type Row } from "./ratio.ts";

const BENCHES: Record<string, () => Promise<Row[]>> = {
  serving: async () => (await import("./serving.bench.ts")).benchServing(),
  gateway: async () => (await import("./gateway.bench.ts")).benchGateway(),
  streams: async () => (await import("./gateway.bench.ts")).benchStreams(),
  receipt: async () => (await import("./receipt.bench.ts")).benchReceipt(),
  reading: async () => (await import("./reading.bench.ts")).benchReading(),
  audit: async () => (await import("./audit.bench.ts")).benchAudit(),
  "audit-million": async () => (await import("./audit-million.bench.ts")).benchAuditMillion(),
  analytics: async () => (await import("./analytics.bench.ts")).benchAnalytics(),
  verification: async () => (await import("./verification.bench.ts")).benchVerification(),
  attestation: async () => (await import("./attestation.bench.ts")).benchAttestation(),
  admission: async () => (await import("./admission.bench.ts")).benchAdmission(),
  log: async () => (await import("./log.bench.ts")).benchLog(),
  "log-tree": async () => (await import("./log-tree.bench.ts")).benchLogTree(),
  proofs: async () => (await import("./proofs.bench.ts")).benchProofs(),
  year: async () => (await import("./year.bench.ts")).benchYear(),
  "log-memory": async () => (await import("./log-memory.bench.ts")).benchLogMemory(),
};
/** Only where they are named. */
const LONG = new Set(["analytics", "audit-million", "log-memory", "proofs", "year"]);

const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(BENCHES).filter((name) => !LONG.has(name));
for (const name of names) {
  const bench = BENCHES[name];
  if (bench === undefined) throw new Error(`no bench ${name}: ${Object.keys(BENCHES).join(", ")}`);
  for (const row of await bench()) {
    const { bound, unit, baseline } = row;
    const bounds =
      bound === undefined
        ? ""
        : "atLeast" in bound
          ? `  (at least ${bound.atLeast} ${unit})`
          : `  (at most ${bound.atMost} ${unit})`;
    console.log(
      `${holds(row) ? "ok  " : "MISS"} ${name}: ${row.name}: ${Number(row.value.toPrecision(4))} ${unit}${bounds}${baseline === undefined ? "" : `  [against ${baseline}]`}`,
    );
    if (!holds(row)) process.exitCode = 1;
  }
}
