import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { SIMULATOR_PAGE, USAGE_PAGE } from "../../../../../scripts/make-usage-page.ts";
import { ATTACKS } from "./table.ts";

const PAGES = { "docs/usage.md": USAGE_PAGE, "docs/usage-simulator.md": SIMULATOR_PAGE };

/** The rows of the table of attacks: the name of each, and whether it is said to be structural. */
function attacksIn(page: string): [name: string, structural: boolean][] {
  const table = /^ATTACK +STRUCTURAL.*\n((?:\S.*\n)*)/m.exec(page)?.[1] ?? "";
  return [...table.matchAll(/^(\S+) +(yes)? .*$/gm)].map(([, name = "", yes]) => [name, yes !== undefined]);
}

test.each(Object.entries(PAGES))("%s shows every attack of the simulator, and no other", (_, path) => {
  const shown = attacksIn(readFileSync(path, "utf8").replaceAll("```", ""));
  expect(shown).toEqual(ATTACKS.map(({ name, structural }) => [name, structural]));
});

test("docs/usage-simulator.md says how many attacks there are, and of what its run shows what that shows", () => {
  const page = readFileSync(SIMULATOR_PAGE, "utf8");
  expect(page).toMatch(new RegExp(`honest demand and ${ATTACKS.length} attacks`));
  const [, honest, shown] = /^active_models +(\d+) +(\d+) /m.exec(page) ?? [];
  expect(page).toContain(`demand has payers at ${honest} models, and ${shown} are organic`);
});
