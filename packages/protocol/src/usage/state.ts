/**
 * What a log says, folded: who may sign what, which models there are, which receipts were used. A pure function of
 * entries in the order of their index, and the only thing that admission, lookups and figures are read from.
 *
 * Precondition of every fold: the signatures of the entries hold, and that of the authorization in each receipt by the
 * session key of its grant. Admission checks them before an entry is logged; an audit checks each again and refuses the
 * whole log where one does not.
 */
import type { Entry } from "../entry/entry.ts";
import type { Custody, GrantPayload, Role } from "../entry/payload.ts";
import type { Handover } from "../log/handover.ts";
import type { Policy } from "../log/policy.ts";
import type { Manifest } from "../model/manifest.ts";
import type { Price } from "../model/price.ts";
import type { ClosedDay } from "./closed-days.ts";
import { type Credits, createCredits } from "./credits-state.ts";
import { createLots, type Lots } from "./lot-state.ts";
import { type Attestation, createProofs, createTrust, type Grade, type Proofs, type Trust } from "./proof-state.ts";

/** Bytes as a key of a Map: one UTF-16 unit a byte. */
export type Key = string;

export function keyOf(bytes: Uint8Array): Key {
  return Reflect.apply(String.fromCharCode, undefined, bytes);
}

/** The bytes that are the key of a Map. */
export function bytesOf(key: Key): Uint8Array {
  return Uint8Array.from(key, (unit) => unit.charCodeAt(0));
}

export type EnrolledKey = { role: Role; spki: Uint8Array; name: string; index: number; retired: boolean };

export type PublishedModel = Price & {
  revision: Uint8Array;
  manifest: Manifest;
  publisher: Key;
  index: number;
  yanked: boolean;
};

export type Session = {
  index: number;
  custody: Custody;
  payer: Key;
  gateway: Key;
  sessionKey: Uint8Array;
  sessionKeyId: Key;
  expiry: number;
  paymentClass: GrantPayload["paymentClass"];
  budgetAtomic: bigint;
  /** What its receipts cost. A refund is its payer's, and does not give it budget. */
  spentAtomic: bigint;
  /** Whether the session key is itself a key of an operator: then its demand is its own supply. */
  selfDealing: boolean;
  usedNonces: Set<number>;
};

/** Why a receipt counts as gross and not as valid. */
export type Exclusion =
  | "not_ok"
  | "test_traffic"
  | "probe_traffic"
  | "unknown_session"
  | "unknown_model"
  | "unknown_node"
  | "yanked_model"
  | "reused_nonce"
  | "broken_terms"
  | "overpriced"
  | "unpaid"
  | "self_dealing";

export type UsedReceipt = {
  index: number;
  /** The id of what its node signed, which tells it from another receipt of the same id. */
  statement: Key;
  model: Key;
  custody: Custody;
  payer: Key;
  session: Key;
  decision: Key;
  exclusion: Exclusion | undefined;
  acknowledged: boolean;
  node: Key;
  /** Whether a lot may draw it: its requester opens it, and its node ran a published model. */
  openable: boolean;
  /** Whether a lot draws it in any case: such a one whose requester asked that it be run again. */
  asked: boolean;
  /** What vouched for its node's key at its index. */
  attested: readonly Attestation[] | undefined;
  /** The tier it is counted in; undefined where it is not counted as valid, or has no time yet. */
  tier: Grade | undefined;
};

/** Something to be counted on the day its index falls on. `model` is the revision's key. */
export type Event = { index: number; model: Key; custody: Custody } & (
  | { kind: "inference"; receipt: Key; payer: Key; exclusion: Exclusion | undefined }
  | { kind: "acknowledgement" }
  | { kind: "payment"; priceAtomic: bigint; subsidisedAtomic: bigint }
  | { kind: "refund"; amountAtomic: bigint; subsidisedAtomic: bigint }
  | { kind: "reliance"; firstOfDecision: boolean; firstOfModel: boolean }
);

/** The figures of one model, day and custody. */
export type Cell = {
  day: string;
  model: Key;
  custody: Custody;
  gross: number;
  valid: number;
  acknowledged: number;
  reliedOn: number;
  revenue: CellRevenue;
  requesters: Set<Key>;
  exclusions: Map<Exclusion, number>;
};

/** What valid receipts cost, what of that was given back, and what of the rest was operators' own money. */
export type CellRevenue = { grossAtomic: bigint; refundedAtomic: bigint; subsidisedAtomic: bigint };

/** What a day sums up to over models, where sums over cells would count a decision twice. */
export type DayTotal = { requesters: Set<Key>; decisionsReliedOn: number };

export type FoldState = {
  size: number;
  keys: Map<Key, EnrolledKey>;
  models: Map<Key, PublishedModel>;
  sessions: Map<Key, Session>;
  receipts: Map<Key, UsedReceipt>;
  credits: Credits;
  /** Who relied on which decision, relier then decision, and where the log says so first. */
  reliances: Map<Key, number>;
  /** Decisions somebody relied on, and decisions by model. */
  reliedDecisions: Set<Key>;
  reliedByModel: Set<Key>;
  cells: Map<string, Cell>;
  days: Map<string, DayTotal>;
  /** What no epoch covers yet, in order. */
  untimed: Event[];
  /** The epochs so far, in order, by the index of their entry: entries below `size` that none before covers have this time, Unix seconds. */
  epochs: { size: number; timeSeconds: number; index: number }[];
  /** The time of the last epoch that covers more than those before it, Unix seconds. */
  timeSeconds: number | undefined;
  /** By whom checkpoints are verified, as the log itself says; undefined before it says so. */
  policy: Policy | undefined;
  policyDigest: Key | undefined;
  /** How the log's own key changed, in order. */
  handovers: Handover[];
  /** Receipt ids under which the log has another receipt too, and where: evidence against who signed it. */
  equivocations: Map<Key, { index: number; signer: Key }>;
  /** The next sequence of each node. */
  nodeSequences: Map<Key, number>;
  lots: Lots;
  proofs: Proofs;
  trust: Trust;
  /** Days with anything in them that are not closed, and the figures of those that are. */
  unclosed: Set<string>;
  closedDays: Map<string, ClosedDay>;
};

export function createFold(): FoldState {
  return {
    size: 0,
    keys: new Map(),
    models: new Map(),
    sessions: new Map(),
    receipts: new Map(),
    credits: createCredits(),
    reliances: new Map(),
    reliedDecisions: new Set(),
    reliedByModel: new Set(),
    cells: new Map(),
    days: new Map(),
    untimed: [],
    epochs: [],
    timeSeconds: undefined,
    policy: undefined,
    policyDigest: undefined,
    handovers: [],
    equivocations: new Map(),
    nodeSequences: new Map(),
    lots: createLots(),
    proofs: createProofs(),
    trust: createTrust(),
    unclosed: new Set(),
    closedDays: new Map(),
  };
}

/** The key that an entry must be signed by, as far as `fold` knows it; undefined where nobody may sign it. */
export function signerOf(fold: FoldState, entry: Entry): Uint8Array | undefined {
  const kid = keyOf(entry.signed.keyId);
  const enrolled = fold.keys.get(kid);
  const may = (role: Role) => (enrolled?.role === role && !enrolled.retired ? enrolled.spki : undefined);
  switch (entry.kind) {
    case "key":
      return entry.says.spki;
    case "model":
      return may("publisher");
    case "grant":
    case "settlement":
      return may("gateway");
    case "receipt":
      return may("node");
    case "reliance":
      return may("relier");
    case "epoch":
    case "policy":
    case "revocation":
      return may("log");
    case "reference":
      return may("publisher");
    case "verification":
    case "lot":
    case "appraisal":
      return may("verifier");
    case "dispute":
      return may("disputer") ?? may("verifier");
    case "resolution":
      return may("referee");
    case "acknowledgement": {
      const receipt = fold.receipts.get(keyOf(entry.says.receipt));
      return receipt === undefined ? undefined : fold.sessions.get(receipt.session)?.sessionKey;
    }
  }
}

/** When the log's clock saw entry `index`, Unix seconds: the time of the first epoch that covers it, or undefined until then. */
export function timeOf({ epochs }: FoldState, index: number): number | undefined {
  let [low, high] = [0, epochs.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((epochs[middle]?.size ?? 0) > index) high = middle;
    else low = middle + 1;
  }
  return epochs[low]?.timeSeconds;
}

/** Whether a key is one of those that run the network: it cannot rely on what it sells. */
export function isOperator(fold: FoldState, kid: Key): boolean {
  const role = fold.keys.get(kid)?.role;
  return role !== undefined && role !== "relier" && role !== "disputer";
}
