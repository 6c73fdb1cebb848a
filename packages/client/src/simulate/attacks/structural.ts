/** Attacks that the log itself shows: money or keys that lead from the payer to who is paid. */

import { DAY_SECONDS, HOUR_SECONDS, momentIn, START_SECONDS, type Stage } from "../stage.ts";
import type { Made, Model, Owner, Payer } from "../world.ts";
import {
  type Attack,
  type Buyer,
  callAt,
  crowdedSeller,
  FIRST_DAY,
  freshPurse,
  modelName,
  PRICE_ATOMIC,
  payerOf,
  type Seller,
  seller,
  spreadCalls,
  unequalShares,
} from "./attack.ts";

const startOf = (day: number) => START_SECONDS + day * DAY_SECONDS;

/** One owner pays itself, in four ways: by a role's key, with a role's money, and twice with a key that gets its role only afterwards. */
export const SELF_PAY: Attack = {
  name: "self_pay",
  structural: true,
  reason: "same_key",
  async stage(stage, owner) {
    const { world, calls } = stage;
    const quarter = Math.ceil(calls / 4);
    const purse = freshPurse(stage, PRICE_ATOMIC * BigInt(quarter));
    const open = await seller(stage, owner, "open");
    spreadCalls(stage, quarter, { label: "open publisher", owner, purse }, () => open.model);
    const paid = { ...purse, funder: open.publisher.id };
    spreadCalls(stage, quarter, { label: "role's money", owner, purse: paid }, () => open.model);
    const funder = lateNode(stage, owner, "late funder");
    const before: Buyer = {
      label: "before",
      owner,
      purse: { ...purse, funder: world.holder(`${owner} late funder`, owner).id },
    };
    stage.agenda.at(startOf(FIRST_DAY), async () => world.topUp(await payerOf(stage, before), before.purse ?? purse));
    spreadCalls(stage, quarter, before, funder, FIRST_DAY + 1);
    const session: Buyer = { label: "late session", owner, purse: freshPurse(stage, PRICE_ATOMIC * BigInt(quarter)) };
    stage.agenda.at(startOf(FIRST_DAY), () => payerOf(stage, session));
    spreadCalls(stage, quarter, session, lateNode(stage, owner, "late session"), FIRST_DAY + 1);
  },
};

/** A publisher's own test account, which it declares to be its own: that is no attack, and no demand either. */
export const DECLARED_OWNER: Attack = {
  name: "declared_owner",
  structural: true,
  reason: "declared_owner",
  async stage(stage, owner) {
    const { publisher, model } = crowdedSeller(stage, owner, 10);
    const buyer: Buyer = {
      label: "own account",
      owner,
      purse: freshPurse(stage, model.priceAtomic * BigInt(stage.calls)),
    };
    stage.agenda.at(startOf(FIRST_DAY), async () => stage.world.affiliatePayer(await payerOf(stage, buyer), publisher));
    spreadCalls(stage, stage.calls, buyer, () => model);
  },
};

/** A model whose node's key is enrolled only once it has been something else: for who wants to seem a stranger to it. */
function lateNode({ world, agenda }: Stage, owner: Owner, name: string): () => Model {
  let model: Model | undefined;
  agenda.at(startOf(FIRST_DAY) + HOUR_SECONDS, async () => {
    const node = await world.enrolled(`${owner} ${name}`, "node", owner);
    const publisher = await world.enrolled(`${owner} ${name} publisher`, "publisher", owner);
    model = await world.publish(modelName(owner, name.replaceAll(" ", "-")), publisher, node, PRICE_ATOMIC);
  });
  return () => existing(model);
}

function existing<T>(made: T | undefined): T {
  if (made === undefined) throw new Error("an attack uses what it has not made yet");
  return made;
}

/** Thirty payers with one funder: half of them that of the seller before it was one, half a wallet that nothing joins. */
export const SHARED_FUNDER: Attack = {
  name: "shared_funder",
  structural: true,
  reason: "common_funder",
  async stage(stage, owner) {
    const { world, calls } = stage;
    const model = lateNode(stage, owner, "funder");
    const plain = await seller(stage, owner, "plain");
    const purse = freshPurse(stage, PRICE_ATOMIC * BigInt(calls));
    const late = { ...purse, funder: world.holder(`${owner} funder`, owner).id };
    for (const [i, share] of unequalShares(calls, 30).entries()) {
      const buyer: Buyer = { label: `payer ${i}`, owner, purse: i % 2 === 0 ? late : purse };
      stage.agenda.at(startOf(FIRST_DAY), async () => world.topUp(await payerOf(stage, buyer), buyer.purse ?? purse));
      spreadCalls(stage, share, buyer, i % 2 === 0 ? model : () => plain.model, FIRST_DAY + 1);
    }
  },
};

/** Payers of each seller in a cycle: more than a model needs to be judged at all. */
const PAYERS_EACH = 12;

/**
 * A seller whose publisher has an account of its own, too: by that account's session key and first funder the log has the
 * seller's wallet, out of which what it earned goes on its way back.
 */
function knownSeller(stage: Stage, own: Seller): Seller & { wallet: Uint8Array } {
  const purse = freshPurse(stage, PRICE_ATOMIC);
  const wallet = purse.funder ?? own.publisher.id;
  stage.agenda.at(startOf(FIRST_DAY), async () => {
    const account = await stage.world.payerOf(own.publisher, stage.gateway, purse);
    await stage.world.topUp(account, purse);
  });
  return { ...own, wallet };
}

/** A seller and its payers; the days on which each of them pays a round, and what of a payer's round is passed on. */
type Link = { seller: ReturnType<typeof knownSeller>; payers: Buyer[]; rounds: number[]; partAtomic: bigint };

/** Puts the rounds on the agenda: in each every payer makes as many calls, the first out of a wallet that nothing joins. */
function link(stage: Stage, own: Seller, owner: Owner, name: string, calls: number): Link {
  const each = Math.ceil(calls / PAYERS_EACH);
  const roundCount = Math.min(each, stage.days - FIRST_DAY - 1);
  const callsARound = Math.ceil(each / roundCount);
  const rounds = Array.from({ length: roundCount }, (_, i) => FIRST_DAY + i);
  const roundAtomic = own.model.priceAtomic * BigInt(callsARound);
  const payers = Array.from({ length: PAYERS_EACH }, (_, i): Buyer => {
    const buyer = { label: `${name} payer ${i}`, owner, purse: freshPurse(stage, roundAtomic) };
    stage.agenda.at(startOf(FIRST_DAY), async () => stage.world.topUp(await payerOf(stage, buyer), buyer.purse));
    for (const day of rounds)
      for (let call = 0; call < callsARound; call++)
        callAt(stage, momentIn(stage.random, day, day + 1), buyer, () => own.model);
    return buyer;
  });
  // What the publisher and the node earn of it: the gateway keeps a tenth.
  return { seller: knownSeller(stage, own), payers, rounds, partAtomic: (roundAtomic * 9n) / 10n };
}

/** After every so many rounds, on the morning after, what they earned is given on for each payer. */
function passOn(
  { agenda }: Stage,
  { rounds, partAtomic }: Link,
  every: number,
  give: (amountAtomic: bigint) => Promise<unknown>,
): void {
  for (const [i, day] of rounds.entries())
    if (i % every === every - 1) agenda.at(startOf(day + 1) + HOUR_SECONDS, () => give(partAtomic * BigInt(every)));
}

/** A seller's wallet gives to each of `payers`. */
function fund(stage: Stage, { seller: { wallet } }: Link, payers: readonly Buyer[]) {
  return async (amountAtomic: bigint) => {
    for (const buyer of payers)
      await stage.world.topUp(await payerOf(stage, buyer), { funder: wallet, source: "transfer", amountAtomic });
  };
}

/** Sellers in a ring, each of which funds the payers of the next: money is back where it came from after an odd number of hops. */
function ring(name: string, sellerCount: number, structural: boolean): Attack {
  return {
    name,
    structural,
    reason: "recirculated",
    async stage(stage, owner) {
      const links: Link[] = [];
      for (let i = 0; i < sellerCount; i++) {
        const own = await seller(stage, owner, `ring-${i}`);
        links.push(link(stage, own, owner, `ring-${i}`, Math.ceil(stage.calls / sellerCount)));
      }
      for (const [i, each] of links.entries())
        passOn(stage, each, 1, fund(stage, each, links[(i + 1) % sellerCount]?.payers ?? each.payers));
    },
  };
}

/** One seller funds its own payers, who are not alone: the model is one that many others ask. `every` so many rounds. */
function crowdedCycle(name: string, rank: number, every: number): Attack {
  return {
    name,
    structural: every === 1,
    reason: "recirculated",
    async stage(stage, owner) {
      const only = link(stage, crowdedSeller(stage, owner, rank), owner, "crowd", stage.calls);
      passOn(stage, only, every, fund(stage, only, only.payers));
    },
  };
}

/** The seller funds other payers, and out of their wallets its own are funded. */
export const CYCLE_2: Attack = {
  name: "cycle_2",
  structural: true,
  reason: "recirculated",
  async stage(stage, owner) {
    const { world, agenda } = stage;
    const only = link(stage, await seller(stage, owner, "only"), owner, "only", stage.calls);
    const { payers, seller: own } = only;
    const between = payers.map((_, i) => ({ label: `between ${i}`, owner, purse: freshPurse(stage, PRICE_ATOMIC) }));
    for (const buyer of between)
      agenda.at(startOf(FIRST_DAY), async () => world.topUp(await payerOf(stage, buyer), buyer.purse));
    passOn(stage, only, 1, async (amountAtomic) => {
      for (const [i, buyer] of between.entries()) {
        const [first, money] = [payers[i] ?? buyer, { source: "transfer" as const, amountAtomic }];
        await world.topUp(await payerOf(stage, buyer), { ...money, funder: own.wallet });
        await world.topUp(await payerOf(stage, first), { ...money, funder: buyer.purse.funder });
      }
    });
  },
};

export const CYCLE_1 = ring("cycle_1", 1, true);
export const CYCLE_3 = ring("cycle_3", 2, true);
/** Over more hops than the rules follow. */
export const CYCLE_5 = ring("cycle_5", 3, false);
export const CROWDED_CYCLE = crowdedCycle("crowded_cycle", 7, 1);
/** Money that comes back after five rounds, when most of their days are closed. */
export const PATIENT_CYCLE = crowdedCycle("patient_cycle", 15, 5);

/** Forty wallets that nothing joins: all begin within twenty minutes, and call on the same days. */
async function stageUniformFarm(stage: Stage, owner: Owner, { model }: Seller): Promise<void> {
  const { random, days, calls } = stage;
  const callDays = Array.from({ length: Math.ceil(calls / 40) - 1 }, () => random.between(FIRST_DAY + 1, days - 1));
  for (let i = 0; i < 40; i++) {
    const purse = freshPurse(stage, model.priceAtomic * BigInt(callDays.length + 1));
    const buyer: Buyer = { label: `payer ${i}`, owner, purse };
    callAt(stage, startOf(FIRST_DAY) + 10 * HOUR_SECONDS + random.below(1_200), buyer, () => model);
    for (const day of callDays) callAt(stage, momentIn(random, day, day + 1), buyer, () => model);
  }
}

export const FARM_UNIFORM: Attack = {
  name: "farm_uniform",
  structural: true,
  reason: "cohort",
  stage: async (stage, owner) => stageUniformFarm(stage, owner, await seller(stage, owner, "only")),
};

/** The same at a model that many others ask. */
export const CROWDED_FARM: Attack = {
  name: "crowded_farm",
  structural: true,
  reason: "cohort",
  stage: (stage, owner) => stageUniformFarm(stage, owner, crowdedSeller(stage, owner, 9)),
};

/**
 * Payers of a model that many others ask have their money back from the gateway, which is in on it: each morning that of the day
 * so many days before.
 */
function refundedSales(name: string, rank: number, afterDays: number): Attack {
  return {
    name,
    structural: afterDays === 1,
    ownGateway: true,
    reason: "refunded",
    async stage(stage, owner) {
      const { world, agenda, random, calls, days } = stage;
      const { model } = crowdedSeller(stage, owner, rank);
      const sold = new Map<number, { payer: Payer; made: Made }[]>();
      for (const [i, share] of unequalShares(calls, PAYERS_EACH).entries()) {
        const purse = freshPurse(stage, model.priceAtomic * BigInt(share));
        const buyer: Buyer = { label: `payer ${i}`, owner, purse };
        for (let call = 0; call < share; call++) {
          const day = random.between(FIRST_DAY, days - 1);
          const follow = async (made: Made) => {
            sold.set(day, [...(sold.get(day) ?? []), { payer: await payerOf(stage, buyer), made }]);
          };
          callAt(stage, momentIn(random, day, day + 1), buyer, () => model, { follow });
        }
      }
      for (let day = FIRST_DAY; day + afterDays <= days + 1; day++)
        agenda.at(startOf(day + afterDays) + HOUR_SECONDS, async () => {
          for (const { payer, made } of sold.get(day) ?? []) await world.refund(payer, made);
        });
    },
  };
}

export const REFUNDED = refundedSales("refunded", 11, 1);
/** Money that comes back when its day is closed. */
export const PATIENT_REFUNDS = refundedSales("patient_refunds", 2, 5);
