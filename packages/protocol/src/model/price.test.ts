import fc from "fast-check";
import { expect, test } from "vitest";
import { RUNS } from "../../../../test/runs.ts";
import { isFree, mostOf, type Price, priceOf } from "./price.ts";

const FREE: Price = { priceAtomic: 0n, unitPriceAtomic: 0n, outputUnitPriceAtomic: 0n };

test.each<[string, Partial<Price>, number, number, bigint]>([
  ["nothing where all is free", {}, 1_000_000, 1_000_000, 0n],
  ["the price of the call where nothing was counted", { priceAtomic: 7n }, 0, 0, 7n],
  ["a million units at the price of a million", { unitPriceAtomic: 25n }, 1_000_000, 0, 25n],
  ["one unit rounded up to an atomic unit", { unitPriceAtomic: 1n }, 1, 0, 1n],
  ["a unit over a million rounded up", { unitPriceAtomic: 25n }, 1_000_001, 0, 26n],
  [
    "input and output together, rounded up once",
    { unitPriceAtomic: 500_000n, outputUnitPriceAtomic: 500_000n },
    1,
    1,
    1n,
  ],
  ["output alone", { outputUnitPriceAtomic: 3_000_000n }, 5, 4, 12n],
  [
    "more than a float can count",
    { priceAtomic: 2n ** 64n - 1n, unitPriceAtomic: 2n ** 64n - 1n },
    Number.MAX_SAFE_INTEGER,
    0,
    2n ** 64n - 1n + ((2n ** 64n - 1n) * BigInt(Number.MAX_SAFE_INTEGER) + 999_999n) / 1_000_000n,
  ],
])("a call costs %s", (_, price, units, outputUnits, costs) => {
  expect(priceOf({ ...FREE, ...price }, units, outputUnits)).toBe(costs);
});

const atomic = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const price = fc.record({ priceAtomic: atomic, unitPriceAtomic: atomic, outputUnitPriceAtomic: atomic });
const count = fc.nat(Number.MAX_SAFE_INTEGER);

test("a price is what was metered and less than an atomic unit more, and never falls with what is counted", () => {
  fc.assert(
    fc.property(price, count, count, (some, units, outputUnits) => {
      const metered = priceOf(some, units, outputUnits) - some.priceAtomic;
      const exact = some.unitPriceAtomic * BigInt(units) + some.outputUnitPriceAtomic * BigInt(outputUnits);
      expect(metered * 1_000_000n >= exact && metered * 1_000_000n < exact + 1_000_000n).toBe(true);
      expect(priceOf(some, units + 1, outputUnits) >= metered + some.priceAtomic).toBe(true);
      const price = metered + some.priceAtomic;
      expect(mostOf(some, price) >= price).toBe(true);
    }),
    RUNS,
  );
});

test("a model is free where no price is asked of any kind", () => {
  expect(isFree(FREE)).toBe(true);
  for (const name of ["priceAtomic", "unitPriceAtomic", "outputUnitPriceAtomic"])
    expect(isFree({ ...FREE, [name]: 1n })).toBe(false);
});
