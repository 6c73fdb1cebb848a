/** Attacks that are not paid for with money that is known to be a payer's. */
import type { Stage } from "../stage.ts";
import type { Owner, Purse, Terms } from "../world.ts";
import { type Attack, PRICE_ATOMIC, seller, spreadCalls, strangers, unequalShares } from "./attack.ts";

type Money = { priceAtomic?: bigint; purse?: Purse; terms?: Terms };

/** Payers that nothing joins, whose money is not what a payer's should be. */
async function stageCrowd(stage: Stage, owner: Owner, count: number, money: Money): Promise<void> {
  const { model } = await seller(stage, owner, "only", money.priceAtomic);
  const shares = unequalShares(stage.calls, count);
  for (const [i, buyer] of strangers(stage, owner, count, 20, money.terms).entries()) {
    const purse = money.priceAtomic === 0n ? undefined : (money.purse ?? buyer.purse);
    spreadCalls(stage, shares[i] ?? 1, { ...buyer, purse }, () => model);
  }
}

const CREDIT: Purse = { funder: undefined, source: "transfer", amountAtomic: PRICE_ATOMIC * 20n };

/** Sixty keys that cost nothing ask a model that costs nothing. */
export const FREE_KEYS: Attack = {
  name: "free_keys",
  structural: false,
  reason: "free",
  stage: (stage, owner) => stageCrowd(stage, owner, 60, { priceAtomic: 0n }),
};

/** The operator gives credits away, which are spent on its own model. */
export const OPERATOR_CREDITED: Attack = {
  name: "operator_credited",
  structural: false,
  reason: "subsidised",
  stage: (stage, owner) => stageCrowd(stage, owner, 20, { purse: { ...CREDIT, source: "operator" } }),
};

/** The gateway's bare word that money came in: it names nobody whose it was. */
export const UNNAMED_FUNDER: Attack = {
  name: "unnamed_funder",
  structural: false,
  reason: "unattributed",
  stage: (stage, owner) => stageCrowd(stage, owner, 20, { purse: CREDIT }),
};

/** Payers who choose to be nobody. */
export const ANONYMOUS_FARM: Attack = {
  name: "anonymous_farm",
  structural: false,
  reason: "anonymous",
  stage: (stage, owner) => stageCrowd(stage, owner, 30, { terms: { tagMode: "anonymous" } }),
};
