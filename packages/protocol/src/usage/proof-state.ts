/** What a fold keeps of verification: what became of each receipt, whom trust rests on, and the counts of it. */
import type { Tier } from "../entry/payload.ts";
import type { Method, Outcome, RootKind, Technology } from "../entry/verification.ts";
import type { Shapes } from "../lot/shapes.ts";
import type { Draw } from "./lot-state.ts";
import type { Key } from "./state.ts";

/** The tier that a receipt has reached; `none` where what its signatures rest on was revoked. */
export type Grade = Tier | "none";
export const GRADES = ["none", "signed", "attested", "reexecuted", "proved"] as const satisfies readonly Grade[];

/** One verifier's word on one receipt: its first. */
export type Verification = {
  verifier: Key;
  method: Method;
  outcome: Outcome;
  /** Whether it is what the lot drew its verifier for. */
  drawn: boolean;
  /** The engine and the ceremony it rests on. */
  judge: Key | undefined;
  ceremony: Key | undefined;
};

/** A dispute of a receipt: each disputer's first, by its signed id, and what the first referee that decided it says. */
export type Dispute = {
  id: Key;
  receipt: Key;
  disputer: Key;
  outcome: "upheld" | "rejected" | "undecided" | undefined;
  referee: Key | undefined;
};

/** What a receipt is counted as: taken back before it is counted as something else. */
export type Verdicts = {
  /** Of the drawn check. */
  drawn: "passed" | "failed" | "lost" | undefined;
  unopened: boolean;
  undecided: boolean;
  omitted: boolean;
  /** Of checks that no lot drew. */
  requested: "passed" | "failed" | undefined;
  upheld: boolean;
};

/** What a referee decided of one dispute of a receipt or more. */
export type Ruling = { outcome: "upheld" | "rejected"; referee: Key };

/** A receipt that was drawn, checked or disputed. */
export type Examination = {
  draw: Draw | undefined;
  checks: Verification[];
  disputes: Dispute[];
  /** Each once: a referee may decide thousands of disputes of one receipt alike. */
  rulings: Ruling[];
  counted: Verdicts;
};

/** Hardware that vouched for a node's key, and the publishers that approved what it measured. */
export type Attestation = {
  technology: Technology;
  root: Key;
  measurement: Key;
  verifier: Key;
  publishers: Key[];
  /** Unix seconds. */
  expiry: number;
};

/** What became of receipts that are to be checked. */
export type Checked = {
  population: number;
  drawn: number;
  checked: number;
  failures: number;
  unopened: number;
  omitted: number;
  undecided: number;
};

/** What verification comes to of one model's receipts of one day. */
export type Coverage = Checked & {
  day: string;
  model: Key;
  /** Valid receipts by the tier they have reached. */
  tiers: Record<Grade, number>;
  /** Valid receipts that no lot can draw: their requester opens them to nobody, or somebody else ran them. */
  unopenable: number;
  /** Of those whose check was asked for, which bound nothing; and how many of them no lot has drawn yet. */
  asked: Checked & { waiting: number };
  /** Epochs with something to draw in which nobody revealed. */
  undrawnEpochs: number;
  requested: number;
  requestedFailures: number;
  disputesUpheld: number;
  /** The strata of which no check is waited for, and what was drawn of them and is not known. */
  shapes: Shapes;
  lost: number;
};

/** What is known against a node. */
export type Standing = { checked: number; failures: number; unopened: number; disputesUpheld: number };

export type Proofs = {
  examinations: Map<Key, Examination>;
  /** By the dispute's signed id, in order. */
  disputes: Map<Key, Dispute>;
  /** Who disputes which receipt, receipt then disputer: each once. */
  disputers: Set<Key>;
  /** Engines that verifiers have run. */
  engines: Set<Key>;
  /** By day and model. */
  coverage: Map<string, Coverage>;
  standings: Map<Key, Standing>;
  /** Of the lots of a day's epochs. */
  missingReveals: Map<string, number>;
};

export type Trust = {
  /** What each node's evidence says, by technology: the last appraisal of it, where that passed. */
  appraisals: Map<Key, Map<Technology, Omit<Attestation, "publishers">>>;
  /** Which publishers approve a measurement, by technology and measurement. */
  approvals: Map<string, Set<Key>>;
  /** What vouches for a node's receipts from here on: one array for all of them, replaced and never changed. */
  attested: Map<Key, readonly Attestation[]>;
  /** From when on a root is not relied on, by kind and root; 0 where that is the beginning. */
  revoked: Map<string, number>;
};

export function createProofs(): Proofs {
  const maps = { coverage: new Map(), standings: new Map(), missingReveals: new Map() };
  return { examinations: new Map(), disputes: new Map(), disputers: new Set(), engines: new Set(), ...maps };
}

export function createTrust(): Trust {
  return { appraisals: new Map(), approvals: new Map(), attested: new Map(), revoked: new Map() };
}

export function rootName(kind: RootKind, root: Key): string {
  return `${kind} ${root}`;
}
