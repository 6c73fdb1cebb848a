import {
  applyEntry,
  createFold,
  figuresOf,
  hex,
  leafHash,
  parseEntry,
  rootOf,
  sha256,
  utf8,
} from "@tallystick/protocol";
import { expect, test } from "vitest";
import { callsByRank, MODELS, REPLICATE, shapeOf } from "./demand-shape.ts";
import { UNSIGNED } from "./keyring.ts";
import { Random } from "./random.ts";
import { reportOf } from "./report.ts";
import { SIMULATED_RULES, simulate } from "./simulate.ts";

const run = (seed: number, calls: number, days: number) => simulate({ seed, calls, days, keyring: UNSIGNED });

/** The rules were fitted to nothing here; the generator was written by looking at seeds 1 to 10. */
const UNSEEN = [9001, 9002, 9003];

test("the same seed is the same log, byte for byte, on every version of Node.js; another seed is another one", async () => {
  const roots = await Promise.all(
    [1, 1, 2].map(async (seed) => hex(rootOf((await run(seed, 1_000, 7)).world.entries.map(leafHash)))),
  );
  expect(roots[1]).toBe(roots[0]);
  expect(roots[2]).not.toBe(roots[0]);
  // A change of what is simulated changes it. A change of the engine below must not.
  expect(roots[0]).toBe("08b32dd43d3156e3022bbd5c5a727a08c23c55f1f2c3aad2e867cae0a659a720");
});

test("numbers are drawn as on every machine, and a fork draws from no other", () => {
  const random = new Random("seed 1");
  const drawn = [random.next(), random.below(1_000), random.between(5, 9), random.weighted([1, 2, 3])];
  expect(drawn).toEqual([3_925_604_172, 180, 9, 0]);
  const [one, other] = [new Random("a"), new Random("a")];
  one.fork("b").next();
  expect(one.next()).toBe(other.next());
});

test("planned demand has Replicate's shape, each figure within three tenths of a per cent", () => {
  const shape = shapeOf([...callsByRank(100_000), ...Array(MODELS - callsByRank(1).length).fill(0)]);
  for (const [figure, measured] of Object.entries(REPLICATE) as [keyof typeof REPLICATE, number][])
    expect(Math.abs(shape[figure] - measured), figure).toBeLessThanOrEqual(3);
});

test("its log folds from bytes to the same figures, and the figures are those of what was made", async () => {
  const { world } = await run(3, 1_000, 7);
  const fold = createFold([]);
  for (const bytes of world.entries) applyEntry(fold, parseEntry(bytes.slice()));
  const figures = figuresOf(fold);
  const digestOf = (value: unknown) => hex(sha256(utf8(JSON.stringify(value))));
  expect(digestOf(figures)).toBe(digestOf(figuresOf(world.fold)));
  const valid = world.made.filter(({ receipt }) => receipt.exclusion === undefined);
  expect(figures.totals.gross).toBe(world.made.length);
  expect(figures.totals.valid).toBe(valid.length);
  expect(figures.totals.revenue.gross).toBe(String(valid.reduce((sum, made) => sum + made.priceAtomic, 0n)));
  expect(figures.settlementFaults).toEqual({});
  expect(figures.exclusions).toMatchObject({ not_ok: expect.any(Number), self_dealing: expect.any(Number) });
});

test("of attacks that the log shows at most 2 % is organic, of free and given traffic nothing, and of paid honest demand at most 1 % is called wash", {
  timeout: 600_000,
}, async () => {
  // Frozen before any of these seeds was run: another digest means that they are no longer unseen.
  const digests = new Set<string>();
  for (const seed of UNSEEN) {
    const report = reportOf(await run(seed, 2_000, 14));
    digests.add(report.rules.digest);
    for (const { name, structural, volume, validShare, organicShare, costToFake } of report.attacks) {
      const what = `${name} of seed ${seed}`;
      expect(volume, what).toBeGreaterThanOrEqual(100);
      if (structural) expect(organicShare, what).toBeLessThanOrEqual(0.02);
      if (name === "free_keys" || name === "operator_credited" || name === "unnamed_funder")
        expect([validShare, organicShare], what).toEqual([1, 0]);
      expect(costToFake === null, what).toBe(organicShare === 0);
    }
    // A farm that nothing joins gets through, and pays the gateway's tenth for it: the floor of what faking costs.
    const farm = report.attacks.find(({ name }) => name === "farm_randomised");
    expect(farm?.organicShare).toBeGreaterThan(0.5);
    expect(Number(farm?.costToFake)).toBeGreaterThanOrEqual(100_000);
    expect(report.attacks.find(({ name }) => name === "farm_own_gateway")?.costToFake).toBe("0");
    expect(report.honest.excludedShare).toBeLessThanOrEqual(0.01);
    expect(report.honest.agentExcludedShare).toBe(0);
    expect(report.honest.organicShare).toBeGreaterThan(0.3);
    for (const { label, count, precision } of report.reasons)
      if (precision !== null) expect(precision, `${label} of ${count}`).toBeGreaterThanOrEqual(0.9);
  }
  expect(digests).toEqual(new Set(["ce17bb39aa84827c038eeebd81c6a72954f0e155bdfab936767e853e4eb5b776"]));
  expect(SIMULATED_RULES.sharedFunders).toHaveLength(2);
});
