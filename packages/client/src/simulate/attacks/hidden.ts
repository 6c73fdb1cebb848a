/** Attacks that look like strangers who buy: what can be said of them is how many get through, and what that costs. */
import { DAY_SECONDS, EXCHANGES, HOUR_SECONDS, momentIn, START_SECONDS, type Stage } from "../stage.ts";
import type { Holder, Made, Model, Owner } from "../world.ts";
import {
  type Attack,
  callAt,
  crowdedSeller,
  FIRST_DAY,
  freshPurse,
  PRICE_ATOMIC,
  payerOf,
  seller,
  spreadCalls,
  strangers,
  unequalShares,
} from "./attack.ts";

/** Two wallets make all the calls of a model. */
export const TWO_WALLETS: Attack = {
  name: "two_wallets",
  structural: false,
  async stage(stage, owner) {
    const { model } = await seller(stage, owner, "only");
    const half = Math.ceil(stage.calls / 2);
    for (const buyer of strangers(stage, owner, 2, half)) spreadCalls(stage, half, buyer, () => model);
  },
};

/** Wallets that nothing joins, which begin when they like and call as unequally as people do. */
function stageFarm(stage: Stage, owner: Owner, model: Model, count: number, gateway: Holder = stage.gateway): void {
  const shares = unequalShares(stage.calls, count);
  for (const [i, buyer] of strangers(stage, owner, count, 20).entries()) {
    const from = stage.random.between(FIRST_DAY, Math.max(FIRST_DAY, stage.days - 4));
    spreadCalls(stage, shares[i] ?? 1, { ...buyer, gateway }, () => model, from);
  }
}

export const FARM_RANDOMISED: Attack = {
  name: "farm_randomised",
  structural: false,
  stage: async (stage, owner) => stageFarm(stage, owner, (await seller(stage, owner, "only")).model, 40),
};

/** The same behind a gateway of the attacker's own, which names whatever funders it likes and keeps its own share. */
export const FARM_OWN_GATEWAY: Attack = {
  name: "farm_own_gateway",
  structural: false,
  ownGateway: true,
  async stage(stage, owner) {
    const gateway = await stage.world.enrolled(`${owner} gateway`, "gateway", owner);
    stage.gateways.push(gateway);
    stageFarm(stage, owner, (await seller(stage, owner, "only")).model, 40, gateway);
  },
};

const EXCHANGE_FEE_PER_MILLE = 2n;
const WITHDRAWAL_FEE_ATOMIC = 500n;

/** What the model earns goes to an exchange, and comes back days later to fifteen payers as anybody's withdrawal does. */
export const EXCHANGE_LOOP: Attack = {
  name: "exchange_loop",
  structural: false,
  reason: "recirculated",
  async stage(stage, owner) {
    const { world, random, calls } = stage;
    const { model } = await seller(stage, owner, "only");
    const shares = unequalShares(calls, 15);
    for (const [i, share] of shares.entries()) {
      const amountAtomic = PRICE_ATOMIC * BigInt(share);
      const purse = { funder: random.pick(EXCHANGES), source: "transfer" as const, amountAtomic };
      const buyer = { label: `payer ${i}`, owner, purse };
      const from = random.between(FIRST_DAY, Math.max(FIRST_DAY, stage.days - 4));
      stage.agenda.at(START_SECONDS + from * DAY_SECONDS, async () => {
        await world.topUp(await payerOf(stage, buyer), purse);
        world.payFee(owner, WITHDRAWAL_FEE_ATOMIC + (amountAtomic * EXCHANGE_FEE_PER_MILLE) / 1_000n);
      });
      spreadCalls(stage, share, buyer, () => model, from);
    }
  },
};

/** Fifteen friends come on the day of a launch, within two hours, and are given back outside what they pay. */
export const LAUNCH_FRIENDS: Attack = {
  name: "launch_friends",
  structural: false,
  reason: "cohort",
  async stage(stage, owner) {
    const { model } = await seller(stage, owner, "only");
    const launchSeconds = START_SECONDS + 4 * DAY_SECONDS + 16 * HOUR_SECONDS;
    const shares = unequalShares(stage.calls, 15);
    for (const [i, buyer] of strangers(stage, owner, 15, 10).entries())
      for (let call = 0; call < (shares[i] ?? 1); call++)
        callAt(stage, launchSeconds + stage.random.below(2 * HOUR_SECONDS), buyer, () => model);
  },
};

/** The publisher of a model that many ask buys a lot of it, from a wallet that nothing joins. */
export const WHALE: Attack = {
  name: "whale",
  structural: false,
  async stage(stage, owner) {
    const { model } = crowdedSeller(stage, owner, 6);
    const buyer = { label: "wallet", owner, purse: freshPurse(stage, model.priceAtomic * BigInt(stage.calls)) };
    spreadCalls(stage, stage.calls, buyer, () => model);
  },
};

/** A monitor that asks its owner's five models every hour; declared as what it is, or not. */
function probes(name: string, traffic: "probe" | "production"): Attack {
  return {
    name,
    structural: false,
    async stage(stage, owner) {
      const models: Model[] = [];
      for (let i = 0; i < 5; i++) models.push((await seller(stage, owner, `probed-${i}`)).model);
      const buyer = { label: "monitor", owner, purse: freshPurse(stage, PRICE_ATOMIC * BigInt(stage.calls)) };
      const stepSeconds = Math.floor(((stage.days - FIRST_DAY) * DAY_SECONDS) / stage.calls);
      for (let i = 0; i < stage.calls; i++) {
        const atSeconds = START_SECONDS + FIRST_DAY * DAY_SECONDS + i * stepSeconds;
        const model = models[i % models.length];
        if (model !== undefined) callAt(stage, atSeconds, buyer, () => model, { terms: { traffic } });
      }
    },
  };
}

export const PROBES_DECLARED = probes("probes_declared", "probe");
export const PROBES_UNDECLARED = probes("probes_undeclared", "production");

/** Twelve payers buy, and two reliers of the same owner state of each answer that they act on it. */
export const COLLUDING_RELIER: Attack = {
  name: "colluding_relier",
  structural: false,
  async stage(stage, owner) {
    const { world, random } = stage;
    const { model } = await seller(stage, owner, "only");
    const reliers = [
      await world.enrolled(`${owner} relier 0`, "relier", owner),
      await world.enrolled(`${owner} relier 1`, "relier", owner),
    ];
    const shares = unequalShares(stage.calls, 12);
    for (const [i, buyer] of strangers(stage, owner, 12, 20).entries()) {
      const from = random.between(FIRST_DAY, Math.max(FIRST_DAY, stage.days - 4));
      for (let call = 0; call < (shares[i] ?? 1); call++) {
        const relier = random.pick(reliers);
        const follow = (made: Made) => world.rely(relier, made);
        callAt(stage, momentIn(random, from, stage.days), buyer, () => model, { follow });
      }
    }
  },
};
