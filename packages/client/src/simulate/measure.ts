/** What the rules make of each receipt of a closed day, beside what the simulation knows of it. */
import { type Judgement, type Key, type Label, STRATA } from "@tallystick/protocol";
import type { Made, Owner } from "./world.ts";

/** Receipts of one owner, by what they came to. */
export type Tally = Record<(typeof STRATA)[number], number> & {
  labels: Map<Label, number>;
  organicAtomic: bigint;
  /** Payer clusters with an organic receipt, and models with one. */
  clusters: Set<Key>;
  models: Set<Key>;
};

export type Measured = {
  byOwner: Map<Owner, Tally>;
  /** What each receipt that counts as valid was judged as; undefined where it is organic. */
  judged: Map<Made, Label | undefined>;
};

export function createMeasured(): Measured {
  return { byOwner: new Map(), judged: new Map() };
}

/** Adds the receipts of `day`, as `judgement` has that day. */
export function measureDay({ byOwner, judged }: Measured, made: readonly Made[], judgement: Judgement): void {
  for (const each of made) {
    const { receipt, owner } = each;
    const tally = tallyOf(byOwner, owner);
    tally.gross++;
    if (receipt.exclusion !== undefined) continue;
    tally.valid++;
    const label = judgement.labels.get(receipt.lane);
    judged.set(each, label);
    if (label !== undefined) {
      tally.labels.set(label, (tally.labels.get(label) ?? 0) + 1);
      continue;
    }
    tally.organic++;
    tally.organicAtomic += each.priceAtomic;
    tally.clusters.add(judgement.clusterOf(receipt.payer));
    tally.models.add(receipt.model);
    if (judgement.floor.has(receipt.lane)) tally.floor++;
  }
}

export function tallyOf(byOwner: Map<Owner, Tally>, owner: Owner): Tally {
  let tally = byOwner.get(owner);
  if (tally === undefined) {
    tally = emptyTally();
    byOwner.set(owner, tally);
  }
  return tally;
}

function emptyTally(): Tally {
  const counts = { gross: 0, valid: 0, organic: 0, floor: 0, organicAtomic: 0n };
  return { ...counts, labels: new Map(), clusters: new Set(), models: new Set() };
}

/** The sum of `tallies`. */
export function sumOfTallies(tallies: Iterable<Tally>): Tally {
  const sum = emptyTally();
  for (const tally of tallies) {
    for (const stratum of STRATA) sum[stratum] += tally[stratum];
    sum.organicAtomic += tally.organicAtomic;
    for (const [label, count] of tally.labels) sum.labels.set(label, (sum.labels.get(label) ?? 0) + count);
    for (const cluster of tally.clusters) sum.clusters.add(cluster);
    for (const model of tally.models) sum.models.add(model);
  }
  return sum;
}
