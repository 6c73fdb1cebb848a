/** Appraising real evidence cold: each time in a process of its own that has done nothing before. */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { vectorsOf } from "../test/vectors-dir.ts";
import { median, type Row } from "./ratio.ts";

const TECHNOLOGIES = ["nitro", "snp", "tdx", "hopper"];
const ROUNDS = 9;
const COLD = join(import.meta.dirname, "attest-cold.mjs");

export async function benchAttestation(): Promise<Row[]> {
  const folder = vectorsOf("attestation");
  if (folder === undefined) {
    console.log("skipped attestation: no vectors");
    return [];
  }
  return TECHNOLOGIES.map((technology) => {
    const once = () => Number(execFileSync(process.execPath, [COLD, technology, folder], { encoding: "utf8" }));
    const value = median(Array.from({ length: ROUNDS }, once));
    return { name: `${technology} evidence appraised, cold`, value, unit: "ms", bound: { atMost: 150 } };
  });
}
