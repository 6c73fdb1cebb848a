import fc from "fast-check";
import { expect, test } from "vitest";
import { type Flows, widest } from "./flows.ts";
import { maxFlow, type Way } from "./max-flow.ts";
import { createWork, returned } from "./recirculation.ts";

const PLACES = 6;
const UNLIMITED = 10n ** 30n;
const place = fc.nat(PLACES - 1);
const ways = fc.array(fc.record({ from: place, to: place, amount: fc.bigInt({ min: 0n, max: 20n }) }), {
  maxLength: 20,
});

/** The least that has to be taken out to part place 0 from place 1, over every way to part them. */
function leastCut(all: readonly Way[]): bigint {
  let least = UNLIMITED;
  for (let side = 0; side < 2 ** PLACES; side++) {
    const isLeft = (at: number) => ((side >> at) & 1) === 1;
    if (!isLeft(0) || isLeft(1)) continue;
    const cut = all.reduce((sum, { from, to, amount }) => (isLeft(from) && !isLeft(to) ? sum + amount : sum), 0n);
    if (cut < least) least = cut;
  }
  return least;
}

test("the most that flows is the least that parts the ends, whatever the order of the ways", () => {
  fc.assert(
    fc.property(ways, (all) => {
      expect(maxFlow(PLACES, all, UNLIMITED)).toBe(leastCut(all));
      expect(maxFlow(PLACES, all.toReversed(), UNLIMITED)).toBe(leastCut(all));
    }),
  );
});

test("who asks whether enough flows is told so where it does, and the whole where it does not", () => {
  fc.assert(
    fc.property(ways, fc.bigInt({ min: 0n, max: 30n }), (all, enough) => {
      const found = maxFlow(PLACES, all, enough);
      const most = leastCut(all);
      expect(found >= enough).toBe(most >= enough);
      expect(found <= most).toBe(true);
    }),
  );
});

function flowsOf(all: readonly [string, string, bigint][]): Flows {
  const flows: Flows = { given: new Map(), taken: new Map() };
  for (const [from, to, amount] of all)
    for (const [sides, one, other] of [
      [flows.given, from, to],
      [flows.taken, to, from],
    ] as const) {
      const side = sides.get(one) ?? { totalAtomic: 0n, by: new Map() };
      sides.set(one, side);
      side.totalAtomic += amount;
      side.by.set(other, (side.by.get(other) ?? 0n) + amount);
    }
  return flows;
}

function back(flows: Flows, hops: 1 | 2 | 3, left?: number): bigint {
  return returned(flows, { payer: "P", sellers: ["N", "B"] }, hops, UNLIMITED, createWork(flows, left));
}

test("money that came back is counted once on each of its ways, over as many hops as are allowed", () => {
  const flows = flowsOf([
    ["N", "P", 5n],
    ["N", "x", 10n],
    ["B", "x", 10n],
    ["x", "P", 15n],
    ["N", "y", 7n],
    ["y", "z", 4n],
    ["z", "P", 9n],
    ["B", "N", 100n],
  ]);
  expect(([1, 2, 3] as const).map((hops) => back(flows, hops))).toEqual([5n, 20n, 24n]);
});

test("a way that was taken first gives way where that lets more through", () => {
  const one = (from: string, to: string): [string, string, bigint] => [from, to, 1n];
  const through = [one("a", "c"), one("a", "d"), one("b", "c")];
  const flows = flowsOf([one("N", "a"), one("N", "b"), ...through, one("c", "P"), one("d", "P")]);
  expect(back(flows, 3)).toBe(2n);
});

test("of more ways than are looked at the widest are, and what is over the judgement's work stands but for what came back straight", () => {
  const mules = Array.from({ length: 400 }, (_, i) => `mule ${i}`);
  const flows = flowsOf(
    mules.flatMap((mule, i) =>
      [["N", mule, BigInt(i)] as const, [mule, "P", BigInt(i)] as const].map(([a, b, c]) => [a, b, c]),
    ),
  );
  const widest256 = mules.map((_, i) => BigInt(i)).slice(-256);
  expect(back(flows, 3)).toBe(widest256.reduce((sum, amount) => sum + amount, 0n));
  expect(back(flows, 3, 0)).toBe(0n);
  expect(
    widest(
      new Map([
        ["b", 1n],
        ["a", 1n],
        ["c", 2n],
      ]),
      2,
    ),
  ).toEqual([
    ["c", 2n],
    ["a", 1n],
  ]);
});
