/** What attacks do to the headlines: what each would say of honest demand alone, what it says, and what a hundredth of it costs. */
import { clustersOf, type Key, reliedOn } from "@tallystick/protocol";
import { ATTACKS } from "./attacks/table.ts";
import { type Measured, sumOfTallies, type Tally, tallyOf } from "./measure.ts";
import { SIMULATED_RULES } from "./simulate.ts";
import type { Owner, World } from "./world.ts";

/** Money is a decimal text of atomic units; the rest are counts. */
export type Headline = {
  metric: string;
  /** Of what honest payers did, by what is known of them. */
  honest: number | string;
  /** By the rules, of all there is. */
  shown: number | string;
  /**
   * What it costs for good to raise it by a hundredth of the honest figure, by the cheapest attack through another's gateway;
   * null where none raises it. Whoever has a gateway of its own pays nothing.
   */
  costToMove1Percent: string | null;
  /** That attack. */
  by: Owner | null;
};

type Source = {
  metric: string;
  isMoney?: boolean;
  honest: bigint;
  shown: bigint;
  /** How much of what is shown is that attack's. */
  gainOf(attack: Owner): bigint;
};

export function headlinesOf(measured: Measured, world: World, lost: ReadonlyMap<Owner, bigint>): Headline[] {
  return sourcesOf(measured, world).map((source) => headlineOf(source, lost));
}

function headlineOf({ metric, isMoney = false, honest, shown, gainOf }: Source, lost: ReadonlyMap<Owner, bigint>) {
  const figure = (amount: bigint) => (isMoney ? String(amount) : Number(amount));
  let [cheapest, by]: [bigint | null, Owner | null] = [null, null];
  for (const { name, ownGateway } of ATTACKS) {
    if (ownGateway) continue;
    const gain = gainOf(name);
    if (gain <= 0n) continue;
    const costAtomic = ((lost.get(name) ?? 0n) * honest) / (gain * 100n);
    if (cheapest === null || costAtomic < cheapest) [cheapest, by] = [costAtomic, name];
  }
  const costToMove1Percent = cheapest === null ? null : String(cheapest);
  return { metric, honest: figure(honest), shown: figure(shown), costToMove1Percent, by };
}

function sourcesOf({ byOwner, judged }: Measured, world: World): Source[] {
  const attacks = new Set(ATTACKS.map(({ name }) => name));
  const all = sumOfTallies(byOwner.values());
  const honest = sumOfTallies([...byOwner].filter(([owner]) => !attacks.has(owner)).map(([, tally]) => tally));
  const paid = [...judged.keys()].filter(({ owner, priceAtomic }) => !attacks.has(owner) && priceAtomic > 0n);
  const [paidCount, paidAtomic] = [BigInt(paid.length), paid.reduce((sum, made) => sum + made.priceAtomic, 0n)];
  const of = (amount: (tally: Tally) => number | bigint) => ({
    shown: BigInt(amount(all)),
    gainOf: (attack: Owner) => BigInt(amount(tallyOf(byOwner, attack))),
  });
  const payers = new Set(paid.map(({ owner }) => owner));
  const models = new Set(paid.map(({ receipt }) => receipt.model));
  const honestModels: ReadonlySet<Key> = honest.models;
  return [
    { metric: "valid_inferences", honest: BigInt(honest.valid), ...of(({ valid }) => valid) },
    { metric: "organic_inferences", honest: paidCount, ...of(({ organic }) => organic) },
    { metric: "floor_inferences", honest: paidCount, ...of(({ floor }) => floor) },
    { metric: "organic_revenue", isMoney: true, honest: paidAtomic, ...of(({ organicAtomic }) => organicAtomic) },
    { metric: "organic_payers", honest: BigInt(payers.size), ...of(({ clusters }) => clusters.size) },
    {
      metric: "active_models",
      honest: BigInt(models.size),
      ...of(({ models }) => [...models].length),
      gainOf: (attack) =>
        BigInt([...tallyOf(byOwner, attack).models].filter((model) => !honestModels.has(model)).length),
    },
    { metric: "decisions_relied_on", ...decisionsOf(world, attacks) },
  ];
}

/** Decisions that somebody relied on, by who made the calls behind them. */
function decisionsOf({ fold, made }: World, attacks: ReadonlySet<Owner>): Omit<Source, "metric"> {
  const ownerOf = new Map<Key, Owner>();
  const { decisions } = reliedOn(fold, clustersOf(fold, SIMULATED_RULES));
  for (const { receipt, owner } of made) if (decisions.has(receipt.decision)) ownerOf.set(receipt.decision, owner);
  const countOf = (isCounted: (owner: Owner) => boolean) => BigInt([...ownerOf.values()].filter(isCounted).length);
  return {
    honest: countOf((owner) => !attacks.has(owner)),
    shown: BigInt(decisions.size),
    gainOf: (attack) => countOf((owner) => owner === attack),
  };
}
