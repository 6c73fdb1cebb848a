/**
 * What a log says, folded: who may sign what, which models there are, which receipts were used. A pure function of
 * entries in the order of their index, and the only thing that admission, lookups and figures are read from.
 *
 * Precondition of every fold: the signatures of the entries hold, and that of the authorization in each receipt by the
 * session key of its grant. Admission checks them before an entry is logged; an audit checks each again and refuses the
 * whole log where one does not.
 */
import { latin1 } from "../bytes.ts";
import type { Entry } from "../entry/entry.ts";
import type { Custody, GrantPayload, ReceiptPayload, Role, Tier } from "../entry/payload.ts";
import type { Handover } from "../log/handover.ts";
import type { Policy } from "../log/policy.ts";
import type { Manifest } from "../model/manifest.ts";
import type { Price } from "../model/price.ts";
import type { ClosedDay } from "./closed-days.ts";
import { type Credits, createCredits } from "./credits-state.ts";
import { createDemand, type Demand, type Lane } from "./lanes.ts";
import { createLots, type Lots } from "./lot-state.ts";
import { createSeries, type Series } from "./metrics/series.ts";
import { type Attestation, createProofs, createTrust, type Grade, type Proofs, type Trust } from "./proof-state.ts";
import { KEPT_RULES, type WashRules } from "./wash-rules.ts";

/** Bytes as a key of a Map: one UTF-16 unit a byte. */
export type Key = string;

export function keyOf(bytes: Uint8Array): Key {
  return latin1(bytes);
}

/** The bytes that are the key of a Map. */
export function bytesOf(key: Key): Uint8Array {
  return Uint8Array.from(key, (unit) => unit.charCodeAt(0));
}

export type EnrolledKey = {
  role: Role;
  spki: Uint8Array;
  name: string;
  /** Of a relier: the name in DNS that the log's operator found its key under. */
  domain: string | undefined;
  index: number;
  retired: boolean;
};

export type PublishedModel = Price & {
  revision: Uint8Array;
  manifest: Manifest;
  publisher: Key;
  index: number;
  yanked: boolean;
};

export type Session = {
  /** Its own key, so that its receipts share one text. */
  id: Key;
  index: number;
  custody: Custody;
  payer: Key;
  tagMode: GrantPayload["tagMode"];
  /** The app that asks, where its requester says so in public. */
  app: string | undefined;
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
  /** The lane of its last receipt, which is mostly that of the next. */
  lane: Lane | undefined;
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
  /** Of the lane: `NO_MODEL` where its revision was not published before it. */
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
  /** What it is alike others in. */
  lane: Lane;
};

/** What a receipt says that no figure counts: its price also where that is no revenue, output units where there are any. */
export type Asked = {
  tier: Tier;
  decision: Key | undefined;
  status: ReceiptPayload["status"];
  outputUnits: number | undefined;
  priceAtomic: bigint;
};

/** Something to be counted on the day its index falls on. */
export type Event = { index: number; lane: Lane } & (
  | {
      kind: "inference";
      receipt: Key;
      exclusion: Exclusion | undefined;
      units: number;
      outputUnits: number;
      /** What it cost, where that is revenue. */
      priceAtomic: bigint;
      subsidisedAtomic: bigint;
      /** What its row says beside (rows.ts), as the entry has it. */
      asked: Asked;
    }
  | { kind: "acknowledgement"; receipt: Key }
  | { kind: "refund"; receipt: Key; amountAtomic: bigint; subsidisedAtomic: bigint }
  | { kind: "reliance" }
  /** The first verification that `receipt` passed. */
  | { kind: "verification"; receipt: Key }
);

/** The figures of one model on one day. */
export type Cell = {
  day: string;
  model: Key;
  gross: number;
  valid: number;
  acknowledged: number;
  revenue: CellRevenue;
  requesters: Set<Key>;
  exclusions: Map<Exclusion, number>;
};

/** What valid receipts cost, what of that was given back, and what of the rest was operators' own money. */
export type CellRevenue = { grossAtomic: bigint; refundedAtomic: bigint; subsidisedAtomic: bigint };

/** What a day came to by rules of that digest, in the words of the log's own server. `id` is the entry's signed id. */
export type Snapshot = { index: number; id: Key; day: string; size: number; rules: Key; result: Key };

/** What an auditor says that the first `size` entries came to, and whether the server says the same. */
export type Recomputation = {
  index: number;
  auditor: Key;
  size: number;
  rules: Key;
  result: Key;
  agrees: boolean;
  /** The id of the snapshot that it disagrees with. */
  snapshot: Key | undefined;
};

/** An epoch that gave times: how many entries its checkpoint covers, when that was, and the index of its entry. */
export type Epoch = { size: number; timeSeconds: number; index: number };

export type FoldState = {
  size: number;
  keys: Map<Key, EnrolledKey>;
  models: Map<Key, PublishedModel>;
  sessions: Map<Key, Session>;
  receipts: Map<Key, UsedReceipt>;
  credits: Credits;
  demand: Demand;
  /** What the closed days came to, by each version of the rules that is kept. */
  series: Series[];
  cells: Map<string, Cell>;
  /** What no epoch covers yet, in order. */
  untimed: Event[];
  /** Of every epoch so far, in order: entries below its size that none before covers have its time, Unix seconds. Numbers alone: there are thousands a day. */
  times: { sizes: number[]; seconds: number[] };
  /** The last two epochs. */
  epochs: Epoch[];
  /** The lowest index that has a time of each day. */
  dayStarts: Map<string, number>;
  /** The time of the last epoch that covers more than those before it, Unix seconds. */
  timeSeconds: number | undefined;
  /** By whom checkpoints are verified, as the log itself says; undefined before it says so. */
  policy: Policy | undefined;
  policyDigest: Key | undefined;
  /** How the log's own key changed, in order. */
  handovers: Handover[];
  /** Receipt ids under which the log has another receipt by the key of the first, and where: evidence against that key. */
  equivocations: Map<Key, { index: number; signer: Key }>;
  /** The next sequence of each node. */
  nodeSequences: Map<Key, number>;
  lots: Lots;
  proofs: Proofs;
  trust: Trust;
  /** What the log's role key says that closed days came to, by `snapshotName`, in order: its first word on a day and rules. */
  snapshots: Map<string, Snapshot>;
  /** What auditors counted themselves, each its last on so many sizes, by auditor. */
  recomputations: Map<Key, Recomputation[]>;
  /** Days with anything in them that are not closed, and the figures of those that are. */
  unclosed: Set<string>;
  closedDays: Map<string, ClosedDay>;
};

/** An empty fold, which keeps the days by each of `rules`: the series of rules that are replaced goes on beside the new one. */
export function createFold(rules: readonly WashRules[] = KEPT_RULES): FoldState {
  return {
    size: 0,
    keys: new Map(),
    models: new Map(),
    sessions: new Map(),
    receipts: new Map(),
    credits: createCredits(),
    demand: createDemand(),
    series: rules.map(createSeries),
    cells: new Map(),
    untimed: [],
    times: { sizes: [], seconds: [] },
    epochs: [],
    dayStarts: new Map(),
    timeSeconds: undefined,
    policy: undefined,
    policyDigest: undefined,
    handovers: [],
    equivocations: new Map(),
    nodeSequences: new Map(),
    lots: createLots(),
    proofs: createProofs(),
    trust: createTrust(),
    snapshots: new Map(),
    recomputations: new Map(),
    unclosed: new Set(),
    closedDays: new Map(),
  };
}

/** The key that an entry must be signed by, as far as `fold` knows it; undefined where nobody may sign it. */
export function signerOf(fold: FoldState, entry: Entry): Uint8Array | undefined {
  const kid = entry.signed.keyIdLatin1;
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
    case "reversal":
      return may("relier");
    case "epoch":
    case "policy":
    case "revocation":
    case "snapshot":
      return may("log");
    case "recomputation":
      return may("auditor");
    case "affiliation":
      return enrolled === undefined ? sessionKeyOf(fold, entry.says.session, kid) : may(enrolled.role);
    case "reference":
      return may("publisher");
    case "verification":
    case "lot":
    case "appraisal":
      return may("verifier");
    case "dispute":
      return may("disputer") ?? (entry.says.ground === "label" ? partyOf(fold, entry.says, kid) : may("verifier"));
    case "resolution":
      return may("referee");
    case "acknowledgement": {
      const receipt = fold.receipts.get(keyOf(entry.says.receipt));
      return receipt === undefined ? undefined : fold.sessions.get(receipt.session)?.sessionKey;
    }
  }
}

/** The key of a session, where `kid` is its id. */
function sessionKeyOf({ sessions }: FoldState, session: Uint8Array | undefined, kid: Key): Uint8Array | undefined {
  const granted = session && sessions.get(keyOf(session));
  return granted?.sessionKeyId === kid ? granted.sessionKey : undefined;
}

/** The key of who asked for a receipt, or of its model's publisher, where `kid` is its id. */
function partyOf(fold: FoldState, { receipt: id }: { receipt: Uint8Array }, kid: Key): Uint8Array | undefined {
  const receipt = fold.receipts.get(keyOf(id));
  if (receipt === undefined) return undefined;
  const publisher = fold.models.get(receipt.model)?.publisher === kid ? fold.keys.get(kid) : undefined;
  if (publisher !== undefined && !publisher.retired) return publisher.spki;
  return sessionKeyOf(fold, bytesOf(receipt.session), kid);
}

/** Takes in an epoch that covers more than those before it. */
export function addEpoch({ times, epochs }: FoldState, epoch: Epoch): void {
  times.sizes.push(epoch.size);
  times.seconds.push(epoch.timeSeconds);
  epochs.push(epoch);
  if (epochs.length > 2) epochs.shift();
}

/** When the log's clock saw entry `index`, Unix seconds: the time of the first epoch that covers it, or undefined until then. */
export function timeOf({ times: { sizes, seconds } }: Pick<FoldState, "times">, index: number): number | undefined {
  let [low, high] = [0, sizes.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sizes[middle] ?? 0) > index) high = middle;
    else low = middle + 1;
  }
  return seconds[low];
}

/** Roles that anybody may take: they run nothing of the network. */
export const OPEN_ROLES: ReadonlySet<Role> = new Set(["relier", "disputer", "auditor"]);

/** Whether a key is one of those that run the network: it cannot rely on what it sells. */
export function isOperator(fold: FoldState, kid: Key): boolean {
  const role = fold.keys.get(kid)?.role;
  return role !== undefined && !OPEN_ROLES.has(role);
}
