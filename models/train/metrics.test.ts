import fc from "fast-check";
import { expect, test } from "vitest";
import { accuracy, brier, meanAbsoluteError, rocAuc, rootMeanSquareError } from "./metrics.ts";

test("the area under the ROC curve is the share of pairs in the right order, ties counting half", () => {
  const row = fc.record({ score: fc.integer({ min: 0, max: 5 }), target: fc.constantFrom(0, 1) });
  fc.assert(
    fc.property(fc.array(row, { minLength: 2, maxLength: 30 }), (rows) => {
      const pairs = rows.flatMap((one) =>
        one.target === 1
          ? rows.filter(({ target }) => target === 0).map((zero) => [one.score, zero.score] as const)
          : [],
      );
      fc.pre(pairs.length > 0);
      const right = pairs.reduce((sum, [one, zero]) => sum + (one > zero ? 1 : one === zero ? 0.5 : 0), 0);
      const found = rocAuc(
        rows.map(({ score }) => score),
        rows.map(({ target }) => target),
      );
      expect(found).toBeCloseTo(right / pairs.length, 12);
    }),
  );
});

test("the other figures are those one works out by hand", () => {
  expect(accuracy([0.6, 0.4, 0.5], [1, 1, 0])).toBeCloseTo(2 / 3);
  expect(brier([0.5, 1], [1, 1])).toBe(0.125);
  expect(meanAbsoluteError([1, 5], [2, 2])).toBe(2);
  expect(rootMeanSquareError([1, 5], [2, 2])).toBeCloseTo(Math.sqrt(5));
});
