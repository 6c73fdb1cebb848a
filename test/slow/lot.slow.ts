import { expect, test } from "vitest";
import { coverageOfBound } from "../lots.ts";

test("the bound holds in at least 99 of a hundred of ten thousand days of unequal epochs", {
  timeout: 1_800_000,
}, () => {
  const { days, held } = coverageOfBound(10_000, "ten thousand days");
  console.log(`the bound held in ${held} of ${days} days`);
  expect(held / days).toBeGreaterThanOrEqual(0.99);
});
