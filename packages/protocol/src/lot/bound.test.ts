import { expect, test } from "vitest";
import { allocations, chooseExactly, coverageOfBound, lotOf, randomOf } from "../../../../test/lots.ts";
import { ln } from "../elementary.ts";
import { ALPHA, keepsBound, mostUnseen, mostWrong, upperBound } from "./bound.ts";
import { dueOf } from "./due.ts";
import { addShape, listShapes, type Shape, type Shapes } from "./shapes.ts";

function shapesOf(strata: readonly Shape[]): Shapes {
  const shapes: Shapes = new Map();
  for (const stratum of strata) addShape(shapes, stratum, 1);
  return shapes;
}

/** The chance that none of `wrong` is among what is checked, exactly, as a fraction of two integers. */
function unseenChance(strata: readonly Shape[], wrong: readonly number[]): number {
  let [above, below] = [1n, 1n];
  for (const [i, { population, checked }] of strata.entries()) {
    above *= chooseExactly(population - (wrong[i] ?? 0), checked);
    below *= chooseExactly(population, checked);
  }
  return Number((above * 10n ** 18n) / below) / 1e18;
}

const MIXED: Shape[][] = [
  [{ population: 9, checked: 3 }],
  [
    { population: 40, checked: 10 },
    { population: 7, checked: 1 },
  ],
  [
    { population: 12, checked: 4 },
    { population: 12, checked: 4 },
    { population: 5, checked: 0 },
  ],
  [
    { population: 8, checked: 8 },
    { population: 6, checked: 1 },
    { population: 20, checked: 9 },
  ],
  [
    { population: 3, checked: 1 },
    { population: 4, checked: 3 },
    { population: 9, checked: 2 },
    { population: 2, checked: 1 },
  ],
];

test.each(MIXED.map((strata) => [strata]))("no allocation hides more than the bound of %j", (strata) => {
  const total = strata.reduce((sum, { population }) => sum + population, 0);
  const most = mostUnseen(listShapes(shapesOf(strata)));
  let hidden = 0;
  for (let wrong = 0; wrong <= total; wrong++)
    for (const allocation of allocations(
      strata.map(({ population }) => population),
      wrong,
    ))
      if (unseenChance(strata, allocation) > ALPHA) hidden = Math.max(hidden, wrong);
  expect(most).toBe(hidden);
});

test("the bound of one stratum is the hypergeometric one", () => {
  for (const [population, checked] of [
    [10_000, 448],
    [1_000, 368],
    [500, 300],
    [100_000, 458],
  ] as const) {
    const most = mostUnseen([{ population, checked, count: 1 }]);
    expect(unseenChance([{ population, checked }], [most])).toBeGreaterThan(ALPHA);
    expect(unseenChance([{ population, checked }], [most + 1])).toBeLessThanOrEqual(ALPHA);
  }
});

test("what is checked whole has no wrong receipt, or those that were found", () => {
  const shapes = shapesOf([
    { population: 50, checked: 50 },
    { population: 3, checked: 3 },
  ]);
  expect(upperBound(shapes, 0)).toBe("0.000000");
  expect(mostWrong(shapes, 4)).toBe(4);
  expect(upperBound(shapes, 4)).toBe("0.075472"); // 4 / 53, rounded up
});

test("what nobody checked may be wrong, all of it", () => {
  expect(upperBound(shapesOf([{ population: 50, checked: 0 }]), 0)).toBe("1.000000");
  expect(upperBound(new Map(), 0)).toBeNull();
});

test("a failure more never makes the bound less", () => {
  const shapes = shapesOf([
    { population: 2_000, checked: 300 },
    { population: 90, checked: 90 },
  ]);
  const bounds = Array.from({ length: 60 }, (_, failures) => mostWrong(shapes, failures));
  expect(bounds).toEqual([...bounds].sort((a, b) => a - b));
});

test("with failures, the bound is over the exact one of a single stratum, and by less than half", () => {
  const [population, checked] = [400, 80];
  for (const failures of [1, 2, 5, 12, 30]) {
    // P(at most that many are found), by the hypergeometric distribution.
    const chance = (wrong: number) => {
      let sum = 0n;
      for (let found = 0; found <= failures; found++)
        sum += chooseExactly(wrong, found) * chooseExactly(population - wrong, checked - found);
      return Number((sum * 10n ** 15n) / chooseExactly(population, checked)) / 1e15;
    };
    let exact = failures;
    while (exact < population && chance(exact + 1) > ALPHA) exact++;
    const most = mostWrong(shapesOf([{ population, checked }]), failures);
    expect(most).toBeGreaterThanOrEqual(exact);
    expect(most).toBeLessThan(1.5 * exact);
  }
});

test("fewer than are due do not keep the bound, and those that are due do", () => {
  const random = randomOf("due");
  for (let run = 0; run < 40; run++) {
    const window: Shapes = new Map();
    let unbroken = true;
    for (let epoch = 0; epoch < 12; epoch++) {
      const population = 1 + Math.floor(random() * 300);
      const due = dueOf(window, population);
      const withDrawn = (checked: number) => {
        const shapes = new Map(window);
        addShape(shapes, { population, checked }, 1);
        return keepsBound(listShapes(shapes));
      };
      expect(due).toBeGreaterThanOrEqual(1);
      unbroken &&= withDrawn(due);
      if (due > 1) expect(withDrawn(due - 1)).toBe(false);
      addShape(window, { population, checked: due }, 1);
    }
    expect(unbroken).toBe(true); // From a window that keeps it, the next epoch can.
  }
});

test("a quiet model is checked whole, and a busy one some 460 times a day", () => {
  expect(dueOf(new Map(), 90)).toBe(90);
  expect(dueOf(new Map(), 1_000_000)).toBeGreaterThan(450);
  expect(dueOf(new Map(), 1_000_000)).toBeLessThan(465);
});

test("the logarithm is within a bit or two of the engine's", () => {
  for (const x of [1e-9, 0.01, 0.5, 0.999999, 1, 1.0001, 1.5, 2, 99, 1e6, 1e15])
    expect(Math.abs(ln(x) - Math.log(x))).toBeLessThanOrEqual(4 * 2 ** -52 * Math.max(1, Math.abs(Math.log(x))));
});

test("the share of lots in which a liar goes unseen is that of the closed form", () => {
  const strata = [
    { population: 30, checked: 4 },
    { population: 12, checked: 3 },
    { population: 5, checked: 1 },
  ];
  const wrong = [4, 2, 1];
  const runs = 4_000;
  let unseen = 0;
  for (let run = 0; run < runs; run++) if (lotOf(strata, wrong, `seed ${run}`) === 0) unseen++;
  const chance = unseenChance(strata, wrong);
  expect(Math.abs(unseen / runs - chance)).toBeLessThan(4 * Math.sqrt((chance * (1 - chance)) / runs));
});

test("who knows how many are drawn but not the seed hides no better than by chance, wherever it lies", () => {
  const strata = [{ population: 20, checked: 5 }];
  const runs = 3_000;
  for (const place of ["first", "last", "even"] as const) {
    let unseen = 0;
    for (let run = 0; run < runs; run++) if (lotOf(strata, [4], `${place} ${run}`, place) === 0) unseen++;
    const chance = unseenChance(strata, [4]);
    expect(Math.abs(unseen / runs - chance)).toBeLessThan(4 * Math.sqrt((chance * (1 - chance)) / runs));
  }
});

test("the bound holds in at least 99 of a hundred days of unequal epochs, whatever share is wrong", () => {
  const { days, held } = coverageOfBound(300, "days");
  expect(held / days).toBeGreaterThanOrEqual(0.99);
});
