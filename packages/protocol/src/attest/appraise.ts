/** Appraising archived evidence, of whichever technology it is, at a time that the caller names. */
import { Malformed } from "../cbor/bytes.ts";
import type { Technology } from "../entry/verification.ts";
import { type Appraisal, conclude, type Expected } from "./appraisal.ts";
import { type Collateral, type Evidence, parseEvidence } from "./evidence.ts";
import { appraiseHopper } from "./hopper.ts";
import { appraiseNitro } from "./nitro.ts";
import { appraiseSimulated } from "./simulated.ts";
import { appraiseSnp } from "./snp.ts";
import { appraiseTdx } from "./tdx.ts";

export type Circumstances = {
  nowSeconds: number;
  expected: Expected;
  /** SHA-256 of the key whose simulated evidence is accepted, as simulated. Without it none is. */
  simulatedRoot?: Uint8Array;
};

type Appraise = (evidence: Evidence, circumstances: Circumstances) => Promise<Appraisal>;

const of = (kind: Collateral["kind"], { collateral }: Evidence) =>
  collateral.filter((document) => document.kind === kind).map(({ bytes }) => bytes);

const APPRAISERS: Record<Technology, Appraise> = {
  nitro: (evidence, { nowSeconds, expected }) =>
    appraiseNitro({ evidence: evidence.evidence, crls: of("crl", evidence), nowSeconds, expected }),
  snp: (evidence, { nowSeconds, expected }) =>
    appraiseSnp({
      evidence: evidence.evidence,
      certificates: of("certificate", evidence),
      crls: of("crl", evidence),
      nowSeconds,
      expected,
    }),
  tdx: (evidence, { nowSeconds, expected }) =>
    appraiseTdx({
      evidence: evidence.evidence,
      collateral: of("json", evidence)[0] ?? new Uint8Array(0),
      nowSeconds,
      expected,
    }),
  hopper: (evidence, { nowSeconds, expected }) => {
    const crls = of("crl", evidence);
    return appraiseHopper({
      evidence: evidence.evidence,
      certificates: of("certificate", evidence),
      ...(crls.length > 0 && { crls }),
      nowSeconds,
      expected,
    });
  },
  simulated: (evidence, { nowSeconds, expected, simulatedRoot: root }) =>
    appraiseSimulated({
      evidence: evidence.evidence,
      spki: of("key", evidence)[0] ?? new Uint8Array(0),
      ...(root && { root }),
      nowSeconds,
      expected,
    }),
};

/** What archived evidence says at `nowSeconds`. Never throws on what it is given. */
export async function appraise(archived: Uint8Array, circumstances: Circumstances): Promise<Appraisal> {
  let evidence: Evidence;
  try {
    evidence = parseEvidence(archived);
  } catch (fault) {
    if (!(fault instanceof Malformed)) throw fault;
    // Bytes that say of no technology are of none that counts.
    return conclude("simulated", () => Promise.reject(fault));
  }
  return APPRAISERS[evidence.technology](evidence, circumstances);
}
