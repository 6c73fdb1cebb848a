/** What a fold keeps of the lot: chains, lots that are open, and what a trailing day drew. */
import type { Shapes } from "../lot/shapes.ts";
import type { Key } from "./state.ts";

/** The receipts of one model that one epoch is the first to cover and that can be drawn, and what came of drawing them. */
export type Stratum = {
  day: string;
  model: Key;
  timeSeconds: number;
  population: number;
  drawn: number;
  /** Of the drawn: those with a result that counts, and among them those found wrong. */
  checked: number;
  failures: number;
  /** Of the drawn: those of which nothing is known, and nothing will be. */
  lost: number;
  /** Whether it is in the window of its model. */
  isRecent: boolean;
};

/** A verifier's hash chain, from the anchor down to the value revealed last. */
export type Chain = { index: number; last: Uint8Array; left: number };

/** The lot of one epoch, from its entry until it is closed: after six more epochs at most. */
export type OpenLot = {
  /** The index of the epoch's entry. */
  epoch: number;
  /** The SHA-256 of the entry. */
  digest: Uint8Array;
  /** Which of the epochs that count it is. */
  ordinal: number;
  timeSeconds: number;
  /** Who takes part, in order of key id, by which chain, and what each revealed. */
  participants: { verifier: Key; chain: Chain; value: Uint8Array | undefined }[];
  /** What may be drawn, in the order of the log. */
  population: { model: Key; receipts: Key[] }[];
  /** What is drawn in any case: its requester asked for a check of it. */
  asked: Set<Key>;
};

/** A receipt that was drawn, and by whom it is checked. What was asked for is of no stratum. */
export type Draw = { verifier: Key; epoch: number; stratum: Stratum | undefined; omitted: boolean };

/** The strata of one model over the trailing day, in order of time, and by their shapes as far as they are drawn and not lost. */
export type Window = { strata: Stratum[]; planned: Shapes };

/** What a verifier did, and what it did not do. */
export type VerifierRecord = {
  /** Its chains, oldest first: the newest that counts, and those before it that open lots rest on. */
  chains: Chain[];
  /** Receipts that wait for it. */
  waiting: Set<Key>;
  passed: number;
  failed: number;
  unopened: number;
  undecided: number;
  omitted: number;
  missingReveals: number;
  /** What it all took, in microseconds of one CPU. */
  costMicroseconds: number;
};

export type Lots = {
  /** In order of epoch. */
  open: OpenLot[];
  verifiers: Map<Key, VerifierRecord>;
  windows: Map<Key, Window>;
  /** Receipts whose check was asked for and that wait for a lot, the oldest of each payer first, in the order of their turns. */
  asked: Map<Key, Set<Key>>;
  /** Receipts to be checked in the order in which their time runs out, each at most a day. */
  deadlines: { receipt: Key; untilSeconds: number }[];
};

export function createLots(): Lots {
  return { open: [], verifiers: new Map(), windows: new Map(), asked: new Map(), deadlines: [] };
}

export function verifierOf({ verifiers }: Lots, key: Key): VerifierRecord {
  let record = verifiers.get(key);
  if (record === undefined) {
    const none = { passed: 0, failed: 0, unopened: 0, undecided: 0, omitted: 0, missingReveals: 0 };
    record = { chains: [], waiting: new Set(), ...none, costMicroseconds: 0 };
    verifiers.set(key, record);
  }
  return record;
}
