/** One appraisal of real evidence, the first thing that this process does: prints its milliseconds. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { appraise, encodeEvidence, parsePemChain } from "@tallystick/protocol";

const [technology, folder] = process.argv.slice(2);
const read = (name) => new Uint8Array(readFileSync(join(folder, name)));
const certificates = (...names) =>
  names.flatMap((name) =>
    (name.endsWith(".pem") ? parsePemChain(readFileSync(join(folder, name), "utf8")) : [read(name)]).map((bytes) => ({
      kind: "certificate",
      bytes,
    })),
  );

/** The evidence, the time at which it was good, and what failed of it even then. */
const VECTORS = {
  nitro: () => ({
    // Four bytes of framing come before the document, and zeros after it.
    evidence: read("nitro_attestation.bin").subarray(4, 4_531),
    collateral: [],
    nowSeconds: 1_766_668_537,
  }),
  snp: () => ({
    evidence: read("snp_milan_report.bin"),
    collateral: certificates("snp_milan_vcek.der", "snp_milan_ask_ark.pem"),
    nowSeconds: 1_664_000_000,
    failure: "debug",
  }),
  tdx: () => ({
    evidence: read("tdx_quote.bin"),
    collateral: [{ kind: "json", bytes: read("tdx_quote_collateral.json") }],
    nowSeconds: 1_750_331_760,
  }),
  hopper: () => ({
    evidence: new Uint8Array(
      Buffer.from(readFileSync(join(folder, "nvidia_hopper_report.hex.txt"), "utf8").trim(), "hex"),
    ),
    collateral: certificates("nvidia_hopper_cert_chain.pem"),
    nowSeconds: 1_733_011_200,
  }),
};

const { evidence, collateral, nowSeconds, failure } = VECTORS[technology]();
const archived = encodeEvidence({ technology, evidence, collateral });
const begun = performance.now();
const appraisal = await appraise(archived, { nowSeconds, expected: {} });
const tookMs = performance.now() - begun;
if (appraisal.failure !== failure) throw new Error(`${technology}: ${JSON.stringify(appraisal.checks)}`);
console.log(tookMs);
