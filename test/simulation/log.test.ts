import { expect, test } from "vitest";
import { simulateAll } from "./run.ts";

/** Where a seed fails it is named: to look into it, make it the first, and alone. test/slow/simulation.slow.ts has more. */
const [FIRST_SEED, COUNT] = [0, 120];

test("whatever fails and whenever it ends, a log loses nothing that it acknowledged, and nobody signs two of it", async () => {
  const seen = await simulateAll(FIRST_SEED, COUNT);
  expect(seen.entries, "entries that were written").toBeGreaterThan(100 * COUNT);
  expect(seen.lives, "starts").toBeGreaterThan(4 * COUNT);
  expect(seen.powerLosses, "power losses").toBeGreaterThan(COUNT);
  expect(seen.failedSteps, "steps of the disk that failed").toBeGreaterThan(COUNT / 2);
  expect(seen.refusals, "starts that the disk refused").toBeGreaterThan(COUNT / 10);
  expect(seen.rollbacks, "older copies that were refused").toBeGreaterThan(COUNT / 20);
}, 240_000);
