/** The rules that tell organic demand from the rest, as data: a version, a digest, and every threshold (docs/spec/usage.md). */
import { sha256 } from "#platform";
import { encodeJson } from "../json/canonical.ts";

export type WashRules = {
  version: string;
  /** How far back a rule looks, days up to and with the judged one. */
  windowDays: number;
  /** Payers who buy of so many models or more are never judged by what others do: neither cluster nor cohort. */
  diversifiedModels: number;
  /** A model with fewer payer clusters than this, of those that nothing else excludes, is too small to judge. */
  fewestClusters: number;
  /** A lane of whose price this share or more was refunded is paid for by nobody, per mille. */
  refundedPerMille: number;
  recirculation: {
    /** Ways back from the seller to the payer of at most so many hops are counted. */
    hops: 1 | 2 | 3;
    /** A pair of which this share or more came back is no demand, per mille. */
    perMille: number;
  };
  closedCluster: {
    /** Payers whose trade is to this share or more with sellers whose own income goes round, per mille. */
    perMille: number;
  };
  cohort: {
    /** So many payer clusters or more, whose first calls of a model lie within so many minutes … */
    fewest: number;
    startMinutes: number;
    /** … and are so many times as many as an even spread of the model's starts would put there … */
    timesEven: number;
    /** … of which this share or more, per mille, are within a factor of two of the middle one, in calls and in units a call … */
    alikePerMille: number;
    /** … and among those the coefficient of variation of their calls is at most this, per mille. */
    variationPerMille: number;
  };
  /** A first funder is named by an amount of so many atomic units or more; by less where nobody gave as much. */
  firstFunderAtomic: number;
  /** Funders who pay for strangers, as exchanges and bridges do: key ids in hex. Payers that share one are not one cluster. */
  sharedFunders: readonly string[];
};

/** The rules that this release judges by. */
export const WASH_RULES: WashRules = {
  version: "tallystick-organic-v2",
  windowDays: 30,
  diversifiedModels: 20,
  fewestClusters: 10,
  refundedPerMille: 500,
  recirculation: { hops: 3, perMille: 500 },
  closedCluster: { perMille: 900 },
  cohort: { fewest: 10, startMinutes: 30, timesEven: 10, alikePerMille: 800, variationPerMille: 500 },
  firstFunderAtomic: 1_000_000,
  sharedFunders: [],
};

/** The rules that days are judged by: this release's first, and those that it replaced and whose series go on. */
export const KEPT_RULES: readonly WashRules[] = [WASH_RULES];

/** SHA-256 of the rules as canonical JSON (RFC 8785). */
export function rulesDigest(rules: WashRules): Uint8Array {
  return sha256(encodeJson(rules));
}
