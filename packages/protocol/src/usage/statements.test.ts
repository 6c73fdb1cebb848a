import { describe, expect, test } from "vitest";
import { NOON_SECONDS } from "../../../../test/one-receipt.ts";
import { DAY, tagOf, UsageLog } from "../../../../test/usage-log.ts";
import { sha256, utf8 } from "../index.ts";
import { AFFILIATED_KEYS_IN_ALL, RECOMPUTATIONS_KEPT } from "../limits.ts";
import { figuresOf } from "./figures.ts";
import { applyEntry } from "./fold.ts";
import { createFold, type FoldState, keyOf, signerOf } from "./state.ts";

function foldOf({ entries }: UsageLog): FoldState {
  const fold = createFold();
  for (const entry of entries) applyEntry(fold, entry);
  return fold;
}

/** Whether the log's last entry may be signed by the key that signed it, by what comes before. */
function maySign({ entries }: UsageLog): boolean {
  const last = entries.at(-1);
  const fold = createFold();
  for (const entry of entries.slice(0, -1)) applyEntry(fold, entry);
  return last !== undefined && signerOf(fold, last) !== undefined;
}

const reversals = (fold: FoldState) => [...fold.demand.relied.values()].flat().map(({ reversedAt }) => reversedAt);

describe("a reversal", () => {
  test("takes back what its relier said of the whole decision, once, and another relier's takes back nothing", async () => {
    const log = await UsageLog.open();
    await log.enrol("other", "relier");
    const decision = tagOf("decision");
    const first = await log.call({ authorization: { decision } });
    const second = await log.call({ authorization: { decision } });
    const apart = await log.call();
    await log.rely(first);
    await log.rely(second);
    await log.rely(apart);
    await log.reverse(second, "other");
    expect(reversals(foldOf(log))).toEqual([undefined, undefined, undefined]);
    await log.reverse(second);
    const at = log.entries.length - 1;
    await log.reverse(first);
    expect(reversals(foldOf(log))).toEqual([at, at, undefined]);
  });

  test("of a receipt that the log lacks changes nothing, and only a relier may sign one", async () => {
    const log = await UsageLog.open();
    const receipt = await log.call();
    await log.rely(receipt);
    await log.reverse(sha256(utf8("no receipt")));
    expect(maySign(log)).toBe(true);
    expect(reversals(foldOf(log))).toEqual([undefined]);
    await log.reverse(receipt, "node");
    expect(maySign(log)).toBe(false);
  });
});

test("a reliance is kept with what for and how much, and as nothing where a contract is said to stand behind it", async () => {
  const log = await UsageLog.open();
  const [first, second] = [await log.call(), await log.call()];
  await log.rely(first, "relier", { purpose: "fraud", class: "stated", valueBucket: 20 });
  for (const one of ["settled", "consumed", "staked", "tested"] as const)
    await log.rely(second, "relier", { class: one });
  const fold = foldOf(log);
  const relied = [...fold.demand.relied.values()].flat();
  expect(relied.map(({ purpose, valueBucket }) => [purpose, valueBucket])).toEqual([["fraud", 20]]);
  expect(figuresOf(fold).totals.decisionsReliedOn).toBe(1);
});

describe("an affiliation", () => {
  test("is kept as its signer says it: of a pair it takes both", async () => {
    const log = await UsageLog.open();
    await log.affiliate("node", ["gateway", "publisher", "node"]);
    await log.affiliate("gateway", ["node"]);
    const { affiliations } = foldOf(log).demand;
    const named = [...affiliations].map(([signer, keys]) => [signer, [...keys]]);
    const [node, gateway, publisher] = ["node", "gateway", "publisher"].map((label) => keyOf(log.idOf(label)));
    expect(named).toEqual([
      [node, expect.arrayContaining([gateway, publisher])],
      [gateway, [node]],
    ]);
    expect(affiliations.get(node ?? "")?.size).toBe(2);
  });

  test("is signed by a session's key where it names that session, and by nobody who is unknown or retired", async () => {
    const log = await UsageLog.open();
    await log.grant("other");
    await log.affiliate("session", ["node"], "session");
    expect(maySign(log)).toBe(true);
    await log.affiliate("session", ["node"], "other");
    expect(maySign(log)).toBe(false);
    await log.affiliate("session", ["node"]);
    expect(maySign(log)).toBe(false);
    await log.enrol("node", "node", "retire");
    await log.affiliate("node", ["session"]);
    expect(maySign(log)).toBe(false);
  });

  test("adds to those before it, up to a bound", async () => {
    const log = await UsageLog.open();
    for (let i = 0; i < AFFILIATED_KEYS_IN_ALL + 64; i += 64)
      await log.affiliate(
        "node",
        Array.from({ length: 64 }, (_, k) => `key ${i + k}`),
      );
    expect(foldOf(log).demand.affiliations.get(keyOf(log.idOf("node")))?.size).toBe(AFFILIATED_KEYS_IN_ALL);
  });
});

describe("a label's dispute", () => {
  test("that a referee upholds overrules the label, and neither the receipt nor its node is worse for it", async () => {
    const log = await UsageLog.open();
    await log.enrol("referee", "referee");
    await log.enrol("disputer", "disputer");
    const receipt = await log.call();
    await log.epoch(NOON_SECONDS);
    const before = foldOf(log);
    const dispute = await log.dispute("disputer", receipt, "label");
    expect(foldOf(log).demand.overruled.size).toBe(0);
    await log.resolve("referee", dispute, "upheld");
    const fold = foldOf(log);
    expect([...fold.demand.overruled]).toEqual([keyOf(receipt)]);
    expect(fold.receipts.get(keyOf(receipt))?.tier).toBe("signed");
    expect(fold.proofs).toEqual(before.proofs);
  });

  test("is decided by the first resolution that decides, and counts once for each who disputes", async () => {
    const log = await UsageLog.open();
    await log.enrol("referee", "referee");
    await log.enrol("disputer", "disputer");
    const receipt = await log.call();
    const dispute = await log.dispute("disputer", receipt, "label");
    const again = await log.dispute("disputer", receipt, "label");
    expect(again).toEqual(dispute);
    await log.resolve("referee", dispute, "undecided");
    await log.resolve("referee", dispute, "rejected");
    await log.resolve("referee", dispute, "upheld");
    const fold = foldOf(log);
    expect(fold.demand.overruled.size).toBe(0);
    expect([...fold.demand.labelDisputes.values()].map(({ outcome }) => outcome)).toEqual(["rejected"]);
  });

  test("is nothing any more once the key of the referee that upheld it is revoked", async () => {
    const log = await UsageLog.open();
    await log.enrol("referee", "referee");
    await log.enrol("disputer", "disputer");
    const receipt = await log.call();
    await log.epoch(NOON_SECONDS);
    await log.resolve("referee", await log.dispute("disputer", receipt, "label"), "upheld");
    await log.revoke("key", log.idOf("referee"), NOON_SECONDS + 1);
    expect(foldOf(log).demand.overruled.size).toBe(1);
    await log.revoke("key", log.idOf("referee"), NOON_SECONDS);
    expect(foldOf(log).demand.overruled.size).toBe(0);
  });

  test("is signed by who asked, by the model's publisher or by a disputer; a wrong answer is disputed by neither of the first two", async () => {
    const log = await UsageLog.open();
    await log.grant("other");
    await log.enrol("rival", "publisher");
    await log.enrol("disputer", "disputer");
    await log.enrol("verifier", "verifier");
    const receipt = await log.call();
    const who = async (ground: "label" | "mismatch") => {
      const may: string[] = [];
      for (const signer of ["session", "publisher", "disputer", "verifier", "other", "rival", "node"]) {
        await log.dispute(signer, receipt, ground);
        if (maySign(log)) may.push(signer);
      }
      return may;
    };
    expect(await who("label")).toEqual(["session", "publisher", "disputer"]);
    expect(await who("mismatch")).toEqual(["disputer", "verifier"]);
  });
});

test("of a day the log's first snapshot by given rules stands, and only the log's key may sign one", async () => {
  const log = await UsageLog.open();
  await log.snapshot();
  await log.snapshot({ result: sha256(utf8("another result")) });
  await log.snapshot({ rules: sha256(utf8("other rules")) });
  await log.snapshot({ day: "2026-11-23" });
  expect(maySign(log)).toBe(true);
  const snapshots = [...foldOf(log).snapshots.values()];
  expect(snapshots.map(({ index, day }) => [index, day])).toEqual([
    [7, "2026-11-22"],
    [9, "2026-11-22"],
    [10, "2026-11-23"],
  ]);
  expect(snapshots[0]?.result).toBe(keyOf(sha256(utf8("result"))));
  for (const by of ["gateway", "publisher", "node"]) {
    await log.snapshot({}, by);
    expect(maySign(log)).toBe(false);
  }
});

test("an auditor's words are of ever more entries, so that none is sent again as the newest; the last so many are kept", async () => {
  const log = await UsageLog.open();
  await log.enrol("auditor", "auditor");
  await log.enrol("another", "auditor");
  await log.recompute({ size: 5 }, "another");
  await log.recompute({ size: 4 });
  await log.recompute({ size: 5, agrees: "no" });
  await log.recompute({ size: 4 });
  await log.recompute({ size: 5 });
  expect(maySign(log)).toBe(true);
  const kept = (label: string) => foldOf(log).recomputations.get(keyOf(log.idOf(label)));
  expect(kept("auditor")?.map(({ size, agrees }) => [size, agrees])).toEqual([
    [4, true],
    [5, false],
  ]);
  for (let size = 6; size < 6 + RECOMPUTATIONS_KEPT; size++) await log.recompute({ size });
  expect(kept("auditor")?.map(({ size }) => size)).toEqual(
    Array.from({ length: RECOMPUTATIONS_KEPT }, (_, i) => 6 + i),
  );
  expect(kept("another")?.length).toBe(1);
  await log.recompute({ size: 5 }, "node");
  expect(maySign(log)).toBe(false);
});

test("an auditor runs nothing: what its key asks for is no self-dealing, and its credits are no operator's", async () => {
  const log = await UsageLog.open();
  await log.enrol("auditor", "auditor");
  await log.grant("auditor");
  await log.call({ session: "auditor" });
  await log.topUp("auditor", 100n, { funder: log.idOf("auditor") });
  await log.epoch(NOON_SECONDS + DAY);
  const { totals, credits } = figuresOf(foldOf(log));
  expect(totals.valid).toBe(1);
  expect(credits.subsidised).toBe("0");
});
