import { applyEntry, createFold, type Figures, figuresOf } from "@tallystick/protocol";
import { expect, test } from "vitest";
import { NOON_SECONDS } from "../../../../test/one-receipt.ts";
import { DAY, UsageLog } from "../../../../test/usage-log.ts";
import { figuresText } from "./usage.ts";

function figuresFor({ entries }: UsageLog): Figures {
  const fold = createFold();
  for (const entry of entries) applyEntry(fold, entry);
  return figuresOf(fold);
}

test("usage says how many are of which tier, how many may be wrong, and that nothing stands against grinding", async () => {
  const log = await UsageLog.open();
  expect(figuresText(figuresFor(log))).toContain("no bound yet");
  expect(figuresText(figuresFor(log))).toContain("no protection against grinding");
  await log.enrol("verifier", "verifier");
  await log.commitLot("verifier");
  await log.epoch(NOON_SECONDS);
  const receipts: Uint8Array[] = [];
  for (let i = 0; i < 8; i++) receipts.push(await log.call({ authorization: { openness: "lot" } }));
  await log.call();
  const asked = { openness: "lot", tier: "reexecuted" } as const;
  for (let i = 0; i < 3; i++) await log.call({ authorization: asked });
  const epoch = log.entries.length;
  await log.epoch(NOON_SECONDS + 60);
  await log.revealLot("verifier", epoch);
  for (const [i, receipt] of receipts.entries())
    await log.verify("verifier", receipt, { epoch, outcome: i === 0 ? "failed" : "passed" });
  const text = figuresText(figuresFor(log));
  expect(text).toContain("valid, by tier        0 proved, 7 reexecuted, 0 attested, 5 signed\n");
  expect(text).toContain("no lot can draw       1\n");
  expect(text).toContain("asked for a check     0 of 3 checked, 0 wrong\n");
  expect(text).toContain(
    "checked by lot        8 of 8, 1 wrong; of 8 whose lots are done at most 12.50 %, at 99 % confidence\n",
  );
  expect(text).toMatch(/example\/double +0 +7 +0 +5 +8 of 8 +1 +12\.50 % of 8\n/);
  expect(text).not.toContain("grinding");
  await log.epoch(NOON_SECONDS + 2 * DAY);
  expect(figuresText(figuresFor(log))).toContain("asked for a check     0 of 3 checked, 0 wrong, 3 omitted\n");
  expect(figuresText(figuresFor(log))).toMatch(/example\/double +0 +7 +0 +5 +0 of 0 +0 +not known\n/);
});
