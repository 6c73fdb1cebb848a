import { applyEntry, createFold, type Entry, type FoldState, keyOf, revealDue } from "@tallystick/protocol";
import { expect, test } from "vitest";
import { NOON_SECONDS } from "../../../../test/one-receipt.ts";
import { HOUR, UsageLog } from "../../../../test/usage-log.ts";
import { ServiceError } from "../platform/errors.ts";
import { checkVerification, isOfVerification } from "./verification-admission.ts";

const NONE = new Uint8Array(32);

function foldOf({ entries }: UsageLog): FoldState {
  const fold = createFold();
  for (const entry of entries) applyEntry(fold, entry);
  return fold;
}

/** Why what was said last is not taken in; undefined where it is. */
function refusalOf(log: UsageLog): string | undefined {
  const entry: Entry | undefined = log.entries.pop();
  if (entry === undefined || !isOfVerification(entry)) throw new Error("nothing was said");
  try {
    checkVerification(foldOf(log), entry);
    return undefined;
  } catch (error) {
    if (error instanceof ServiceError) return `${error.code}: ${error.message}`;
    throw error;
  }
}

async function open() {
  const log = await UsageLog.open();
  for (const role of ["verifier", "referee", "disputer"] as const) await log.enrol(role, role);
  await log.commitLot("verifier");
  await log.epoch(NOON_SECONDS);
  const early = await log.call({ authorization: { openness: "lot" } });
  await log.epoch(NOON_SECONDS + HOUR);
  const late = await log.call({ authorization: { openness: "lot" } });
  await log.epoch(NOON_SECONDS + 2 * HOUR);
  return { log, early, late };
}

test("what a revoked key says is refused where it would count as nothing, and no further", async () => {
  const { log, early, late } = await open();
  const disputes = [await log.dispute("disputer", early), await log.dispute("disputer", late)];
  const [ofEarly = NONE, ofLate = NONE] = disputes;
  const sayings: [string, () => Promise<unknown>, boolean][] = [
    ["a check of what has an earlier time", () => log.verify("verifier", early), true],
    ["a check of what has a later time", () => log.verify("verifier", late), false],
    ["a resolution for what has an earlier time", () => log.resolve("referee", ofEarly, "upheld"), true],
    ["a resolution for what has a later time", () => log.resolve("referee", ofLate, "upheld"), false],
    ["an appraisal", () => log.appraise("verifier", "node"), false],
    ["a chain", () => log.commitLot("verifier", 7), false],
  ];
  for (const [what, say] of sayings) {
    await say();
    expect([what, refusalOf(log)]).toEqual([what, undefined]); // Before anything is revoked.
  }
  for (const key of ["verifier", "referee"]) await log.revoke("key", log.idOf(key), NOON_SECONDS + 2 * HOUR);
  for (const [what, say, counts] of sayings) {
    await say();
    const refusal = expect.stringMatching(/^forbidden: the key [0-9a-f]{64} is revoked/);
    expect([what, refusalOf(log)]).toEqual([what, counts ? undefined : refusal]);
  }
});

test("a verifier that is revoked may still reveal for the lots that it takes part in", async () => {
  const { log } = await open();
  await log.revoke("key", log.idOf("verifier"));
  const [epoch = 0] = revealDue(foldOf(log), keyOf(log.idOf("verifier")));
  await log.revealLot("verifier", epoch);
  expect(refusalOf(log)).toBeUndefined();
});
