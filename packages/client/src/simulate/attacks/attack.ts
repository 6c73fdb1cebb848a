/** What an attack is here, and the parts that most are made of. */
import { keyOf, type Label } from "@tallystick/protocol";
import { momentIn, type Stage } from "../stage.ts";
import type { CallTerms, Holder, Made, Model, Owner, Payer, Purse, Terms } from "../world.ts";

export type Attack = {
  name: Owner;
  /** Whether what is wrong with it stands in the log: self-pay, cycles of up to three hops, a shared funder, uniform cohorts. */
  structural: boolean;
  /** Whether it keeps the gateway's share, too. */
  ownGateway?: boolean;
  /** The rule that is to see it; undefined where none claims to. */
  reason?: Label;
  stage(stage: Stage, owner: Owner): Promise<void>;
};

export const PRICE_ATOMIC = 1_000n;
/** Attacks begin on this day, once the network has demand to hide in. */
export const FIRST_DAY = 2;

export type Seller = { publisher: Holder; node: Holder; model: Model };

/** A publisher, its node, and one model. */
export async function seller(
  { world }: Stage,
  owner: Owner,
  name: string,
  priceAtomic: bigint = PRICE_ATOMIC,
): Promise<Seller> {
  const publisher = await world.enrolled(`${owner} ${name} publisher`, "publisher", owner);
  const node = await world.enrolled(`${owner} ${name} node`, "node", owner);
  return { publisher, node, model: await world.publish(modelName(owner, name), publisher, node, priceAtomic) };
}

/**
 * A model that many honest payers ask, whose publisher and node turn out to be the attacker's: what honest payers pay them is
 * none of its loss.
 */
export function crowdedSeller({ world }: Stage, owner: Owner, rank: number): Seller {
  const found = [...world.fold.models.values()].find(({ manifest }) => manifest.name === `honest/model-${rank}`);
  const publisher = world.holder(`publisher ${rank}`, owner);
  const node = world.holder(`node ${rank}`, owner);
  if (found === undefined || found.publisher !== keyOf(publisher.id)) throw new Error(`no model of rank ${rank}`);
  const { revision, priceAtomic } = found;
  return { publisher, node, model: { revision, priceAtomic, publisher, node } };
}

export const modelName = (owner: Owner, name: string) => `attack/${owner}-${name}`.replaceAll("_", "-");

/** A wallet that was never used for anything else, with `amountAtomic` for each top-up. */
export function freshPurse({ random }: Stage, amountAtomic: bigint): Purse {
  return { funder: random.bytes(32), source: "transfer", amountAtomic };
}

/** A payer that comes into being with its first call. */
export type Buyer = {
  label: string;
  owner: Owner;
  purse: Purse | undefined;
  terms?: Terms;
  gateway?: Holder;
  payer?: Payer;
};

export async function payerOf({ world, gateway }: Stage, buyer: Buyer): Promise<Payer> {
  const { label, owner, purse, terms } = buyer;
  buyer.payer ??= await world.payer(`${owner} ${label}`, owner, buyer.gateway ?? gateway, purse, terms);
  return buyer.payer;
}

/** Puts one call on the agenda. */
export function callAt(
  stage: Stage,
  atSeconds: number,
  buyer: Buyer,
  model: () => Model,
  { terms, follow }: { terms?: CallTerms; follow?: (made: Made) => Promise<unknown> } = {},
): void {
  stage.agenda.at(atSeconds, async () => {
    const made = await stage.world.call(await payerOf(stage, buyer), model(), terms);
    await follow?.(made);
  });
}

/** Puts `count` calls on the agenda, at moments as people have them. */
export function spreadCalls(
  stage: Stage,
  count: number,
  buyer: Buyer,
  model: () => Model,
  fromDay: number = FIRST_DAY,
): void {
  for (let i = 0; i < count; i++) callAt(stage, momentIn(stage.random, fromDay, stage.days), buyer, model);
}

/** Payers whose wallets nothing joins, each with money for `callsEach` calls at a time. */
export function strangers(stage: Stage, owner: Owner, count: number, callsEach: number, terms?: Terms): Buyer[] {
  return Array.from({ length: count }, (_, i) => ({
    label: `payer ${i}`,
    owner,
    purse: freshPurse(stage, PRICE_ATOMIC * BigInt(callsEach)),
    ...(terms === undefined ? {} : { terms }),
  }));
}

/** Shares of `total` as unequal as honest payers' are: the i-th has 1/(i + 3) of them. */
export function unequalShares(total: number, count: number): number[] {
  const weights = Array.from({ length: count }, (_, i) => Math.floor(20_000 / (i + 3)));
  const sum = weights.reduce((all, weight) => all + weight, 0);
  return weights.map((weight) => Math.max(1, Math.floor((total * weight) / sum)));
}
