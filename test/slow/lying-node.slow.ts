/** A node that lies in some of its answers, over the whole network: how often it is found out, beside how often it should be. */
import { addShape, dueOf, type Figures, type Shapes } from "@tallystick/protocol";
import { expect, test } from "vitest";
import { randomOf } from "../lots.ts";
import { lyingEngine } from "../lying-engine.ts";
import { createTestClock, creditInput, startNetwork } from "../network.ts";
import { startNode, tokenFile } from "../node.ts";

const CREDIT = "statlog/credit-default";
const SEEDS = Array.from({ length: 20 }, (_, i) => i + 1);
/** 2,000 calls, of which each is answered falsely with this chance. */
const EPOCHS = 20;
const CALLS = 100;
const LIES = 0.02;
/** Calls at once. */
const AT_ONCE = 25;

/** How many lies each epoch's answers have, and which answers they are. The lots are drawn by keys and chains of the run's own. */
function planOf(seed: number): { isLie: boolean[]; lies: number[] } {
  const random = randomOf(`lies ${seed}`);
  const isLie = Array.from({ length: EPOCHS * CALLS }, () => random() < LIES);
  const liesIn = (epoch: number) => isLie.slice(epoch * CALLS, (epoch + 1) * CALLS).filter((lie) => lie).length;
  return { isLie, lies: Array.from({ length: EPOCHS }, (_, epoch) => liesIn(epoch)) };
}

/** By the lot's formula: how many are drawn, how many lies among them on the average, and the chance that there is one. */
function predict(lies: readonly number[]): { checks: number; found: number; chance: number } {
  const window: Shapes = new Map();
  let [checks, found, unseen] = [0, 0, 1];
  for (const wrong of lies) {
    const due = dueOf(window, CALLS);
    for (let i = 0; i < wrong; i++) unseen *= Math.max(0, CALLS - due - i) / (CALLS - i);
    addShape(window, { population: CALLS, checked: due }, 1);
    checks += due;
    found += (wrong * due) / CALLS;
  }
  return { checks, found, chance: 1 - unseen };
}

const runs: { chance: number; isCaught: boolean }[] = [];

test.each(SEEDS)(
  "seed %i: as many are checked as the lot says, and each lie that it draws is disputed and marked",
  {
    timeout: 3_600_000,
  },
  async (seed) => {
    const { isLie, lies } = planOf(seed);
    const clock = createTestClock();
    const nodeTokenPath = await tokenFile();
    await using network = await startNetwork({
      ...{ models: ["credit-default"], workerCount: 0, nodeTokenPath, clock, verifying: { cpuShare: 1 } },
      // To publish each statement by itself costs more than the calls.
      ...{ integrateIntervalMs: 20, publishIntervalMs: 50 },
    });
    await network.verified();
    await network.closeEpoch();
    const openEngine = lyingEngine((number) => isLie[number] === true);
    await using node = await startNode(network, nodeTokenPath, { openEngine, clock, logIntervalMs: 200 });
    for (let epoch = 0; epoch < EPOCHS; epoch++) {
      for (let call = 0; call < CALLS; call += AT_ONCE) {
        const inputs = Array.from({ length: AT_ONCE }, (_, i) => creditInput(epoch * CALLS + call + i));
        for (const { status } of await Promise.all(inputs.map((input) => network.infer(CREDIT, [input]))))
          expect(status).toBe(200);
      }
      clock.advance(1_000); // By more the node would be silent until it is heard of again.
      await network.closeEpoch();
      await network.verified();
    }
    const usage = (await (await network.fetch("/v1/usage")).json()) as Figures;
    const { population, drawn, checked, failures, disputesUpheld, omitted, undecided } = usage.totals.verification;
    const standing = usage.nodes.find(({ key }) => key === node.id);
    const { checks, found, chance } = predict(lies);
    const told = lies.reduce((sum, count) => sum + count, 0);
    console.log(
      `seed ${seed}: ${told} lies in ${population} calls; ${checked} checked; ${failures} lies found, ${found.toFixed(1)} expected; chance to find any ${chance}`,
    );
    expect({ population, drawn, checked, omitted, undecided }).toEqual({
      ...{ population: EPOCHS * CALLS, drawn: checks, checked: checks, omitted: 0, undecided: 0 },
    });
    expect(failures).toBeLessThanOrEqual(told); // Nobody is held to be at fault who is not.
    expect(disputesUpheld).toBe(failures);
    expect(standing).toMatchObject({ checked: checks, failures, unopened: 0, disputesUpheld });
    runs.push({ chance, isCaught: disputesUpheld > 0 });
  },
);

test("a node that lies in 2 % of 2,000 answers is caught in at least the share of runs that the lot predicts, less 1 %", () => {
  const caught = runs.filter(({ isCaught }) => isCaught).length / runs.length;
  const predicted = runs.reduce((sum, { chance }) => sum + chance, 0) / runs.length;
  console.log(`caught in a share of ${caught} of the ${runs.length} runs; the lot's formula predicts ${predicted}`);
  expect(runs.length).toBeGreaterThan(0);
  expect(caught).toBeGreaterThanOrEqual(predicted - 0.01);
});
