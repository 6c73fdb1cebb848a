/** Many more runs of the simulation than `npm test` makes. */
import { expect, test } from "vitest";
import { simulateAll } from "../simulation/run.ts";

const SEEDS = 5_000;

test("thousands of runs in which everything fails at some time", async () => {
  const seen = await simulateAll(1_000, SEEDS);
  console.log(`${SEEDS} seeds from 1000 on:`, seen);
  expect(seen.lives).toBeGreaterThan(SEEDS);
});
