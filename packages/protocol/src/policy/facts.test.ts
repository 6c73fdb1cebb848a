import { expect, test } from "vitest";
import { NOON_SECONDS } from "../../../../test/one-receipt.ts";
import { JUDGE, UsageLog, VENDOR_ROOT } from "../../../../test/usage-log.ts";
import { hex } from "../bytes.ts";
import { applyEntry } from "../usage/fold.ts";
import { createFold, type FoldState, keyOf } from "../usage/state.ts";
import { parseAcceptancePolicy } from "./acceptance.ts";
import { factsIn, groundsAtNode, reachableTiers } from "./facts.ts";
import { satisfies } from "./satisfies.ts";

function foldOf({ entries }: UsageLog): FoldState {
  const fold = createFold();
  for (const entry of entries) applyEntry(fold, entry);
  return fold;
}

async function openLog(): Promise<UsageLog> {
  const log = await UsageLog.open();
  await log.enrol("verifier", "verifier");
  await log.epoch(NOON_SECONDS);
  return log;
}

/** The state of each demand, by all that is in the log. */
function judged(log: UsageLog, receipt: Uint8Array, policy: unknown) {
  const facts = factsIn(foldOf(log), keyOf(receipt));
  if (facts === undefined) return "unknown";
  const checks = satisfies(parseAcceptancePolicy(policy), facts);
  return checks.map(({ name, state }) => `${name.replace("policy: ", "")} ${state}`).join(", ");
}

const withoutRoot = (kind: string, root: Uint8Array) => ({
  tier: "reexecuted",
  withoutRoots: [`${kind}:${hex(root)}`],
});

test("a receipt meets a tier once it was checked, and no more once what the check rests on is revoked", async () => {
  const log = await openLog();
  const receipt = await log.call({ authorization: { openness: "lot" } });
  const waits = { tier: "reexecuted", pending: "use" };
  expect(judged(log, receipt, waits)).toBe("tier not_checked");
  await log.verify("verifier", receipt);
  expect(judged(log, receipt, waits)).toBe("tier passed");
  expect(judged(log, receipt, withoutRoot("judge", JUDGE))).toBe("roots passed, tier failed");
  expect(judged(log, receipt, withoutRoot("key", log.idOf("verifier")))).toBe("roots passed, tier failed");
  expect(judged(log, receipt, withoutRoot("key", log.idOf("node")))).toBe("roots failed, tier passed");
  await log.revoke("judge", JUDGE);
  expect(judged(log, receipt, { tier: "reexecuted" })).toBe("tier failed");
});

test("a receipt whose node's key is revoked meets nothing, nor does one that has broken its terms", async () => {
  const log = await openLog();
  const [good, dear] = [await log.call(), await log.call({ authorization: { maxPrice: 0n }, receipt: { price: 1n } })];
  expect(judged(log, good, { tier: "signed", pending: "use" })).toBe("tier passed");
  expect(judged(log, dear, { tier: "signed", pending: "use" })).toBe("tier failed");
  await log.revoke("key", log.idOf("node"));
  expect(judged(log, good, { tier: "signed", pending: "use" })).toBe("tier failed");
  expect(judged(log, new Uint8Array(32), {})).toBe("unknown");
});

test("the publisher is the one whose key published the revision", async () => {
  const log = await openLog();
  const receipt = await log.call();
  expect(judged(log, receipt, { publishers: [hex(log.idOf("publisher"))], provenance: "executed" })).toBe(
    "provenance passed, publisher passed",
  );
  expect(judged(log, receipt, { publishers: [hex(log.idOf("node"))] })).toBe("publisher failed");
});

test("a node is attested at once while its appraisal holds and no longer, and what it rests on is named", async () => {
  const log = await openLog();
  const tiersAt = (nowSeconds: number) =>
    groundsAtNode(foldOf(log), keyOf(log.idOf("node")), keyOf(log.idOf("gateway")), nowSeconds).map(({ tier }) => tier);
  await log.appraise("verifier", "node");
  expect(tiersAt(NOON_SECONDS)).toEqual(["signed"]);
  await log.reference("publisher");
  expect(tiersAt(NOON_SECONDS)).toEqual(["signed", "attested"]);
  expect(tiersAt(NOON_SECONDS + 366 * 86_400)).toEqual(["signed"]);
  const [, attested] = groundsAtNode(foldOf(log), keyOf(log.idOf("node")), keyOf(log.idOf("gateway")), NOON_SECONDS);
  expect(attested?.roots.map(({ kind }) => kind)).toContain("vendor");
  await log.revoke("vendor", VENDOR_ROOT);
  expect(tiersAt(NOON_SECONDS)).toEqual(["signed"]);
});

test("the tiers that answers can come to follow from who is enrolled, what is attested and how the call is opened", async () => {
  const log = await UsageLog.open();
  const reachable = (openness: "none" | "lot", nowSeconds = NOON_SECONDS) => {
    const fold = foldOf(log);
    const [model] = fold.models.values();
    if (model === undefined) throw new Error("a model is published");
    return reachableTiers(fold, model, openness, { gateway: keyOf(log.idOf("gateway")), nowSeconds });
  };
  expect(reachable("lot")).toEqual(["signed"]);
  await log.enrol("verifier", "verifier");
  expect(reachable("lot")).toEqual(["signed", "reexecuted"]);
  expect(reachable("none")).toEqual(["signed"]);
  await log.appraise("verifier", "node");
  await log.reference("publisher");
  expect(reachable("none")).toEqual(["signed", "attested"]);
  expect(reachable("none", NOON_SECONDS + 2 * 86_400)).toEqual(["signed"]); // The appraisal has expired.
  await log.enrol("verifier", "verifier", "retire");
  expect(reachable("lot")).not.toContain("reexecuted");
  await log.enrol("node", "node", "retire");
  expect(reachable("lot")).toEqual(["signed"]);
});
