/**
 * Appraising an NVIDIA Hopper GPU's report (docs/spec/attestation.md): the GPU's key signed request and measurements, and
 * NVIDIA's certificates lead to it. It says that the GPU is genuine and what ran on it, never on which machine it is: Hopper
 * has nothing that binds a GPU to the CPU beside it.
 */
import { verifySignature } from "#platform";
import { equal, hex, parseHex } from "../bytes.ts";
import { type Appraisal, type Attested, type Expected, measurementOf, type Registers } from "./appraisal.ts";
import { notAfterOf } from "./chain.ts";
import { DerReader, parseOid, TAG } from "./der.ts";
import { type Inspection, inspect, Refused } from "./inspection.ts";
import { inspectChain } from "./pinned-chain.ts";
import { GPU_FIELDS, parseGpuReport } from "./spdm.ts";
import type { Certificate } from "./x509.ts";

/** SHA-256 of the certificate of NVIDIA Device Identity CA. */
export const NVIDIA_DEVICE_ROOT = "102bf659d5419614c9d8e6aecebc80454eb26b1df6a769ac720b9a690b167b48";

/** Golden values by the number of the measurement block, any of which will do: what a RIM (reference integrity manifest) lists. */
export type GoldenValues = ReadonlyMap<number, readonly Uint8Array[]>;

export type HopperEvidence = {
  /** The SPDM request and response, one after the other. */
  evidence: Uint8Array;
  /** The certificate chain in PEM, from the GPU's own to the root. */
  chain: Uint8Array;
  nowSeconds: number;
  /** SHA-256 of the root's certificate, where it is to be another than NVIDIA's. */
  root?: Uint8Array;
  expected: Pick<Expected, "nonce"> & { golden?: GoldenValues };
};

/** What a GPU's report is worth at a time. Never throws, whatever the bytes are. */
export function appraiseHopper(given: HopperEvidence): Promise<Appraisal> {
  return inspect("hopper", (inspection) => appraise(given, inspection));
}

async function appraise(given: HopperEvidence, inspection: Inspection): Promise<Attested> {
  const { nowSeconds, expected } = given;
  const report = await inspection.step("report", "is well formed", () => parseGpuReport(given.evidence));
  const root = given.root ?? parseHex(NVIDIA_DEVICE_ROOT) ?? new Uint8Array();
  const chain = await inspectChain(inspection, { name: "GPU", pem: given.chain, root, nowSeconds });
  await inspection.step("report signature", "is by the GPU's key", async () => {
    if (!(await verifySignature("es384", chain.leaf.spki, report.signed, report.signature)))
      throw new Refused("bad_signature", "the GPU's key did not sign the report");
  });
  await inspection.step("firmware", "is what the GPU's certificate was made for", () => {
    const fwid = report.fields.get(GPU_FIELDS.fwid);
    if (fwid === undefined || !equal(fwid, parseFwid(chain.leaf)))
      throw new Refused("wrong_platform", "the report is of other firmware than the GPU's certificate");
  });
  await checkNonce(inspection, report.nonce, expected.nonce);
  await checkGolden(inspection, report.measurements, expected.golden);
  inspection.notChecked("OCSP", "NVIDIA says by OCSP alone what it revoked, and nothing is fetched here");
  inspection.notChecked("CPU", "nothing on Hopper binds a GPU to the machine that it is in");
  return {
    registers: report.measurements,
    measurement: measurementOf(report.measurements),
    reportData: report.nonce,
    root,
    notAfterSeconds: notAfterOf(chain),
  };
}

/** TCG DICE: what the first code on the device measured of the firmware that got this certificate's key. */
const DICE_FWID = "2.23.133.5.4.1";
const SHA_384 = "2.16.840.1.101.3.4.2.2";

/** SHA-384 of the firmware in the GPU's certificate: version, device key, then algorithm and hash. Throws Malformed. */
function parseFwid({ extensions }: Certificate): Uint8Array {
  const extension = extensions.get(DICE_FWID);
  if (extension === undefined) throw new Refused("wrong_platform", "the GPU's certificate names no firmware");
  const reader = new DerReader(extension.value).enter();
  reader.expect(TAG.integer);
  reader.expect(TAG.sequence);
  const fwid = reader.enter();
  if (parseOid(fwid.expect(TAG.oid).value) !== SHA_384)
    throw new Refused("wrong_platform", "the GPU's certificate names its firmware by another hash than SHA-384");
  return fwid.expect(TAG.octetString).value;
}

async function checkNonce(inspection: Inspection, nonce: Uint8Array, due: Uint8Array | undefined): Promise<void> {
  if (due === undefined) return inspection.notChecked("nonce", "none was expected, so the report may be an old one");
  await inspection.step("nonce", "is ours", () => {
    if (!equal(nonce, due)) throw new Refused("wrong_binding", `the report was asked for with the nonce ${hex(nonce)}`);
  });
}

async function checkGolden(
  inspection: Inspection,
  measured: Registers,
  golden: GoldenValues | undefined,
): Promise<void> {
  const name = "golden measurements";
  if (golden === undefined) return inspection.notChecked(name, "no values of a RIM were given for driver and VBIOS");
  await inspection.step(name, `${golden.size} are as given; that the values are NVIDIA's is the giver's word`, () => {
    for (const [number, values] of golden) {
      const value = measured.get(number);
      if (value === undefined || !values.some((allowed) => equal(allowed, value)))
        throw new Refused("wrong_platform", `measurement ${number} is none of the golden values`);
    }
  });
}
