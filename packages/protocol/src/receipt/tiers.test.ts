import { expect, test } from "vitest";
import { sha256 } from "#platform";
import { NOON_SECONDS } from "../../../../test/one-receipt.ts";
import { DAY, JUDGE, UsageLog } from "../../../../test/usage-log.ts";
import { equal, utf8 } from "../bytes.ts";
import { parseAuthorization } from "../entry/entry.ts";
import { signedId } from "../sign/cose.ts";
import { applyEntry } from "../usage/fold.ts";
import { createFold } from "../usage/state.ts";
import type { Check } from "../verdict.ts";
import { createHistory, noteInHistory } from "./history.ts";
import { tierChecks } from "./tiers.ts";

const OPEN = { authorization: { openness: "lot" } } as const;
const CEREMONY = sha256(utf8("ceremony"));

async function openLog(): Promise<UsageLog> {
  const log = await UsageLog.open();
  for (const label of ["verifier", "second verifier"]) await log.enrol(label, "verifier");
  await log.enrol("referee", "referee");
  await log.enrol("disputer", "disputer");
  await log.commitLot("verifier");
  await log.epoch(NOON_SECONDS);
  return log;
}

function checksOf({ entries }: UsageLog, node: Uint8Array, receipt: Uint8Array): Check[] {
  const index = entries.findIndex(
    (entry) =>
      entry.kind === "receipt" && equal(signedId(parseAuthorization(entry.says.authorization).signed), receipt),
  );
  const [fold, history] = [createFold(), createHistory({ receipt, index, node })];
  for (const [at, entry] of entries.entries()) {
    noteInHistory(history, at, entry);
    applyEntry(fold, entry);
  }
  return tierChecks(fold, history);
}
const look = (log: UsageLog, receipt: Uint8Array) => checksOf(log, log.idOf("node"), receipt);
const states = (checks: Check[]) => checks.map(({ name, state }) => `${name}: ${state}`);
const find = (checks: Check[], name: string) => checks.find((check) => check.name === name);

test("of a receipt that nobody looked at each tier is listed, with why it is not reached", async () => {
  const log = await openLog();
  const [closed, open] = [await log.call(), await log.call(OPEN)];
  const checks = look(log, closed);
  expect(states(checks)).toEqual([
    "in the figures: passed",
    "signed: passed",
    "attested: not_checked",
    "reexecuted: not_checked",
    "proved: not_checked",
  ]);
  expect(find(checks, "reexecuted")?.detail).toContain("no lot can draw it");
  expect(find(look(log, open), "reexecuted")?.detail).toBe("the lot of its epoch is not drawn yet");
});

test("a drawn check names its verifier, its lot and its engine, and one that is waited for says for whom", async () => {
  const log = await openLog();
  const receipt = await log.call(OPEN);
  const epoch = log.entries.length;
  await log.epoch(NOON_SECONDS + 60);
  await log.revealLot("verifier", epoch);
  expect(find(look(log, receipt), "reexecuted")?.detail).toContain(
    `the lot of epoch entry ${epoch} drew it for the verifier "example", who has not said yet`,
  );
  await log.verify("verifier", receipt, { epoch });
  const checks = look(log, receipt);
  expect(find(checks, "reexecuted")?.state).toBe("passed");
  expect(find(checks, "check")?.detail).toMatch(
    new RegExp(
      `^the verifier "example", drawn by the lot of epoch entry ${epoch}, ran it again, with the same answer, by onnxruntime-web@1.2.3 \\(exact, engine [0-9a-f]{16}…\\) \\(entry ${log.entries.length - 1}\\)$`,
    ),
  );
});

test("of a verifier that spoke twice each word is shown as the one that it was", async () => {
  const log = await openLog();
  const receipt = await log.call(OPEN);
  const asked = log.entries.length;
  await log.verify("verifier", receipt);
  const epoch = log.entries.length;
  await log.epoch(NOON_SECONDS + 60);
  await log.revealLot("verifier", epoch);
  const drawn = log.entries.length;
  await log.verify("verifier", receipt, { epoch });
  const said = look(log, receipt).filter(({ name }) => name === "check");
  expect(said.map(({ detail }) => detail)).toEqual([
    expect.stringMatching(new RegExp(`", asked to, .*\\(entry ${asked}\\)$`)),
    expect.stringMatching(new RegExp(`", drawn by the lot .*\\(entry ${drawn}\\)$`)),
  ]);
});

test("an answer that was found wrong fails its tier, and a referee who finds otherwise overturns that", async () => {
  const log = await openLog();
  const receipt = await log.call(OPEN);
  await log.verify("verifier", receipt, { outcome: "failed" });
  const dispute = await log.dispute("disputer", receipt);
  const pending = look(log, receipt);
  expect(states(pending).slice(3)).toEqual([
    "reexecuted: failed",
    "check: failed",
    "dispute: not_checked",
    "proved: not_checked",
  ]);
  await log.resolve("referee", dispute, "rejected");
  const overturned = look(log, receipt);
  expect(states(overturned).slice(3)).toEqual([
    "reexecuted: not_checked",
    "check: not_checked",
    "dispute: passed",
    "proved: not_checked",
  ]);
  expect(find(overturned, "check")?.detail).toContain("a referee found otherwise");
});

test("an upheld dispute fails what another verifier had passed, and hardware vouches for it no more", async () => {
  const log = await openLog();
  await log.appraise("verifier", "node");
  await log.reference("publisher");
  const receipt = await log.call(OPEN);
  await log.verify("verifier", receipt);
  expect(states(look(log, receipt)).slice(2)).toEqual([
    "attested: passed",
    "reexecuted: passed",
    "check: passed",
    "proved: not_checked",
  ]);
  await log.resolve("referee", await log.dispute("disputer", receipt), "upheld");
  const checks = look(log, receipt);
  expect(find(checks, "reexecuted")).toMatchObject({ state: "failed", failure: "refuted" });
  expect(find(checks, "dispute")).toMatchObject({ state: "failed", failure: "refuted" });
  expect(find(checks, "attested")?.state).toBe("not_checked");
});

test("attested says which evidence vouched at the receipt's time, and calls simulated evidence that", async () => {
  const log = await openLog();
  const attested = async () => find(look(log, await log.call()), "attested")?.detail;
  expect(await attested()).toContain("nobody had appraised");
  await log.appraise("verifier", "node", { technology: "simulated" });
  expect(await attested()).toMatch(/^simulated: its root [0-9a-f]{16}… .* never counts$/);
  await log.appraise("verifier", "node");
  expect(await attested()).toContain("no publisher approves what the node's nitro evidence measured");
  await log.reference("publisher");
  const early = await log.call();
  expect(find(look(log, early), "attested")?.detail).toMatch(
    /^nitro evidence of the node's key, vendor root [0-9a-f]{16}…, appraised by the verifier "example" as entry \d+, good until .*; .* approved by the publisher "example"$/,
  );
  await log.appraise("verifier", "node", { outcome: "failed" });
  expect(await attested()).toContain("the last appraisal of the node's nitro evidence failed");
  expect(find(look(log, early), "attested")?.state).toBe("passed");
  await log.appraise("verifier", "node");
  const late = await log.call();
  await log.epoch(NOON_SECONDS + DAY + 1);
  expect(find(look(log, late), "attested")?.detail).toContain("had run out");
});

test("what was revoked is no ground, and says so: an engine, a verifier, a node", async () => {
  const log = await openLog();
  const receipt = await log.call(OPEN);
  await log.verify("verifier", receipt);
  await log.revoke("judge", JUDGE);
  const checks = look(log, receipt);
  expect(find(checks, "reexecuted")?.state).toBe("not_checked");
  expect(find(checks, "check")).toMatchObject({ state: "not_checked" });
  expect(find(checks, "check")?.detail).toContain("what that rests on was revoked");
  await log.revoke("key", log.idOf("node"));
  expect(find(look(log, receipt), "signed")).toMatchObject({ state: "failed", failure: "revoked" });
});

test("a proof that a verifier took is shown, and one that it refused fails", async () => {
  const log = await openLog();
  const [good, bad] = [await log.call(), await log.call()];
  await log.verify("verifier", good, { method: "proof", ceremony: CEREMONY });
  await log.verify("verifier", bad, { method: "proof", ceremony: CEREMONY, outcome: "failed" });
  expect(states(look(log, good)).slice(4)).toEqual(["proved: passed", "proof check: passed"]);
  expect(find(look(log, bad), "proved")).toMatchObject({ state: "failed", failure: "bad_proof" });
});

test("a receipt that the log excludes for what does not hold fails, and one that is only not counted does not", async () => {
  const log = await openLog();
  const [failed, twice] = [
    await log.call({ receipt: { status: "failed" } }),
    await log.call({ authorization: { nonce: 0, maxPrice: 4n } }),
  ];
  expect(find(look(log, failed), "in the figures")?.state).toBe("not_checked");
  expect(find(look(log, twice), "in the figures")).toMatchObject({ state: "failed", failure: "broken_terms" });
  expect(states(checksOf(log, log.idOf("node"), sha256(utf8("no receipt"))))).toEqual(["in the figures: not_checked"]);
});
