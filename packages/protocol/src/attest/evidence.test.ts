import fc from "fast-check";
import { expect, test } from "vitest";
import { sha256 } from "#platform";
import { fixedSigner } from "../../../../test/fixed-keys.ts";
import { nitroDocument, snpCertificates, snpReport } from "../../../../test/hardware-evidence.ts";
import { RUNS } from "../../../../test/runs.ts";
import { concat, hex, utf8 } from "../bytes.ts";
import { Malformed } from "../cbor/bytes.ts";
import { EVIDENCE_COLLATERAL, EVIDENCE_SIZE_BYTES } from "../limits.ts";
import type { Appraisal } from "./appraisal.ts";
import { appraise } from "./appraise.ts";
import { bindingOf, type Evidence, encodeEvidence, parseEvidence } from "./evidence.ts";
import { findRoot, VENDOR_ROOTS } from "./roots.ts";
import { signSimulation } from "./simulated.ts";

const root = fixedSigner("simulated root");
const simulatedRoot = sha256(root.spki);
const reportData = new Uint8Array(32).fill(5);
const simulation = {
  register: new Uint8Array(48).fill(1),
  reportData,
  notBeforeSeconds: 1_000,
  notAfterSeconds: 2_000,
};
const key = { kind: "key", bytes: root.spki } as const;

async function simulated(changes: Partial<typeof simulation> = {}, collateral: Evidence["collateral"] = [key]) {
  const evidence = await signSimulation(root, { ...simulation, ...changes });
  return encodeEvidence({ technology: "simulated", evidence, collateral });
}
const failureOf = (appraisal: Appraisal) => (appraisal.outcome === "failed" ? appraisal.failure : undefined);

test("archived evidence is one spelling of what it holds, within its bounds", async () => {
  const evidence: Evidence = {
    technology: "snp",
    evidence: snpReport(),
    collateral: snpCertificates.vcek.map((bytes) => ({ kind: "certificate", bytes })),
  };
  const bytes = encodeEvidence(evidence);
  expect(parseEvidence(bytes)).toEqual(evidence);
  expect(encodeEvidence(parseEvidence(bytes))).toEqual(bytes);
  expect(() => encodeEvidence({ ...evidence, evidence: new Uint8Array(EVIDENCE_SIZE_BYTES) })).toThrow(Malformed);
  expect(() => encodeEvidence({ ...evidence, collateral: Array(EVIDENCE_COLLATERAL + 1).fill(key) })).toThrow(
    Malformed,
  );
});

test("archived evidence is appraised by its technology, at the time that is given", async () => {
  const appraiseAt = async (archived: Uint8Array, nowSeconds: number) =>
    failureOf(await appraise(archived, { nowSeconds, expected: { reportData }, simulatedRoot }));
  const archived = await simulated();
  expect(await appraiseAt(archived, 999)).toBe("not_valid_now");
  expect(await appraiseAt(archived, 1_000)).toBeUndefined();
  expect(await appraiseAt(archived, 2_000)).toBeUndefined();
  expect(await appraiseAt(archived, 2_001)).toBe("not_valid_now");
  const nitro = encodeEvidence({ technology: "nitro", evidence: nitroDocument(), collateral: [] });
  expect(await appraise(nitro, { nowSeconds: 1_500, expected: {} })).toMatchObject({
    technology: "nitro",
    failure: "unknown_root",
  });
  const collateral = snpCertificates.vcek.map((bytes) => ({ kind: "certificate" as const, bytes }));
  const snp = encodeEvidence({ technology: "snp", evidence: snpReport(), collateral });
  expect(await appraise(snp, { nowSeconds: 1_500, expected: {} })).toMatchObject({
    technology: "snp",
    failure: "unknown_root",
  });
});

test("simulated evidence is simulated: by its name, by its root, by a check that says that no hardware spoke", async () => {
  const appraisal = await appraise(await simulated(), { nowSeconds: 1_500, expected: { reportData }, simulatedRoot });
  expect(appraisal).toMatchObject({
    technology: "simulated",
    outcome: "passed",
    root: simulatedRoot,
    notAfterSeconds: 2_000,
  });
  expect(appraisal.checks.find(({ name }) => name === "hardware")).toMatchObject({ state: "not_checked" });
  expect(VENDOR_ROOTS.some(({ technology }) => technology === "simulated")).toBe(false);
  expect(findRoot("simulated", simulatedRoot)).toBeUndefined();
});

test.each<[string, () => Promise<Uint8Array>, { expected?: Uint8Array; root?: Uint8Array | null }, string]>([
  ["no simulated root", () => simulated(), { root: null }, "unknown_root"],
  ["another simulated root", () => simulated(), { root: new Uint8Array(32) }, "unknown_root"],
  [
    "the key of another",
    () => simulated({}, [{ kind: "key", bytes: fixedSigner("other").spki }]),
    { root: sha256(fixedSigner("other").spki) },
    "bad_signature",
  ],
  ["no key", () => simulated({}, []), {}, "unknown_root"],
  ["other report data", () => simulated(), { expected: new Uint8Array(32).fill(6) }, "wrong_binding"],
  ["nothing", async () => new Uint8Array(0), {}, "malformed"],
  [
    "a technology of another's",
    async () => encodeEvidence({ technology: "nitro", evidence: new Uint8Array(3), collateral: [] }),
    {},
    "malformed",
  ],
])("%s: %#", async (_, archived, { expected = reportData, root: trusted = simulatedRoot }, failure) => {
  const given = { nowSeconds: 1_500, expected: { reportData: expected }, ...(trusted && { simulatedRoot: trusted }) };
  expect(failureOf(await appraise(await archived(), given))).toBe(failure);
});

test("whatever the bytes, appraising archived evidence ends in an appraisal", async () => {
  const archived = await simulated();
  await fc.assert(
    fc.asyncProperty(
      fc.nat(archived.length - 1),
      fc.integer({ min: 1, max: 255 }),
      fc.uint8Array({ maxLength: 200 }),
      async (at, by, bytes) => {
        const given = { nowSeconds: 1_500, expected: { reportData }, simulatedRoot };
        expect((await appraise(archived.with(at, (archived[at] ?? 0) ^ by), given)).outcome).toBe("failed");
        expect((await appraise(bytes, given)).outcome).toBe("failed");
      },
    ),
    RUNS,
  );
});

test("a binding is SHA-256 over its tag, the nonce, the key's id and the TLS key's, zeros where there is none", () => {
  const [nonce, id, tlsKey] = [1, 2, 3].map((byte) => new Uint8Array(32).fill(byte));
  if (nonce === undefined || id === undefined || tlsKey === undefined) throw new Error("three parts");
  const tag = utf8("tallystick attestation v1\0");
  expect(hex(bindingOf({ nonce, key: id, tlsKey }))).toBe(hex(sha256(concat(tag, nonce, id, tlsKey))));
  expect(hex(bindingOf({ nonce, key: id }))).toBe(hex(sha256(concat(tag, nonce, id, new Uint8Array(32)))));
  expect(() => bindingOf({ nonce: nonce.subarray(1), key: id })).toThrow(Malformed);
});

const folder = new Set(VENDOR_ROOTS.map(({ digest }) => hex(digest)));
test("each pinned root is one of 32 bytes, pinned once, for one technology, with the time at which it ends", () => {
  expect(folder.size).toBe(VENDOR_ROOTS.length);
  for (const { technology, digest, notAfterSeconds } of VENDOR_ROOTS) {
    expect(digest).toHaveLength(32);
    expect(notAfterSeconds).toBeGreaterThan(2_300_000_000);
    expect(findRoot(technology, digest)?.digest).toEqual(digest);
    expect(findRoot("simulated", digest)).toBeUndefined();
  }
});
