/**
 * Simulated evidence, for development: a statement in the shape of hardware evidence, signed by a key of the operator's own.
 * It shows that the road from evidence to appraisal works, never anything about a machine, and is never counted as attested.
 */
import { sha256 } from "#platform";
import { equal } from "../bytes.ts";
import { byteString, decode, encode, exactly, fixedBytes, required, struct, uint } from "../cbor/codec.ts";
import { TIME_SECONDS } from "../limits.ts";
import { parseSigned, type Signer, signPayload, verifySigned } from "../sign/cose.ts";
import { type Appraisal, checkBinding, conclude, type Expected, judge, measurementOf } from "./appraisal.ts";

const CONTENT_TYPE = "application/vnd.tallystick.simulated+cbor";
/** As much as the report data of TDX and SEV-SNP hold. */
const REPORT_DATA_SIZE_BYTES = 64;

const statement = struct({
  version: required(0, exactly(1)),
  /** What hardware would have measured. */
  register: required(1, fixedBytes(48)),
  reportData: required(2, byteString(REPORT_DATA_SIZE_BYTES)),
  notBefore: required(3, uint(TIME_SECONDS)),
  notAfter: required(4, uint(TIME_SECONDS)),
});

/** What a simulated machine states. */
export type Simulation = {
  register: Uint8Array;
  reportData: Uint8Array;
  notBeforeSeconds: number;
  notAfterSeconds: number;
};

/** Evidence that `signer`, a simulated root, makes up. */
export async function signSimulation(signer: Signer, simulation: Simulation): Promise<Uint8Array> {
  const { register, reportData, notBeforeSeconds: notBefore, notAfterSeconds: notAfter } = simulation;
  const payload = encode(statement, { version: 1, register, reportData, notBefore, notAfter });
  return (await signPayload(signer, CONTENT_TYPE, payload)).bytes;
}

/**
 * Appraises simulated evidence by the DER SubjectPublicKeyInfo of the key that made it up, which is its root. Nobody pins
 * one: `root`, the SHA-256 of the SPKI, says whose simulations are played along with.
 */
export function appraiseSimulated(given: {
  evidence: Uint8Array;
  spki: Uint8Array;
  root?: Uint8Array;
  nowSeconds: number;
  expected: Expected;
}): Promise<Appraisal> {
  return conclude("simulated", async (checks) => {
    const signed = parseSigned(given.evidence);
    const { register, reportData, notBefore, notAfter } = decode(statement, signed.payload);
    const { spki, nowSeconds } = given;
    const root = sha256(spki);
    const isTrusted = given.root !== undefined && equal(given.root, root);
    checks.push(
      judge("root", "unknown_root", !isTrusted && "no simulation by this key is accepted here", "a simulated root"),
    );
    const holds = signed.contentType === CONTENT_TYPE && (await verifySigned(signed, spki));
    checks.push(judge("signature", "bad_signature", !holds && "is not by the simulated root", "by the simulated root"));
    const isNow = nowSeconds >= notBefore && nowSeconds <= notAfter;
    checks.push(judge("validity", "not_valid_now", !isNow && "is not valid at the time of appraisal", "is valid"));
    checks.push(checkBinding(given.expected.reportData, reportData));
    checks.push({ name: "hardware", state: "not_checked", detail: "simulated: no hardware says anything here" });
    const registers = new Map([[0, register]]);
    return { registers, measurement: measurementOf(registers), reportData, root, notAfterSeconds: notAfter };
  });
}
