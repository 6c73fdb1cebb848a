/**
 * The estimator: how many receipts may be wrong, at 99 % confidence, where so many of each stratum were drawn, checked, and
 * found right or wrong (docs/spec/lot.md, "The bound"). Of IEEE additions, multiplications and divisions alone.
 */
import { ln } from "../elementary.ts";
import { listShapes, populationOf, type Shapes, type Strata } from "./shapes.ts";

/** The chance that more are wrong than the bound says. */
export const ALPHA = 0.01;
/** The share of wrong receipts that the lot is to rule out, as one in so many. */
export const WRONG_ONE_IN = 100;

/** Below this a product is under ALPHA whatever was rounded on the way: the bound errs to the safe side. */
const SURELY_UNDER = ALPHA * (1 - 2 ** -30);

/**
 * The most wrong receipts of which none would have been found with more than ALPHA, put where they are found least.
 * Stops at the first number over `limit`.
 */
export function mostUnseen(strata: readonly Strata[], limit: number = Number.POSITIVE_INFINITY): number {
  let unseen = 0;
  let chance = 1;
  const heap = new FactorHeap();
  for (const { population, checked, count } of strata) {
    if (checked === 0) unseen += population * count;
    else if (checked < population) heap.push({ population, checked, count, wrong: 0 });
  }
  // One wrong receipt more in a stratum is never found less than the one before it, so that the greatest factors come first.
  for (let group = heap.pop(); group !== undefined && unseen <= limit; group = heap.pop()) {
    const factor = factorOf(group);
    for (let stratum = 0; stratum < group.count && unseen <= limit; stratum++) {
      if (chance * factor <= SURELY_UNDER) return unseen;
      chance *= factor;
      unseen++;
    }
    group.wrong++;
    if (group.wrong < group.population - group.checked) heap.push(group);
  }
  return unseen;
}

/** Strata of one shape, each with so many wrong receipts. */
type Group = Strata & { wrong: number };

/** The chance that one wrong receipt more goes unseen, where those before it did. */
function factorOf({ population, checked, wrong }: Group): number {
  return (population - checked - wrong) / (population - wrong);
}

/** Groups by their factor, the greatest first. */
class FactorHeap {
  readonly #groups: { factor: number; group: Group }[] = [];

  push(group: Group): void {
    const groups = this.#groups;
    const item = { factor: factorOf(group), group };
    let at = groups.push(item) - 1;
    for (let up = (at - 1) >> 1; at > 0 && (groups[up]?.factor ?? 0) < item.factor; up = (at - 1) >> 1) {
      groups[at] = groups[up] ?? item;
      at = up;
    }
    groups[at] = item;
  }

  pop(): Group | undefined {
    const groups = this.#groups;
    const first = groups[0];
    const last = groups.pop();
    if (last === undefined || first === undefined || groups.length === 0) return first?.group;
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      const child = (groups[left + 1]?.factor ?? -1) > (groups[left]?.factor ?? -1) ? left + 1 : left;
      const below = groups[child];
      if (below === undefined || below.factor <= last.factor) break;
      groups[at] = below;
      at = child;
    }
    groups[at] = last;
    return first.group;
  }
}

/** What Chernoff's bound is tried with; each holds by itself, and the least counts. */
const TILTS = [2 ** -10, 2 ** -8, ...Array.from({ length: 63 }, (_, i) => (i + 1) / 64)];

/**
 * The same where `failures` were found: no fewer than are wrong with ALPHA, by Chernoff's bound with Hoeffding's binomial in
 * the place of each stratum's hypergeometric.
 */
function mostWith(failures: number, strata: readonly Strata[]): number {
  const least = TILTS.map((tilt) => {
    const target = ln(1 / ALPHA) + failures * ln(1 / tilt) + 1e-9 * (failures + 1);
    const costs = strata.map(({ population, checked, count }) => {
      const rate = population === 0 ? 0 : checked / population;
      return { capacity: population * count, cost: -ln(1 - (1 - tilt) * rate) };
    });
    costs.sort((a, b) => a.cost - b.cost || a.capacity - b.capacity);
    let left = target;
    let wrong = 0;
    for (const { cost, capacity } of costs) {
      if (cost * capacity >= left) return wrong + Math.floor(left / cost);
      left -= cost * capacity;
      wrong += capacity;
    }
    return wrong;
  });
  return Math.min(...least);
}

/** The most receipts that may be wrong, at 99 % confidence. */
export function mostWrong(shapes: Shapes, failures: number): number {
  const strata = listShapes(shapes);
  const unseen = mostUnseen(strata);
  return failures === 0 ? unseen : Math.max(failures, unseen, mostWith(failures, strata));
}

const PARTS = 1_000_000n;

/** The upper bound on the share that is wrong, in decimal with six digits, rounded up; null where there was nothing to draw. */
export function upperBound(shapes: Shapes, failures: number): string | null {
  const population = BigInt(populationOf(listShapes(shapes)));
  if (population === 0n) return null;
  const parts = (BigInt(mostWrong(shapes, failures)) * PARTS + population - 1n) / population;
  const capped = parts > PARTS ? PARTS : parts;
  return `${capped / PARTS}.${String(capped % PARTS).padStart(6, "0")}`;
}

/** Whether strata of which nothing was found wrong keep the bound: at most one in a hundred is wrong. */
export function keepsBound(strata: readonly Strata[]): boolean {
  const most = Math.floor(populationOf(strata) / WRONG_ONE_IN);
  return mostUnseen(strata, most) <= most;
}
