/** What came of each lane on a day, as it was judged: what all figures of demand add up. */
import type { Label } from "../judgement.ts";
import type { Fact, Lane, Later } from "../lanes.ts";
import type { Grade } from "../proof-state.ts";
import type { Exclusion, FoldState, Key } from "../state.ts";
import type { Series } from "./series.ts";

/** What valid receipts come to, and what was said meanwhile of those that are judged alike. */
export type Sums = Later & {
  inferences: number;
  units: bigint;
  outputUnits: bigint;
  tiers: Record<Grade, number>;
  /** Undefined where there is none: most lanes wait for no check. */
  lags: Map<number, number> | undefined;
  priceAtomic: bigint;
  subsidisedAtomic: bigint;
  /** What was said of these receipts, whenever it was. */
  ownAcknowledged: number;
  ownRefundedAtomic: bigint;
};

/** The last of gross, valid, organic and floor that receipts are in: 0 to 3. A receipt of rank 2 is gross, valid and organic. */
export type Rank = 0 | 1 | 2 | 3;

export type Portion = {
  lane: Lane;
  /** Of the valid ones. */
  rank: Rank;
  label: Label | undefined;
  /** Receipts that are not valid, and why. */
  excluded: number;
  exclusions: Map<Exclusion, number>;
  sums: Sums;
};

/** One literal: of spreads the engine makes objects several times as slow. */
export function createSums(): Sums {
  return {
    inferences: 0,
    units: 0n,
    outputUnits: 0n,
    acknowledged: 0,
    tiers: { none: 0, signed: 0, attested: 0, reexecuted: 0, proved: 0 },
    lags: undefined,
    priceAtomic: 0n,
    subsidisedAtomic: 0n,
    ownAcknowledged: 0,
    ownRefundedAtomic: 0n,
    refundedAtomic: 0n,
    refundedSubsidisedAtomic: 0n,
  };
}

type Added = Omit<Sums, "inferences" | keyof Later>;

export function addSums(into: Sums, from: Added, inferences: number): void {
  into.inferences += inferences;
  if (from.units > 0n) into.units += from.units;
  if (from.outputUnits > 0n) into.outputUnits += from.outputUnits;
  into.ownAcknowledged += from.ownAcknowledged;
  addTiers(into.tiers, from.tiers);
  if (from.lags !== undefined && from.lags.size > 0) {
    into.lags ??= new Map();
    addCounts(into.lags, from.lags);
  }
  if (from.priceAtomic > 0n) {
    into.priceAtomic += from.priceAtomic;
    into.subsidisedAtomic += from.subsidisedAtomic;
  }
  if (from.ownRefundedAtomic > 0n) into.ownRefundedAtomic += from.ownRefundedAtomic;
}

export function addLater(into: Sums, from: Later): void {
  into.acknowledged += from.acknowledged;
  if (from.refundedAtomic > 0n) {
    into.refundedAtomic += from.refundedAtomic;
    into.refundedSubsidisedAtomic += from.refundedSubsidisedAtomic;
  }
}

function addTiers(into: Sums["tiers"], from: Sums["tiers"]): void {
  into.none += from.none;
  into.signed += from.signed;
  into.attested += from.attested;
  into.reexecuted += from.reexecuted;
  into.proved += from.proved;
}

export function addCounts<T>(into: Map<T, number>, from: ReadonlyMap<T, number>): void {
  for (const [item, count] of from) into.set(item, (into.get(item) ?? 0) + count);
}

/** How a lane is judged on a day. A day that nothing looks back to any more says nothing for a lane. */
export function rankOf(series: Series, day: string, lane: Lane): Rank {
  if (!series.organics.get(day)?.has(lane)) return 1;
  return series.floors.get(day)?.has(lane) ? 3 : 2;
}

/** What came of each lane on the days, of which `series` has the judgements: one for each lane and way it was judged. */
export function portionsOf({ demand }: FoldState, series: Series, days: readonly string[]): Portion[] {
  const portions = new Portions(series);
  for (const day of days)
    for (const [lane, facts] of demand.facts.get(day) ?? []) {
      const portion = portions.of(lane, day);
      for (const fact of facts) portions.add(portion, fact);
    }
  return portions.all;
}

/** Portions in the making: one for each lane and way it was judged. */
export class Portions {
  readonly all: Portion[] = [];
  readonly #series: Series;
  readonly #ofLane = new Map<Lane, Portion[]>();

  constructor(series: Series) {
    this.#series = series;
  }

  /** That of a lane's receipts of `day`. */
  of(lane: Lane, day: string): Portion {
    let own = this.#ofLane.get(lane);
    if (own === undefined) {
      own = [];
      this.#ofLane.set(lane, own);
    }
    const [rank, label] = [rankOf(this.#series, day, lane), this.#series.labels.get(day)?.get(lane)];
    let portion = own.find((known) => known.rank === rank && known.label === label);
    if (portion === undefined) {
      portion = { lane, rank, label, excluded: 0, exclusions: new Map(), sums: createSums() };
      own.push(portion);
      this.all.push(portion);
    }
    return portion;
  }

  /** Adds a fact to the portion of its day. What was said in its hour is of its receipts' days, however their lane stands now. */
  add(portion: Portion, fact: Fact): void {
    addFact(portion, fact);
    for (const [day, later] of fact.later ?? []) addLater(this.of(fact.lane, day).sums, later);
  }
}

function addFact(into: Portion, fact: Fact): void {
  addSums(into.sums, fact, fact.valid);
  into.excluded += fact.gross - fact.valid;
  if (fact.exclusions.size > 0) addCounts(into.exclusions, fact.exclusions);
}

/** Whether its payer can be told from others. */
export function isTold({ payer, tagMode }: Lane): boolean {
  return payer !== "" && tagMode !== "anonymous";
}

/** Keeps the highest rank of each. */
export function raise(ranks: Map<Key, Rank>, key: Key, rank: Rank): void {
  const known = ranks.get(key);
  if (known === undefined || known < rank) ranks.set(key, rank);
}
