import fc from "fast-check";
import { expect, test } from "vitest";
import {
  effective,
  effectiveByEntropy,
  fewestForHalf,
  gini,
  hhi,
  medianHours,
  quantile,
  ratio,
  reachedBy,
  topShare,
} from "./formulas.ts";

const repeat = (amount: number, count: number) => Array.from({ length: count }, () => amount);

test("a share is rounded half up to six digits, whichever way it is computed", () => {
  expect(ratio(1, 3)).toBe(0.333333);
  expect(ratio(2n, 3n)).toBe(0.666667);
  expect(ratio(1, 2_000_000)).toBe(0.000001);
  expect(ratio(1, 2_000_001)).toBe(0);
  expect(ratio(0, 0)).toBeNull();
  const count = fc.bigInt(0n, 2n ** 33n);
  fc.assert(
    fc.property(count, fc.bigInt(1n, 2n ** 33n), (n, d) => {
      expect(ratio(Number(n), Number(d))).toBe(Number((n * 2_000_000n + d) / (2n * d)) / 1e6);
    }),
  );
});

test("n of equal size are n by every measure, one is all there is, and none is no number", () => {
  for (const n of [1, 2, 7, 1_000]) {
    expect(effective(repeat(5, n))).toBe(n);
    expect(effectiveByEntropy(repeat(5, n))).toBeCloseTo(n, 6);
    expect(hhi(repeat(5, n))).toBe(ratio(1, n));
    expect(gini(repeat(5, n), n)).toBe(0);
    expect(fewestForHalf(repeat(5, n))).toBe(Math.ceil(n / 2));
    expect(topShare(repeat(5, n), 1)).toBe(ratio(1, n));
  }
  for (const formula of [hhi, effective, effectiveByEntropy, fewestForHalf]) expect(formula([])).toBeNull();
  expect(gini([], 3)).toBeNull();
  expect(topShare([], 10)).toBeNull();
});

test("three quarters and a quarter are 0.625 concentrated, 1.6 of equal size, 1.754765 by entropy", () => {
  expect(hhi([3, 1])).toBe(0.625);
  expect(effective([1, 3])).toBe(1.6);
  expect(effectiveByEntropy([3, 1])).toBe(1.754765);
  expect(gini([3, 1], 2)).toBe(0.25);
  expect(topShare([3, 1], 1)).toBe(0.75);
  expect(fewestForHalf([1, 3])).toBe(1);
});

test("who has nothing counts for inequality and for nothing else: one of ten with all has a coefficient of 0.9", () => {
  expect(gini([8], 10)).toBe(0.9);
  expect(gini([8, 8], 10)).toBe(0.8);
});

test("amounts whose squares no float holds are as concentrated as small ones", () => {
  const large = [3, 1].map((amount) => amount * 2 ** 50);
  expect([hhi(large), effective(large), gini(large, 2)]).toEqual([0.625, 1.6, 0.25]);
});

test("no order and no splitting of the scale changes what is concentrated", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 10_000 }), { minLength: 1, maxLength: 20 }), (amounts) => {
      const [reversed, scaled] = [[...amounts].reverse(), amounts.map((amount) => amount * 1_000)];
      for (const formula of [hhi, effective, effectiveByEntropy]) {
        expect(formula(reversed)).toBe(formula(amounts));
        expect(formula(scaled)).toBeCloseTo(formula(amounts) ?? Number.NaN, 5);
      }
      // Hill's numbers fall with their order, and none is over how many there are.
      expect(effective(amounts)).toBeLessThanOrEqual((effectiveByEntropy(amounts) ?? 0) + 1e-6);
      expect(effectiveByEntropy(amounts)).toBeLessThanOrEqual(amounts.length + 1e-6);
    }),
  );
});

test("a quantile is a value that was seen: the least that so many do not exceed", () => {
  const counts = new Map([
    [10, 50],
    [20, 45],
    [60, 5],
  ]);
  expect([500, 501, 950, 990].map((perMille) => quantile(counts, perMille))).toEqual([10, 20, 20, 60]);
  expect(quantile(new Map(), 500)).toBeNull();
});

test("where nothing is censored the curve is the share itself; what is censored counts until then, and not as an end", () => {
  const came = (...hours: number[]) => hours.map((one) => ({ hours: one, came: true }));
  const waiting = (...hours: number[]) => hours.map((one) => ({ hours: one, came: false }));
  expect(reachedBy(came(1, 2, 3, 4), 2)).toBe(0.5);
  expect(medianHours(came(1, 2, 3, 4))).toBe(2);
  // The textbook's case: after 6 hours 6 of 7 wait, after 7 of the 5 left 4, after 10 of 3 left 2 …
  const freireich = [...came(6, 6, 6, 7, 10, 13, 16, 22, 23), ...waiting(6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35)];
  expect(reachedBy(freireich, 6)).toBe(ratio(21 - 18, 21));
  expect(reachedBy(freireich, 7)).toBe(0.193277);
  expect(reachedBy(freireich, 10)).toBe(0.247059);
  expect(reachedBy(freireich, 23)).toBe(0.551821);
  expect(medianHours(freireich)).toBe(23);
  expect(medianHours([...came(5), ...waiting(100, 100, 100)])).toBeNull();
  expect(reachedBy([], 1)).toBeNull();
});
