import { expect, test } from "vitest";
import { killUnderLoad } from "./log-kill.ts";

test("a log that is killed under load has every entry that it acknowledged, five times over", async () => {
  expect(await killUnderLoad(5, 1)).toBeGreaterThan(1_000);
}, 120_000);
