import { expect, test } from "vitest";
import { killUnderLoad } from "../server/log-kill.ts";

test("a log that is killed under load two hundred times has every entry that it acknowledged", async () => {
  const count = await killUnderLoad(200, 2);
  console.log(`200 kills, ${count} entries acknowledged`);
  expect(count).toBeGreaterThan(100_000);
});
