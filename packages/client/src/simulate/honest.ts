/**
 * Honest demand: many models of which most are hardly asked for, users of whom few make most calls, and what makes real
 * traffic hard to judge: cron jobs, a launch that many come to at once, sellers who buy of one another, money from exchanges.
 */
import { callsByRank, MODELS } from "./demand-shape.ts";
import type { Random } from "./random.ts";
import { DAY_SECONDS, EXCHANGES, HOUR_SECONDS, momentIn, START_SECONDS, type Stage } from "./stage.ts";
import type { CallTerms, Holder, Made, Model, Owner, Payer, Purse, Terms } from "./world.ts";

/** The one honest payer that looks like nobody else: it asks this many models. */
const AGENT_MODELS = 150;
export const AGENT: Owner = "honest/agent";

const PUBLISHERS = 60;
const SHARED_NODES = 10;
const RELIERS = 12;
const PRICES_ATOMIC = [1_000n, 500n, 2_000n, 1_000n, 200n, 20_000n];
const TOPUP_ATOMIC = 100_000n;
const TRIAL_ATOMIC = 20_000n;
/** Models that are published on this day, at three in the afternoon; many try them within two hours. */
const LAUNCHED_RANKS = [3, 14];
const LAUNCH_DAY = 6;

/** Somebody who asks: one pocket, one way to pay, one way to be seen. */
type User = {
  /** What tells its keys from others'. */
  label: string;
  owner: Owner;
  weight: number;
  purse: Purse | undefined;
  terms: Terms;
  hasTrial: boolean;
  joinDay: number;
  /** The hour at which all its calls come, of a user that is a cron job. */
  cronHour: number | undefined;
  /** Its payers by the scope of their tags. */
  payers: Map<string, Payer>;
};

type Seat = { rank: number; owners: readonly Owner[]; model: Model | undefined };

export type Demand = { seats: readonly Seat[]; users: readonly User[] };

/** Sets the network up, and puts a window of honest demand on the agenda. */
export async function stageHonest(stage: Stage): Promise<Demand> {
  const { random, days, calls } = stage;
  const sellers = await enrolSellers(stage);
  const seats = await publishModels(stage, sellers);
  const users = usersOf(stage, sellers.publishers);
  const reliers: Holder[] = [];
  for (let i = 0; i < RELIERS; i++)
    reliers.push(await stage.world.enrolled(`relier ${i}`, "relier", `honest/relier/${i}`));
  const agent = userOf({ label: "agent", owner: AGENT, weight: 1, purse: ownPurse(random) });
  for (const [rank, count] of callsByRank(calls).entries()) {
    const seat = seats[rank];
    if (seat === undefined) continue;
    const byAgent = rank < AGENT_MODELS ? Math.min(4, Math.ceil(count / 2)) : 0;
    const pool = poolOf(random, seat, users, count);
    for (let i = 0; i < count; i++) {
      const time = timeFor(random, seat, days, i < byAgent);
      const user = i < byAgent ? agent : userAt(random, pool, time);
      stageCall(stage, { seat, user, atSeconds: cronTime(random, user, time), reliers });
    }
  }
  return { seats, users };
}

type Sellers = { publishers: Holder[]; nodes: Holder[] };

async function enrolSellers({ world }: Stage): Promise<Sellers> {
  const sellers: Sellers = { publishers: [], nodes: [] };
  for (let i = 0; i < PUBLISHERS; i++)
    sellers.publishers.push(await world.enrolled(`publisher ${i}`, "publisher", `honest/seller/${i}`));
  // Three in four publishers run a node; the others have one of those that run anybody's models.
  for (const [i, publisher] of sellers.publishers.entries()) {
    if (i % 4 === 0) continue;
    const node = await world.enrolled(`node ${i}`, "node", publisher.owner);
    sellers.nodes.push(node);
    await world.affiliate(publisher, node);
  }
  for (let i = 0; i < SHARED_NODES; i++)
    sellers.nodes.push(await world.enrolled(`shared node ${i}`, "node", `honest/host/${i}`));
  return sellers;
}

async function publishModels({ world, agenda, days }: Stage, { publishers, nodes }: Sellers): Promise<Seat[]> {
  const seats: Seat[] = [];
  for (let rank = 0; rank < MODELS; rank++) {
    const publisher = publishers[rank % PUBLISHERS];
    if (publisher === undefined) continue;
    const own = nodes.find(({ owner }) => owner === publisher.owner);
    const node = own ?? nodes[nodes.length - 1 - (rank % SHARED_NODES)] ?? publisher;
    const priceAtomic = rank % 8 === 5 ? 0n : (PRICES_ATOMIC[rank % PRICES_ATOMIC.length] ?? 1_000n);
    const seat: Seat = { rank, owners: [publisher.owner, node.owner], model: undefined };
    seats.push(seat);
    const publish = async () => {
      seat.model = await world.publish(`honest/model-${rank}`, publisher, node, priceAtomic);
    };
    if (isLaunched(rank, days)) agenda.at(launchSeconds(), publish);
    else await publish();
  }
  return seats;
}

const isLaunched = (rank: number, days: number) => LAUNCHED_RANKS.includes(rank) && days > LAUNCH_DAY + 1;
const launchSeconds = () => START_SECONDS + LAUNCH_DAY * DAY_SECONDS + 15 * HOUR_SECONDS;
const isFreeRank = (rank: number) => rank % 8 === 5;

function userOf(known: Pick<User, "label" | "owner" | "weight" | "purse"> & Partial<User>): User {
  return { terms: {}, hasTrial: false, joinDay: 0, cronHour: undefined, payers: new Map(), ...known };
}

function ownPurse(random: Random): Purse {
  return { funder: random.bytes(32), source: "transfer", amountAtomic: TOPUP_ATOMIC };
}

/** One user to some thirty calls; the i-th makes as many as 1/(i + 3) of them. */
function usersOf({ random, calls, days }: Stage, publishers: readonly Holder[]): User[] {
  const count = Math.min(3_000, Math.max(80, Math.floor(calls / 33)));
  return Array.from({ length: count }, (_, i) => {
    // Some who sell buy as well, of others; two of them with their own role's key.
    const seller = i % 25 === 11 ? publishers[(i >> 2) % PUBLISHERS] : undefined;
    const sellersKey = seller !== undefined && random.chance(300) ? seller.id : undefined;
    return userOf({
      label: `user ${i}`,
      owner: seller?.owner ?? `honest/user/${i}`,
      weight: Math.floor(20_000 / (i + 3)),
      purse: purseOf(random, sellersKey),
      terms: { tagMode: tagModeOf(random), custody: custodyOf(random) },
      hasTrial: random.chance(80),
      joinDay: i % 5 < 3 ? 0 : random.below(Math.max(1, Math.floor((days * 3) / 4))),
      cronHour: i % 10 === 7 ? random.below(24) : undefined,
    });
  });
}

/** Nothing, for those who ask free models only; else a wallet's own, an exchange's, or one that the gateway does not name. */
function purseOf(random: Random, sellersKey: Uint8Array | undefined): Purse | undefined {
  const own = ownPurse(random);
  if (sellersKey !== undefined) return { ...own, funder: sellersKey };
  const kind = random.weighted([120, 600, 230, 50]);
  if (kind === 0) return undefined;
  if (kind === 2) return { ...own, funder: random.pick(EXCHANGES) };
  return kind === 3 ? { ...own, funder: undefined } : own;
}

const tagModeOf = (random: Random) =>
  random.choose([
    ["stable", 830],
    ["scoped", 120],
    ["anonymous", 50],
  ] as const);
const custodyOf = (random: Random) =>
  random.choose([
    ["wallet", 40],
    ["account", 35],
    ["gateway", 25],
  ] as const);

/** Who asks a model at all: twice the root of its calls, for want of public figures; nobody of their own. */
function poolOf(random: Random, { rank, owners }: Seat, users: readonly User[], calls: number): User[] {
  const fit = users.filter(({ owner, purse }) => !owners.includes(owner) && (purse !== undefined || isFreeRank(rank)));
  const weights = fit.map(({ weight }) => weight);
  const size = Math.min(fit.length, 2 * Math.ceil(Math.sqrt(calls)));
  const pool = new Set<User>();
  for (let tries = 0; pool.size < size && tries < 8 * size; tries++) {
    const user = fit[random.weighted(weights)];
    if (user !== undefined) pool.add(user);
  }
  return [...pool];
}

function timeFor(random: Random, { rank }: Seat, days: number, isAgent: boolean): number {
  if (!isLaunched(rank, days)) return momentIn(random, 0, days);
  if (!isAgent && random.chance(150)) return launchSeconds() + 60 + random.below(2 * HOUR_SECONDS);
  return momentIn(random, LAUNCH_DAY + 1, days);
}

/** One of the pool who has joined by then. */
function userAt(random: Random, pool: readonly User[], timeSeconds: number): User {
  const day = Math.floor((timeSeconds - START_SECONDS) / DAY_SECONDS);
  const joined = pool.filter(({ joinDay }) => joinDay <= day);
  const here = joined.length > 0 ? joined : pool;
  const user = here[random.weighted(here.map(({ weight }) => weight))];
  if (user === undefined) throw new RangeError("nobody asks this model");
  return user;
}

function cronTime(random: Random, { cronHour }: User, timeSeconds: number): number {
  if (cronHour === undefined) return timeSeconds;
  const midnight = timeSeconds - (timeSeconds % DAY_SECONDS);
  const run = midnight + cronHour * HOUR_SECONDS + random.below(120);
  return run < timeSeconds ? run + DAY_SECONDS : run; // Never before what it asks is published.
}

type Call = { seat: Seat; user: User; atSeconds: number; reliers: readonly Holder[] };

/** Puts a call on the agenda, with what comes of some calls: tests, failures, refunds, acknowledgements, reliances. */
function stageCall(stage: Stage, { seat, user, atSeconds, reliers }: Call): void {
  const { world, agenda, random } = stage;
  const isRelied = random.chance(30);
  const terms: CallTerms = {
    traffic: random.choose([
      ["production", 980],
      ["test", 15],
      ["probe", 5],
    ] as const),
    status: random.chance(25) ? "failed" : "ok",
    ...(isRelied && random.chance(300) ? { decision: random.bytes(16) } : {}),
  };
  const [isAccepted, isRefunded, relier] = [random.chance(200), random.chance(3), random.pick(reliers)];
  agenda.at(atSeconds, async () => {
    if (seat.model === undefined) throw new Error("a model is asked for before it is published");
    const payer = await payerAt(stage, user, atSeconds);
    const made = await world.call(payer, seat.model, terms);
    await follow(stage, { payer, made, ...(isRelied ? { relier } : {}), isAccepted, isRefunded });
  });
}

type Outcome = { payer: Payer; made: Made; relier?: Holder; isAccepted: boolean; isRefunded: boolean };

async function follow({ world }: Stage, { payer, made, relier, isAccepted, isRefunded }: Outcome): Promise<void> {
  if (made.receipt.exclusion !== undefined) return;
  if (isAccepted) await world.acknowledge(payer, made);
  if (relier !== undefined) await world.rely(relier, made);
  if (isRefunded && made.priceAtomic > 0n) await world.refund(payer, made);
}

/** The payer that a user is at that time: a scoped tag is another one each week. */
async function payerAt({ world, gateway }: Stage, user: User, atSeconds: number): Promise<Payer> {
  const week = Math.floor((atSeconds - START_SECONDS) / (7 * DAY_SECONDS));
  const scope = user.terms.tagMode === "scoped" ? `week ${week}` : "";
  const known = user.payers.get(scope);
  if (known !== undefined) return known;
  const label = `session of ${user.label} ${scope}`;
  const payer = await world.payer(label, user.owner, gateway, user.purse, user.terms);
  user.payers.set(scope, payer);
  const trial: Purse = { funder: undefined, source: "operator", amountAtomic: TRIAL_ATOMIC };
  if (user.hasTrial && user.purse !== undefined) await world.topUp(payer, trial);
  return payer;
}
