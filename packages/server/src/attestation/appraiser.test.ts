import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  bindingOf,
  type Collateral,
  type EntryOf,
  type EvidenceBinding,
  encodeEvidence,
  keyId,
  parseEntry,
  sha256,
  signSimulation,
} from "@tallystick/protocol";
import { expect, test } from "vitest";
import { fixedSigner } from "../../../../test/fixed-keys.ts";
import { nitroDocument, snpCertificates, snpReport } from "../../../../test/hardware-evidence.ts";
import { createTestClock } from "../../../../test/network.ts";
import { nowSeconds } from "../platform/clock.ts";
import { openDatabase } from "../platform/database.ts";
import { createSystemRandom } from "../platform/random.ts";
import { type Appraiser, createAppraiser } from "./appraiser.ts";
import { createEvidenceArchive } from "./archive-store.ts";

const verifier = fixedSigner("verifier");
const root = fixedSigner("simulated root");
const node = keyId(fixedSigner("node").spki);

function begin() {
  const clock = createTestClock();
  const published: EntryOf<"appraisal">[] = [];
  const archive = createEvidenceArchive(
    openDatabase(join(mkdtempSync(join(tmpdir(), "tallystick-appraiser-")), "state.sqlite")),
    3,
  );
  const appraiser = createAppraiser({
    ...{ signer: verifier, clock, random: createSystemRandom(), archive },
    simulatedRoot: sha256(root.spki),
    publish: async (bytes) => {
      const entry = parseEntry(bytes);
      if (entry.kind !== "appraisal") throw new Error(`published a ${entry.kind}`);
      return published.push(entry) - 1;
    },
  });
  return { clock, published, archive, appraiser, ...of(appraiser, clock) };
}

function of(appraiser: Appraiser, clock: { nowMs(): number }) {
  /** Evidence that a simulated machine gives for the next nonce; `changes` says what it binds instead. */
  async function answer(changes: Partial<EvidenceBinding> = {}, lifetimeSeconds = 3_600): Promise<Uint8Array> {
    const binding = { nonce: appraiser.challenge(node), key: node };
    const now = nowSeconds(clock);
    const evidence = await signSimulation(root, {
      register: new Uint8Array(48),
      reportData: bindingOf({ ...binding, ...changes }),
      notBeforeSeconds: now,
      notAfterSeconds: now + lifetimeSeconds,
    });
    const collateral: Collateral[] = [{ kind: "key", bytes: root.spki }];
    return encodeEvidence({ technology: "simulated", evidence, collateral, binding });
  }
  return { answer };
}

test("evidence that answers its nonce is appraised, archived and said in the log by the verifier, until it expires", async () => {
  const { appraiser, answer, archive, published, clock } = begin();
  const archived = await answer();
  const { appraisal, evidence, expirySeconds, index } = await appraiser.appraise(node, archived);
  expect(appraisal).toMatchObject({ technology: "simulated", outcome: "passed" });
  expect(archive.find(evidence)).toEqual(archived);
  expect(expirySeconds).toBe(nowSeconds(clock) + 3_600);
  const entry = published[index];
  expect(entry?.signed.keyId).toEqual(keyId(verifier.spki));
  expect(entry?.says).toMatchObject({
    ...{ key: node, technology: "simulated", outcome: "passed", evidence, root: sha256(root.spki) },
    appraised: nowSeconds(clock),
    expiry: expirySeconds,
  });
});

test("an appraisal holds for a day at most, whatever the evidence says", async () => {
  const { appraiser, answer, clock } = begin();
  const { expirySeconds } = await appraiser.appraise(node, await answer({}, 30 * 24 * 3_600));
  expect(expirySeconds).toBe(nowSeconds(clock) + 24 * 3_600);
});

test("a nonce is answered once, by the node that got it, within five minutes; and asked for once in ten seconds", async () => {
  const { appraiser, answer, clock, published } = begin();
  const archived = await answer();
  await expect(appraiser.appraise(keyId(root.spki), archived)).rejects.toThrow("ask for one");
  expect(() => appraiser.challenge(node)).toThrow("once in ten seconds");
  await appraiser.appraise(node, archived);
  await expect(appraiser.appraise(node, archived)).rejects.toThrow("ask for one");
  clock.advance(10_000);
  const late = await answer();
  clock.advance(300_001);
  await expect(appraiser.appraise(node, late)).rejects.toThrow("ask for one");
  const next = await answer();
  await expect(appraiser.appraise(node, archived)).rejects.toThrow("another nonce");
  await expect(appraiser.appraise(node, next)).rejects.toThrow("ask for one"); // The wrong try took the nonce.
  expect(published).toHaveLength(1);
});

test("evidence that does not bind what it says is a failed appraisal in the log, for another key and for another TLS key", async () => {
  const { appraiser, answer, clock, published } = begin();
  for (const changes of [{ key: keyId(root.spki) }, { tlsKey: new Uint8Array(32).fill(1) }]) {
    const { appraisal, expirySeconds } = await appraiser.appraise(node, await answer(changes));
    expect(appraisal).toMatchObject({ outcome: "failed", failure: "wrong_binding" });
    expect(expirySeconds).toBe(nowSeconds(clock));
    clock.advance(10_000);
  }
  expect(published.map(({ says }) => says.outcome)).toEqual(["failed", "failed"]);
  expect(published[0]?.says.measurement).toEqual(new Uint8Array(32));
});

test("hardware that no vendor made is a failed appraisal, and a GPU alone is none", async () => {
  const { appraiser, clock, published } = begin();
  const certificates = snpCertificates.vcek.map((bytes) => ({ kind: "certificate" as const, bytes }));
  for (const [technology, evidence, collateral] of [
    ["nitro", nitroDocument(), []],
    ["snp", snpReport(), certificates],
  ] as const) {
    const binding = { nonce: appraiser.challenge(node), key: node };
    const archived = encodeEvidence({ technology, evidence, collateral: [...collateral], binding });
    expect((await appraiser.appraise(node, archived)).appraisal).toMatchObject({ technology, failure: "unknown_root" });
    clock.advance(10_000);
  }
  const binding = { nonce: appraiser.challenge(node), key: node };
  const gpu = encodeEvidence({ technology: "hopper", evidence: new Uint8Array(1), collateral: [], binding });
  await expect(appraiser.appraise(node, gpu)).rejects.toThrow("a GPU's evidence");
  await expect(appraiser.appraise(node, Uint8Array.of(1))).rejects.toThrow("the evidence");
  expect(published).toHaveLength(2);
});

test("a node ends TLS by the key that its evidence binds, while that holds and until other evidence comes", async () => {
  const { appraiser, answer, archive, clock } = begin();
  const tlsKey = new Uint8Array(32).fill(7);
  const heldAt = () => archive.findTlsKey(node, nowSeconds(clock));
  const bound = async (key: Uint8Array | undefined, lifetimeSeconds: number) => {
    const binding = { nonce: appraiser.challenge(node), key: node, ...(key && { tlsKey: key }) };
    const now = nowSeconds(clock);
    const times = { notBeforeSeconds: now, notAfterSeconds: now + lifetimeSeconds };
    const evidence = await signSimulation(root, {
      ...{ register: new Uint8Array(48), reportData: bindingOf(binding) },
      ...times,
    });
    const collateral: Collateral[] = [{ kind: "key", bytes: root.spki }];
    await appraiser.appraise(node, encodeEvidence({ technology: "simulated", evidence, collateral, binding }));
  };
  await bound(tlsKey, 60);
  expect(heldAt()).toEqual(tlsKey);
  clock.advance(61_000);
  expect(heldAt()).toBeUndefined();
  await bound(tlsKey, 3_600);
  expect(heldAt()).toEqual(tlsKey);
  clock.advance(10_000);
  expect((await appraiser.appraise(node, await answer({ tlsKey }))).appraisal.outcome).toBe("failed");
  expect(heldAt()).toBeUndefined();
});

test("of archived evidence the newest is kept", async () => {
  const { archive } = begin();
  const digests = [1, 2, 3, 4].map((byte) => new Uint8Array(32).fill(byte));
  for (const digest of digests) archive.keep(digest, digest.subarray(0, 5));
  expect(digests.map((digest) => archive.find(digest)?.length)).toEqual([undefined, 5, 5, 5]);
});

test("evidence that truly binds another node's key is not taken for this one's", async () => {
  const { appraiser, clock, published } = begin();
  const binding = { nonce: appraiser.challenge(node), key: keyId(root.spki) };
  const now = nowSeconds(clock);
  const times = { notBeforeSeconds: now, notAfterSeconds: now + 60 };
  const evidence = await signSimulation(root, {
    ...{ register: new Uint8Array(48), reportData: bindingOf(binding) },
    ...times,
  });
  const collateral: Collateral[] = [{ kind: "key", bytes: root.spki }];
  const archived = encodeEvidence({ technology: "simulated", evidence, collateral, binding });
  await expect(appraiser.appraise(node, archived)).rejects.toThrow("another key than this node's");
  expect(published).toEqual([]);
});
