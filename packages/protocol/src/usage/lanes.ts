/**
 * What a fold keeps of demand: who asked which model of which node, through whom and with whose money, hour by hour. Every
 * figure of use by stratum is a sum over these (docs/spec/usage.md, "Lanes").
 */
import type { Custody, GrantPayload } from "../entry/payload.ts";
import type { Purpose } from "../entry/usage.ts";
import type { Grade } from "./proof-state.ts";
import type { Exclusion, Key, Session } from "./state.ts";

/**
 * Whose money paid for a receipt: nobody's; half or more an operator's; else half or more an operator's or a payer's whose funder
 * the log does not name; or for the most part a payer's whose funder it names.
 */
export type Funding = "free" | "subsidised" | "unattributed" | "funded";

/** The model of a receipt whose revision was not published before it: of none, whichever of all digests it names. */
export const NO_MODEL: Key = "";

/** Receipts that are alike in all that a rule of demand asks about. One object for each; compared by identity. */
export type Lane = {
  payer: Key;
  gateway: Key;
  custody: Custody;
  tagMode: GrantPayload["tagMode"];
  /** The app that the session was granted to; undefined where it names none. */
  app: string | undefined;
  funding: Funding;
  /** `NO_MODEL` where none was published. */
  model: Key;
  node: Key;
};

/** What was said in one hour of receipts of one lane and day. Money is in atomic units. */
export type Later = {
  acknowledged: number;
  refundedAtomic: bigint;
  /** The part of it that was an operator's. */
  refundedSubsidisedAtomic: bigint;
};

/** What came of one lane in one hour. Money is in atomic units. */
export type Fact = {
  lane: Lane;
  /** Unix hours. */
  hour: number;
  gross: number;
  valid: number;
  exclusions: Map<Exclusion, number>;
  /** Of the valid: the manifest's units and the output units, as the receipts have them. Two million receipts come to 2^53. */
  units: bigint;
  outputUnits: bigint;
  /** Of the valid: what they cost, and the part of it that was an operator's money. */
  priceAtomic: bigint;
  subsidisedAtomic: bigint;
  /** What was said in this hour, by the day of the receipts that it was said of; undefined where nothing was. */
  later: Map<string, Later> | undefined;
  /** Of the valid receipts of this hour: what was said of them in whatever hour. */
  ownAcknowledged: number;
  ownRefundedAtomic: bigint;
  /** The valid receipts of this hour by the tier they have reached. */
  tiers: Record<Grade, number>;
  /** How long after its receipt the first passed verification came, of receipts of this hour: seconds by the log's clock, and how many. */
  lags: Map<number, number>;
};

/** Money that came to a payer: whose it was, and where the log says so. */
export type Funded = { index: number; payer: Key; funder: Key | undefined; amountAtomic: bigint; isOperators: boolean };

/** What was given back of a valid receipt's price, and the part of it that was an operator's money. */
export type Refund = { index: number; receipt: Key; amountAtomic: bigint; subsidisedAtomic: bigint };

/** A relier's first statement on one receipt. */
export type Relied = {
  index: number;
  relier: Key;
  receipt: Key;
  decision: Key;
  purpose: Purpose | undefined;
  /** `valueBucketOf` what is at stake. */
  valueBucket: number | undefined;
  /** The entry by which the relier took back what it said of the decision until then. */
  reversedAt: number | undefined;
};

/** A dispute of why a receipt is not counted as organic, and what the first referee that decided it says. */
export type LabelDispute = {
  receipt: Key;
  disputer: Key;
  outcome: "upheld" | "rejected" | "undecided" | undefined;
  referee: Key | undefined;
};

/** Everything that is kept of demand. */
export type Demand = {
  lanes: Map<string, Lane>;
  /** By day and lane, an hour each, of the days that are looked back to. What no epoch covers yet is not in it. */
  facts: Map<string, Map<Lane, Fact[]>>;
  /** In order. */
  funded: Funded[];
  /** In order; of each receipt one. */
  refunds: Refund[];
  /** By relier and decision, in order. */
  relied: Map<Key, Relied[]>;
  /** Who relies on which receipt, relier then receipt: each once. */
  reliers: Set<Key>;
  /** Which of those a relier took back, or never may say. */
  takenBack: Set<Key>;
  /** Ownership that keys declare: each says that the others are of one owner with it. */
  affiliations: Map<Key, Set<Key>>;
  /** By the dispute's signed id. */
  labelDisputes: Map<Key, LabelDispute>;
  /** Who disputes the label of which receipt, receipt then disputer: each once. */
  labelDisputers: Set<Key>;
  /** Receipts whose label a referee found wrong: the lane of each is as if nothing were held against it on that day. */
  overruled: Set<Key>;
  /** When each payer's first valid receipt of each model was, payer then model: Unix seconds. */
  firstCalls: Map<Key, number>;
};

export function createDemand(): Demand {
  const maps = {
    lanes: new Map(),
    facts: new Map(),
    relied: new Map(),
    reliers: new Set<Key>(),
    takenBack: new Set<Key>(),
    affiliations: new Map(),
    labelDisputes: new Map(),
    labelDisputers: new Set<Key>(),
    overruled: new Set<Key>(),
    firstCalls: new Map(),
  };
  return { ...maps, funded: [], refunds: [] };
}

/** The lane of a receipt; of one without a known session, that of a payer nobody knows. */
export function laneOf(
  { lanes }: Demand,
  session: Session | undefined,
  { funding, model, node }: Pick<Lane, "funding" | "model" | "node">,
): Lane {
  const last = session?.lane;
  if (last !== undefined && last.model === model && last.node === node && last.funding === funding) return last;
  const { payer = "", gateway = "", custody = "gateway", tagMode = "anonymous", app } = session ?? {};
  // Payer and gateway are both there or neither, so that no two lanes have one name but for the app, which is last.
  const name = `${payer}${gateway}${model.padEnd(32)}${node} ${custody} ${tagMode} ${funding} ${app ?? ""}`;
  let lane = lanes.get(name);
  if (lane === undefined) {
    lane = { payer, gateway, custody, tagMode, app, funding, model, node };
    lanes.set(name, lane);
  }
  if (session !== undefined) session.lane = lane;
  return lane;
}

/** What came of `lane` in the hour of `timeSeconds`, made where nothing did. */
export function factOf({ facts }: Pick<Demand, "facts">, day: string, timeSeconds: number, lane: Lane): Fact {
  let ofDay = facts.get(day);
  if (ofDay === undefined) {
    ofDay = new Map();
    facts.set(day, ofDay);
  }
  let hours = ofDay.get(lane);
  if (hours === undefined) {
    hours = [];
    ofDay.set(lane, hours);
  }
  const hour = Math.floor(timeSeconds / 3_600);
  let fact = hours.findLast((known) => known.hour === hour);
  if (fact === undefined) {
    fact = createFact(lane, hour);
    hours.push(fact);
  }
  return fact;
}

/** What was said in the hour of `fact` of receipts of `day`, made where nothing was. */
export function laterOf(fact: Fact, day: string): Later {
  fact.later ??= new Map();
  let later = fact.later.get(day);
  if (later === undefined) {
    later = { acknowledged: 0, refundedAtomic: 0n, refundedSubsidisedAtomic: 0n };
    fact.later.set(day, later);
  }
  return later;
}

/** What came of `lane` in the hour of `timeSeconds`; undefined where nothing did, or the day is one that nothing looks back to. */
export function findFact(
  { facts }: Pick<Demand, "facts">,
  day: string,
  timeSeconds: number,
  lane: Lane,
): Fact | undefined {
  const hour = Math.floor(timeSeconds / 3_600);
  return facts
    .get(day)
    ?.get(lane)
    ?.findLast((known) => known.hour === hour);
}

/** One literal: of spreads the engine makes objects several times as slow. */
function createFact(lane: Lane, hour: number): Fact {
  return {
    lane,
    hour,
    gross: 0,
    valid: 0,
    exclusions: new Map(),
    units: 0n,
    outputUnits: 0n,
    priceAtomic: 0n,
    subsidisedAtomic: 0n,
    later: undefined,
    ownAcknowledged: 0,
    ownRefundedAtomic: 0n,
    tiers: { none: 0, signed: 0, attested: 0, reexecuted: 0, proved: 0 },
    lags: new Map(),
  };
}
