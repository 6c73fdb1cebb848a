/** A fold made to be judged: parties, money and calls put straight into what a fold keeps of them, without a log. */
import { createHash } from "node:crypto";
import {
  addEpoch,
  createFold,
  dayOf,
  type FoldState,
  type Funding,
  factOf,
  type Judgement,
  judgeDay,
  type Key,
  keyOf,
  type Label,
  type Lane,
  laneOf,
  parseManifest,
  type Role,
  type Session,
  WASH_RULES,
  type WashRules,
} from "@tallystick/protocol";
import { NOON_SECONDS } from "./one-receipt.ts";
import { tagOf, UsageLog } from "./usage-log.ts";

const MANIFEST = parseManifest(new UsageLog().manifestOf("example/double"));

/** The id of a key of that name. */
export function idOf(name: string): Key {
  return keyOf(new Uint8Array(createHash("sha256").update(`key ${name}`).digest()));
}

export function tag(name: string): Key {
  return keyOf(tagOf(name));
}

export type Call = {
  payer: string;
  model: string;
  node?: string;
  calls?: number;
  priceAtomic?: bigint;
  units?: number;
  outputUnits?: number;
  atSeconds?: number;
  funding?: Funding;
};

type Terms = Partial<Pick<Session, "tagMode">> & { key?: string; gateway?: string };

export class Market {
  readonly fold: FoldState = createFold();
  readonly #sessions = new Map<string, Session>();

  constructor() {
    this.enrol("gateway", "gateway");
    this.enrol("node", "node");
  }

  enrol(name: string, role: Role): void {
    const spki = new Uint8Array(91);
    this.fold.keys.set(idOf(name), { role, spki, name, domain: undefined, index: this.#next(), retired: false });
  }

  publish(model: string, publisher: string): void {
    const prices = { priceAtomic: 100n, unitPriceAtomic: 0n, outputUnitPriceAtomic: 0n };
    const says = { revision: new Uint8Array(32), manifest: MANIFEST, publisher: idOf(publisher), yanked: false };
    this.fold.models.set(idOf(model), { ...says, ...prices, index: this.#next() });
  }

  /** A session for a payer's tag; each has a key of its own unless another is named. */
  grant(payer: string, { key = `key of ${payer}`, gateway = "gateway", tagMode = "stable" }: Terms = {}): void {
    const id = `session ${this.fold.size}`;
    const session: Session = {
      id,
      index: this.#next(),
      custody: "account",
      payer: tag(payer),
      tagMode,
      app: undefined,
      gateway: idOf(gateway),
      sessionKey: new Uint8Array(91),
      sessionKeyId: idOf(key),
      expiry: NOON_SECONDS * 2,
      paymentClass: "credits",
      budgetAtomic: 10n ** 18n,
      spentAtomic: 0n,
      selfDealing: false,
      usedNonces: new Set(),
      lane: undefined,
    };
    this.#sessions.set(payer, session);
    this.fold.sessions.set(id, session);
  }

  fund(payer: string, funder: string | undefined, amountAtomic: bigint, atSeconds = NOON_SECONDS): void {
    const from = funder === undefined ? undefined : idOf(funder);
    const role = this.fold.keys.get(from ?? "")?.role;
    const isOperators = role !== undefined && role !== "relier" && role !== "disputer";
    this.fold.demand.funded.push({
      index: this.#next(atSeconds),
      payer: tag(payer),
      funder: from,
      amountAtomic,
      isOperators,
    });
  }

  /** A receipt of one of the lane's calls at a time, and what was given back of it at another. */
  refund(lane: Lane, amountAtomic: bigint, paidSeconds = NOON_SECONDS, atSeconds = paidSeconds): void {
    const receipt = this.addReceipt(lane, `refunded ${this.fold.size}`, paidSeconds);
    const index = this.#next(atSeconds);
    this.fold.demand.refunds.push({ index, receipt, amountAtomic, subsidisedAtomic: 0n });
  }

  /** A receipt of that id in a lane. */
  addReceipt(lane: Lane, id: Key, atSeconds = NOON_SECONDS): Key {
    const { model, node, payer, custody } = lane;
    const said = { statement: id, session: "", decision: id, exclusion: undefined, acknowledged: false };
    const checked = { openable: false, asked: false, attested: undefined, tier: undefined };
    const index = this.#next(atSeconds);
    this.fold.receipts.set(id, { index, model, node, payer, custody, lane, ...said, ...checked });
    return id;
  }

  /** Both say that the other is of one owner with it. */
  affiliate(one: string, other: string): void {
    this.declare(one, other);
    this.declare(other, one);
  }

  declare(by: string, other: string): void {
    const { affiliations } = this.fold.demand;
    affiliations.set(idOf(by), (affiliations.get(idOf(by)) ?? new Set()).add(idOf(other)));
  }

  /** Valid calls in one hour, and the lane that they are of. */
  call({ payer, model, node = "node", calls = 1, priceAtomic = 100n, units = 1, ...rest }: Call): Lane {
    const { atSeconds = NOON_SECONDS, funding = "funded", outputUnits = 0 } = rest;
    if (!this.#sessions.has(payer)) this.grant(payer);
    this.#sessions.get(payer)?.usedNonces.add(0);
    const { demand } = this.fold;
    const lane = laneOf(demand, this.#sessions.get(payer), { funding, model: idOf(model), node: idOf(node) });
    const fact = factOf(demand, dayOf(atSeconds), atSeconds, lane);
    fact.gross += calls;
    fact.valid += calls;
    fact.units += BigInt(calls) * BigInt(units);
    fact.outputUnits += BigInt(calls) * BigInt(outputUnits);
    if (funding !== "free") fact.priceAtomic += priceAtomic * BigInt(calls);
    if (funding === "subsidised") fact.subsidisedAtomic += priceAtomic * BigInt(calls);
    const pair = lane.payer + lane.model;
    demand.firstCalls.set(pair, Math.min(demand.firstCalls.get(pair) ?? atSeconds, atSeconds));
    this.#next(atSeconds);
    return lane;
  }

  judge(day = dayOf(NOON_SECONDS), rules: WashRules = WASH_RULES): Judgement {
    return judgeDay(this.fold, day, rules);
  }

  labelOf(lane: Lane, day?: string, rules?: WashRules): Label | "organic" {
    return this.judge(day, rules).labels.get(lane) ?? "organic";
  }

  /** The next index, at a time. */
  #next(timeSeconds = NOON_SECONDS): number {
    const index = this.fold.size++;
    addEpoch(this.fold, { size: this.fold.size, timeSeconds, index });
    this.fold.timeSeconds = Math.max(this.fold.timeSeconds ?? 0, timeSeconds);
    return index;
  }
}

/** Payers of their own money, whose first calls of a model come one after another over a day. */
export function addHonest(market: Market, model: string, payers: number, calls = 5): Lane[] {
  return Array.from({ length: payers }, (_, i) => {
    const payer = `honest ${model} ${i}`;
    market.fund(payer, `purse of ${payer}`, 5_000_000n);
    // From the day before: noon is the middle of the judged one.
    const atSeconds = NOON_SECONDS - 43_000 + Math.floor((i * 86_000) / payers);
    return market.call({ payer, model, calls, atSeconds });
  });
}

/** A model with fifteen honest payers, so that nothing on it is too few to judge. */
export function marketWith(...models: string[]): Market {
  const market = new Market();
  for (const model of models) {
    market.publish(model, `publisher of ${model}`);
    addHonest(market, model, 15);
  }
  return market;
}

/** What a market's lanes are, of the day of noon. */
export function labelsOf(market: Market, lanes: readonly Lane[]): Set<Label | "organic"> {
  const { labels } = market.judge();
  return new Set(lanes.map((lane) => labels.get(lane) ?? "organic"));
}
