import { expect, test } from "vitest";
import { fixedSigner } from "../../../../test/fixed-keys.ts";
import { NOON_SECONDS } from "../../../../test/one-receipt.ts";
import type { AppraisalPayload } from "../entry/verification.ts";
import { keyId } from "../sign/cose.ts";
import { appraiseAgain } from "./again.ts";
import { measurementOf } from "./appraisal.ts";
import { bindingOf, encodeEvidence, evidenceDigest } from "./evidence.ts";
import { signSimulation } from "./simulated.ts";

/** Evidence by a key of our own, and what a verifier that looked at it at noon says in the log. */
async function appraised() {
  const [root, node] = [fixedSigner("simulated root"), fixedSigner("node")];
  const binding = { nonce: new Uint8Array(32).fill(1), key: keyId(node.spki) };
  const register = new Uint8Array(48).fill(0xaa);
  const evidence = await signSimulation(root, {
    ...{ register, reportData: bindingOf(binding) },
    ...{ notBeforeSeconds: NOON_SECONDS - 1, notAfterSeconds: NOON_SECONDS + 1 },
  });
  const collateral = [{ kind: "key" as const, bytes: root.spki }];
  const archived = encodeEvidence({ technology: "simulated", evidence, collateral, binding });
  const says: AppraisalPayload = {
    version: 1,
    key: binding.key,
    technology: "simulated",
    outcome: "passed",
    evidence: evidenceDigest(archived),
    measurement: measurementOf(new Map([[0, register]])),
    root: keyId(root.spki),
    appraised: NOON_SECONDS,
    expiry: NOON_SECONDS + 1,
  };
  return { archived, says };
}

test("evidence is appraised again at the time of its appraisal, whatever the time is by now", async () => {
  const { archived, says } = await appraised();
  expect(await appraiseAgain(archived, says)).toMatchObject({ name: "hardware evidence", state: "passed" });
});

test("an appraisal of another time, key, root or measurement than its evidence shows is no word to believe", async () => {
  const { archived, says } = await appraised();
  const other = new Uint8Array(32).fill(7);
  const lies: Partial<AppraisalPayload>[] = [
    { appraised: NOON_SECONDS + 2 },
    { key: other },
    { root: other },
    { measurement: other },
    { technology: "nitro" },
  ];
  for (const lie of lies)
    expect(await appraiseAgain(archived, { ...says, ...lie })).toMatchObject({
      state: "failed",
      failure: "bad_evidence",
    });
});

test("other bytes than the appraisal names are not held against anybody", async () => {
  const { archived, says } = await appraised();
  const changed = archived.with(-1, (archived.at(-1) ?? 0) ^ 1);
  expect(await appraiseAgain(changed, says)).toMatchObject({ state: "not_checked" });
});
