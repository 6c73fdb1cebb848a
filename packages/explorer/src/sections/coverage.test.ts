import { applyEntry, createFold, type Figures, figuresOf } from "@tallystick/protocol";
import { expect, test } from "vitest";
import { NOON_SECONDS } from "../../../../test/one-receipt.ts";
import { UsageLog } from "../../../../test/usage-log.ts";
import { coverage } from "./coverage.ts";

function figuresFor({ entries }: UsageLog): Figures {
  const fold = createFold();
  for (const entry of entries) applyEntry(fold, entry);
  return figuresOf(fold);
}

test("the page gives each used model a bound on what may be wrong, and says where nothing stands against grinding", async () => {
  const log = await UsageLog.open();
  expect(coverage(figuresFor(log))).toBeUndefined();
  await log.enrol("verifier", "verifier");
  await log.commitLot("verifier");
  await log.epoch(NOON_SECONDS);
  const receipt = await log.call({ authorization: { openness: "lot" } });
  expect(coverage(figuresFor(log))?.markup).toContain("not known");
  const epoch = log.entries.length;
  await log.epoch(NOON_SECONDS + 60);
  await log.revealLot("verifier", epoch);
  await log.verify("verifier", receipt, { epoch });
  const page = coverage(figuresFor(log))?.markup;
  expect(page).toContain("0.00 % of 1<");
  expect(page).toContain("1 of 1 run again or proved");
  expect(page).not.toContain("grinding");
  await log.enrol("verifier", "verifier", "retire");
  expect(coverage(figuresFor(log))?.markup).toContain("No protection against grinding");
});

test("says how many no lot can draw, where there are any", async () => {
  const log = await UsageLog.open();
  await log.call({ authorization: { openness: "lot" } });
  expect(coverage(figuresFor(log))?.markup).not.toContain("No lot can draw");
  await log.call();
  expect(coverage(figuresFor(log))?.markup).toContain("No lot can draw 1 of the valid inferences");
});
