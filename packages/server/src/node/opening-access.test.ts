import { applyEntry, createFold, type LotOpening, sha256, utf8 } from "@tallystick/protocol";
import { expect, test } from "vitest";
import { NOON_SECONDS } from "../../../../test/one-receipt.ts";
import { UsageLog } from "../../../../test/usage-log.ts";
import { createOpeningAccess } from "./opening-access.ts";

const salt = sha256(utf8("salt"));
const OPENING: LotOpening = { requestSalt: salt, call: utf8("a call"), responseSalt: salt, answer: utf8("an answer") };

test("what is drawn or disputed is opened to verifier and referee, and not once their key is revoked", async () => {
  const log = await UsageLog.open();
  for (const role of ["verifier", "referee"] as const) await log.enrol(role, role);
  await log.epoch(NOON_SECONDS);
  await log.commitLot("verifier");
  for (const seconds of [10, 20]) await log.epoch(NOON_SECONDS + seconds);
  const receipt = await log.call({ authorization: { openness: "lot" } });
  await log.epoch(NOON_SECONDS + 30);
  await log.revealLot("verifier", log.entries.length - 1);
  await log.dispute("verifier", receipt);
  const asks = async (label: string) => {
    const fold = createFold();
    for (const entry of log.entries) applyEntry(fold, entry);
    const parts = { fold, openings: { find: async () => OPENING }, readOn: async () => {} };
    return createOpeningAccess(parts).open(log.idOf(label), receipt);
  };
  for (const label of ["verifier", "referee"]) expect(await asks(label)).toEqual(OPENING);
  await log.revoke("key", log.idOf("verifier"));
  await expect(asks("verifier")).rejects.toThrow("is not for this key");
  await log.revoke("key", log.idOf("referee"), NOON_SECONDS + 3_600);
  expect(await asks("referee")).toEqual(OPENING); // From later on.
  await log.revoke("key", log.idOf("referee"), NOON_SECONDS);
  await expect(asks("referee")).rejects.toThrow("is not for this key");
});
