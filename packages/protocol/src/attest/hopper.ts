/**
 * Appraising an NVIDIA Hopper GPU's report (docs/spec/attestation.md): the GPU's key signed request and measurements, and
 * NVIDIA's certificates lead to it. It says that the GPU is genuine and what ran on it, never in which machine it is: Hopper
 * has nothing that binds a GPU to the CPU beside it.
 */
import { sha256, verifySignature } from "#platform";
import { equal } from "../bytes.ts";
import {
  type Appraisal,
  type AttestationCheck,
  checkBinding,
  conclude,
  type Expected,
  judge,
  measurementOf,
  type Registers,
} from "./appraisal.ts";
import { assembleChain, notAfterOf } from "./chain.ts";
import { DerReader, parseOid, TAG } from "./der.ts";
import { checkPinnedChain } from "./pinned-chain.ts";
import { GPU_FIELDS, type GpuReport, parseGpuReport } from "./spdm.ts";
import { type Certificate, parseCertificate, parseCrl } from "./x509.ts";

/** Golden values by the number of the measurement block, any of which will do: what a RIM (reference integrity manifest) lists. */
export type GoldenValues = ReadonlyMap<number, readonly Uint8Array[]>;

/**
 * Appraises a report, SPDM request and response one after the other, at `nowSeconds` by its certificates, in DER and any
 * order; `root` trusts another root than NVIDIA's.
 */
export function appraiseHopper(given: {
  evidence: Uint8Array;
  certificates: readonly Uint8Array[];
  crls?: readonly Uint8Array[];
  golden?: GoldenValues;
  root?: Uint8Array;
  nowSeconds: number;
  expected: Expected;
}): Promise<Appraisal> {
  return conclude("hopper", async (checks) => {
    const { nowSeconds, root, expected, golden } = given;
    const report = parseGpuReport(given.evidence);
    const chain = assembleChain(given.certificates.map(parseCertificate));
    const crls = given.crls?.map(parseCrl);
    const anchor = { technology: "hopper" as const, nowSeconds, ...(root && { root }), ...(crls && { crls }) };
    checks.push(...(await checkPinnedChain("GPU", chain, anchor)));
    const holds = await verifySignature("es384", chain.leaf.spki, report.signed, report.signature);
    checks.push(judge("signature", "bad_signature", !holds && "the report's signature does not hold", "by the GPU"));
    checks.push(checkFirmware(report, chain.leaf), checkNonce(report.nonce, expected.nonce));
    // A GPU binds nothing else than the nonce that it is asked with.
    checks.push(checkBinding(expected.reportData, report.nonce));
    checks.push(checkGolden(report.measurements, golden));
    checks.push(open("OCSP", "NVIDIA says by OCSP what it revoked since, and nothing is fetched here"));
    checks.push(open("CPU", "nothing on Hopper binds a GPU to the machine that it is in"));
    return {
      registers: report.measurements,
      measurement: measurementOf(report.measurements),
      reportData: report.nonce,
      root: sha256(chain.root.bytes),
      notAfterSeconds: notAfterOf(chain, crls),
    };
  });
}

const open = (name: string, detail: string): AttestationCheck => ({ name, state: "not_checked", detail });

/** TCG DICE: what the first code on the device measured of the firmware that got this certificate's key. */
const DICE_FWID = "2.23.133.5.4.1";
const SHA_384 = "2.16.840.1.101.3.4.2.2";

function checkFirmware({ fields }: GpuReport, leaf: Certificate): AttestationCheck {
  const [reported, certified] = [fields.get(GPU_FIELDS.fwid), findFwid(leaf)];
  const isSame = reported !== undefined && certified !== undefined && equal(reported, certified);
  const fault = !isSame && "the report is of other firmware than the GPU's certificate";
  return judge("firmware", "wrong_platform", fault, "the GPU's key was made for the firmware that reports");
}

/** SHA-384 of the firmware in the GPU's certificate: version, device key, then the algorithm and the hash. */
function findFwid({ extensions }: Certificate): Uint8Array | undefined {
  const extension = extensions.get(DICE_FWID);
  if (extension === undefined) return undefined;
  const reader = new DerReader(extension.value).enter();
  reader.expect(TAG.integer);
  reader.expect(TAG.sequence);
  const fwid = reader.enter();
  const isSha384 = parseOid(fwid.expect(TAG.oid).value) === SHA_384;
  return isSha384 ? fwid.expect(TAG.octetString).value : undefined;
}

function checkNonce(nonce: Uint8Array, due: Uint8Array | undefined): AttestationCheck {
  if (due === undefined) return open("nonce", "none is expected, so that the report may be an old one");
  return judge("nonce", "wrong_binding", !equal(nonce, due) && "the nonce is another", "the nonce is the expected one");
}

function checkGolden(measured: Registers, golden: GoldenValues | undefined): AttestationCheck {
  const name = "golden measurements";
  if (golden === undefined) return open(name, "no values of NVIDIA's RIMs for driver and VBIOS were given");
  const other = [...golden].find(([number, values]) => {
    const value = measured.get(number);
    return value === undefined || !values.some((allowed) => equal(allowed, value));
  });
  const fault = other && `measurement ${other[0]} is none of the golden values`;
  return judge(
    name,
    "wrong_platform",
    fault,
    `${golden.size} are as given; that they are NVIDIA's is the giver's word`,
  );
}
