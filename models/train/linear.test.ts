import { expect, test } from "vitest";
import { fitLinear, fitLogistic, score } from "./linear.ts";

test("least squares without a penalty finds the line that the points are on", () => {
  const features = Array.from({ length: 20 }, (_, i) => [i, (i * 7) % 5]);
  const targets = features.map(([a = 0, b = 0]) => 3 * a - 2 * b + 1);
  const line = fitLinear({ features, targets }, 0);
  expect(line.weights[0]).toBeCloseTo(3, 9);
  expect(line.weights[1]).toBeCloseTo(-2, 9);
  expect(line.bias).toBeCloseTo(1, 9);
});

test("logistic regression stops where its slope is zero, penalty included", () => {
  const features = Array.from({ length: 40 }, (_, i) => [i / 10, (i * 13) % 7]);
  const targets = features.map((_, i) => ((i * 29) % 40 < i ? 1 : 0));
  const model = fitLogistic({ features, targets }, 0);
  const errors = features.map((row, i) => 1 / (1 + Math.exp(-score(model, row))) - (targets[i] ?? 0));
  for (const column of [0, 1])
    expect(errors.reduce((sum, error, i) => sum + error * (features[i]?.[column] ?? 0), 0)).toBeCloseTo(0, 8);
  expect(errors.reduce((sum, error) => sum + error, 0)).toBeCloseTo(0, 8);
  const shrunk = fitLogistic({ features, targets }, 100);
  expect(Math.abs(shrunk.weights[0] ?? 0)).toBeLessThan(Math.abs(model.weights[0] ?? 0));
});
