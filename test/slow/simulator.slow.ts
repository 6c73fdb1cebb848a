/** The rules against attacks of fifty seeds that nobody looked at: what tally simulate prints, held to what docs/usage-simulator.md says. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { UNSIGNED } from "../../packages/client/src/simulate/keyring.ts";
import { reportOf } from "../../packages/client/src/simulate/report.ts";
import { simulate } from "../../packages/client/src/simulate/simulate.ts";
import { runIn, runSimulator, SIMULATOR_PAGE } from "../../scripts/make-usage-page.ts";

const SEEDS = Array.from({ length: 50 }, (_, i) => 201 + i);

const NEVER_ORGANIC = ["free_keys", "operator_credited", "unnamed_funder"];

test("of fifty unseen seeds no structural attack is organic by over 2 %, and no paid honest demand called wash by over 1 %", {
  timeout: 7_200_000,
}, async () => {
  const offences: string[] = [];
  const worst = { structural: 0, honest: 0, tooFew: 0, randomised: 1 };
  for (const seed of SEEDS) {
    const report = reportOf(await simulate({ seed, calls: 5_000, days: 28, keyring: UNSIGNED }));
    for (const { name, structural, organicShare } of report.attacks) {
      if (structural) worst.structural = Math.max(worst.structural, organicShare);
      const most = NEVER_ORGANIC.includes(name) ? 0 : structural ? 0.02 : 1;
      if (organicShare > most) offences.push(`${name} of seed ${seed}: ${organicShare}`);
      if (name === "farm_randomised") worst.randomised = Math.min(worst.randomised, organicShare);
    }
    worst.honest = Math.max(worst.honest, report.honest.excludedShare);
    worst.tooFew = Math.max(worst.tooFew, report.honest.tooFewShare);
    if (report.honest.excludedShare > 0.01) offences.push(`honest of seed ${seed}: ${report.honest.excludedShare}`);
    if (report.honest.agentExcludedShare > 0) offences.push(`the agent of seed ${seed}`);
  }
  console.log(`of ${SEEDS.length} seeds, the worst: ${JSON.stringify(worst)}`);
  expect(offences).toEqual([]);
});

test("docs/usage-simulator.md shows what its command prints", async () => {
  expect(runIn(readFileSync(SIMULATOR_PAGE, "utf8")).text).toBe((await runSimulator()).text);
});
