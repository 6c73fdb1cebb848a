/** A run in figures: each attack, honest demand, each reason and each headline. Money is a decimal text of atomic units. */
import { hex, keyOf, LABELS, type Label, rulesDigest } from "@tallystick/protocol";
import { ATTACKS } from "./attacks/table.ts";
import { REPLICATE, type Shape, shapeOf } from "./demand-shape.ts";
import { type Headline, headlinesOf } from "./headlines.ts";
import { AGENT } from "./honest.ts";
import { irrecoverable } from "./ledger.ts";
import { type Measured, sumOfTallies, type Tally, tallyOf } from "./measure.ts";
import { SIMULATED_RULES, type Simulation } from "./simulate.ts";
import type { Made, Owner, World } from "./world.ts";

export type AttackRow = {
  name: string;
  structural: boolean;
  /** Receipts in the log. */
  volume: number;
  validShare: number;
  organicShare: number;
  /** What was paid for good for each 1,000 organic receipts; null where there is none. */
  costToFake: string | null;
};

export type HonestFigures = {
  volume: number;
  /** Of the valid receipts that somebody paid for. */
  paid: number;
  /** Of those: labelled as wash, which is wrong; in models too small to judge; and organic. */
  excludedShare: number;
  tooFewShare: number;
  organicShare: number;
  /** Of those that come under it: money that was given back, money from a gateway's bare word, an operator's, and payers who are nobody. */
  refundedShare: number;
  unattributedShare: number;
  subsidisedShare: number;
  anonymousShare: number;
  /** Of the paid receipts of the agent that asks 150 models: labelled as wash. */
  agentExcludedShare: number;
};

export type ReasonRow = { label: Label; count: number; precision: number | null; recall: number | null };

export type SimulationReport = {
  seed: number;
  days: number;
  receipts: number;
  rules: { version: string; digest: string };
  /** How demand is spread over models, per mille: Replicate's, and this run's. */
  fit: { replicate: Shape; simulated: Shape };
  attacks: AttackRow[];
  honest: HonestFigures;
  reasons: ReasonRow[];
  metrics: Headline[];
};

/** Labels that say that somebody pays themselves. */
const WASH: readonly Label[] = [
  "same_key",
  "declared_owner",
  "common_funder",
  "recirculated",
  "closed_cluster",
  "cohort",
];
/** Labels that say what the log says, of whoever it is. */
const STATED: readonly Label[] = ["free", "subsidised", "unattributed", "anonymous"];

const ATTACK_OF = new Map(ATTACKS.map((attack) => [attack.name, attack]));
const isHonest = (owner: Owner) => !ATTACK_OF.has(owner);

export function reportOf({ seed, days, world, demand, measured }: Simulation): SimulationReport {
  const lost = irrecoverable(world);
  const { version } = SIMULATED_RULES;
  const byModel = new Map<string, number>();
  for (const { receipt, owner } of world.made)
    if (isHonest(owner)) byModel.set(receipt.model, (byModel.get(receipt.model) ?? 0) + 1);
  const calls = [...byModel.values(), ...demand.seats.slice(byModel.size).map(() => 0)];
  return {
    seed,
    days,
    receipts: world.made.length,
    rules: { version, digest: hex(rulesDigest(SIMULATED_RULES)) },
    fit: { replicate: REPLICATE, simulated: shapeOf(calls) },
    attacks: ATTACKS.map(({ name, structural }) => ({
      name,
      structural,
      ...attackFigures(tallyOf(measured.byOwner, name), lost.get(name) ?? 0n),
    })),
    honest: honestFigures(measured),
    reasons: LABELS.map((label) => reasonRow(measured, world, label)),
    metrics: headlinesOf(measured, world, lost),
  };
}

function attackFigures({ gross, valid, organic }: Tally, lostAtomic: bigint): Omit<AttackRow, "name" | "structural"> {
  const costToFake = organic === 0 ? null : String((lostAtomic * 1_000n) / BigInt(organic));
  return { volume: gross, validShare: share(valid, gross), organicShare: share(organic, gross), costToFake };
}

function honestFigures({ byOwner, judged }: Measured): HonestFigures {
  const paid = [...judged].filter(([{ owner, priceAtomic }]) => isHonest(owner) && priceAtomic > 0n);
  const labelled =
    (labels: readonly (Label | undefined)[]) => (from: readonly (readonly [Made, Label | undefined])[]) =>
      share(from.filter(([, label]) => labels.includes(label)).length, from.length);
  return {
    volume: sumOfTallies([...byOwner].filter(([owner]) => isHonest(owner)).map(([, tally]) => tally)).gross,
    paid: paid.length,
    excludedShare: labelled(WASH)(paid),
    tooFewShare: labelled(["too_few"])(paid),
    organicShare: labelled([undefined])(paid),
    refundedShare: labelled(["refunded"])(paid),
    unattributedShare: labelled(["unattributed"])(paid),
    subsidisedShare: labelled(["subsidised"])(paid),
    anonymousShare: labelled(["anonymous"])(paid),
    agentExcludedShare: labelled(WASH)(paid.filter(([{ owner }]) => owner === AGENT)),
  };
}

/**
 * Of the receipts with a label, those that have it rightly; and of those that should have it, those that have it or another that
 * says what they are. That a model is too small to judge is neither right nor wrong.
 */
function reasonRow({ judged }: Measured, { fold }: World, label: Label): ReasonRow {
  const labelled = [...judged].filter(([, given]) => given === label);
  const counted = { label, count: labelled.length };
  if (label === "too_few") return { ...counted, precision: null, recall: null };
  const isGivenBack = ({ id }: Made) => (fold.credits.payments.get(keyOf(id))?.refundedAtomic ?? 0n) > 0n;
  const isRight = (made: Made) => {
    if (STATED.includes(label)) return made.stated === label;
    return !isHonest(made.owner) || (label === "refunded" && isGivenBack(made));
  };
  const due = [...judged].filter(([made]) =>
    STATED.includes(label) ? made.stated === label : ATTACK_OF.get(made.owner)?.reason === label,
  );
  const seen = due.filter(([, given]) => given !== undefined && given !== "too_few");
  return {
    ...counted,
    precision: labelled.length === 0 ? null : share(labelled.filter(([made]) => isRight(made)).length, labelled.length),
    recall: due.length === 0 ? null : share(seen.length, due.length),
  };
}

export function share(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}
