import { expect, test } from "vitest";
import { fuzz } from "../fuzz/fuzz.ts";
import { CREDIT, startFuzzedNetwork } from "../fuzz/network.ts";
import { creditInput, type TestNetwork } from "../network.ts";

const COUNT = 100_000;
/** When memory is looked at first: what is opened once is open by then. */
const SETTLED = 20_000;
const SEED = Number(process.env.FUZZ_SEED ?? 1);
/** What was heard of calls that were served stays in the fold, a kilobyte each; the rest leaves nothing. */
const GROWTH_MOST_BYTES = 96 * 1024 * 1024;

test("of a hundred thousand malformed requests none is answered with 5xx, none hangs, and memory stays flat", async () => {
  await using place = await startFuzzedNetwork();
  const { network, target } = place;
  const beginning = await fuzz(network.url, target, { count: SETTLED, seed: SEED });
  const settledBytes = await heapOf(network);
  const rest = await fuzz(network.url, target, { count: COUNT - SETTLED, seed: SEED + SETTLED });
  const grownBytes = (await heapOf(network)) - settledBytes;
  console.log({ statuses: rest.statuses, closed: rest.closed, grownBytes });
  expect([...beginning.failures, ...rest.failures]).toEqual([]);
  expect(grownBytes).toBeLessThan(GROWTH_MOST_BYTES);
  expect(network.reported.filter(({ event }) => event !== "a content is not kept")).toEqual([]);
  expect((await network.infer(CREDIT, [creditInput()])).status).toBe(200);
});

/** The heap once everything is published and what is not needed is gone. */
async function heapOf(network: TestNetwork): Promise<number> {
  await network.idle();
  const { setFlagsFromString } = await import("node:v8");
  const { runInNewContext } = await import("node:vm");
  setFlagsFromString("--expose-gc");
  const collect: unknown = runInNewContext("gc");
  if (typeof collect === "function") collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
