import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { sha256 } from "#platform";
import { revocationList } from "../../../../test/certificates.ts";
import {
  CHIP_ID,
  NOW_SECONDS,
  snpCertificates,
  snpReport,
  snpRoot,
  snpRootKey,
  TCB,
  TURIN_TCB,
} from "../../../../test/hardware-evidence.ts";
import { RUNS } from "../../../../test/runs.ts";
import { vectorsOf } from "../../../../test/vectors-dir.ts";
import { concat, hex } from "../bytes.ts";
import type { Appraisal, Expected } from "./appraisal.ts";
import { appraiseSnp } from "./snp.ts";
import { parsePemChain } from "./x509.ts";

const root = sha256(snpRoot);
const REPORT_DATA = new Uint8Array(64).fill(7);
const failuresOf = ({ checks }: Appraisal) =>
  checks.flatMap((check) => (check.state === "failed" ? [check.failure] : []));
const appraiseOurs = (
  evidence: Uint8Array,
  certificates: readonly Uint8Array[] = snpCertificates.vcek,
  expected: Expected = { reportData: REPORT_DATA },
) => appraiseSnp({ evidence, certificates, root, nowSeconds: NOW_SECONDS, expected });

test("reports by a chip's key and by a cloud's hold under our root alone, of each layout of versions", async () => {
  expect(await appraiseOurs(snpReport())).toMatchObject({
    outcome: "passed",
    root,
    reportData: REPORT_DATA,
    notAfterSeconds: 2_000,
  });
  const vlek = await appraiseOurs(snpReport([{ at: 0x1a0, bytes: new Uint8Array(64) }], "cloud"), snpCertificates.vlek);
  expect(vlek.outcome).toBe("passed");
  expect(vlek.checks.find(({ name }) => name === "chip")?.state).toBe("not_checked");
  const turin = snpReport([
    { at: 0x180, bytes: TURIN_TCB },
    { at: 0x1a0, bytes: concat(CHIP_ID.subarray(0, 8), new Uint8Array(56)) },
  ]);
  expect((await appraiseOurs(turin, snpCertificates.turin)).outcome).toBe("passed");
  const byAmd = await appraiseSnp({
    evidence: snpReport(),
    certificates: snpCertificates.vcek,
    nowSeconds: NOW_SECONDS,
    expected: {},
  });
  expect(failuresOf(byAmd)).toEqual(["unknown_root"]);
});

const { vcek, vlek, turin } = snpCertificates;
const byte = (at: number, ...bytes: number[]) => snpReport([{ at, bytes: Uint8Array.from(bytes) }]);

test.each<[string, Uint8Array, readonly Uint8Array[], string[]]>([
  ["a policy that allows debugging", byte(0x0a, 0x0b), vcek, ["debug"]],
  ["a policy with a migration agent", byte(0x0a, 0x07), vcek, ["wrong_platform"]],
  ["a report that was asked for at VMPL 1", byte(0x30, 1), vcek, ["wrong_platform"]],
  ["a report that the host asked for", byte(0x30, 255, 255, 255, 255), vcek, ["wrong_platform"]],
  ["another chip", byte(0x1a0, 0), vcek, ["wrong_platform"]],
  ["Turin's chip with more behind it", snpReport([{ at: 0x180, bytes: TURIN_TCB }]), turin, ["wrong_platform"]],
  ...[0, 1, 6, 7].map((at): [string, Uint8Array, readonly Uint8Array[], string[]] => [
    `a newer version in byte ${at} of the TCB`,
    byte(0x180 + at, (TCB[at] ?? 0) + 1),
    vcek,
    ["wrong_platform"],
  ]),
  [
    "Milan's layout under Turin's certificate",
    snpReport([{ at: 0x1a0, bytes: concat(CHIP_ID.subarray(0, 8), new Uint8Array(56)) }]),
    turin,
    ["wrong_platform"],
  ],
  ["a chip's report that says a cloud's key signed", byte(0x48, 4), vcek, ["wrong_platform"]],
  ["a chip's report with a cloud's certificate", snpReport(), vlek, ["bad_signature", "wrong_platform"]],
  ["a cloud's report with a chip's certificate", snpReport([], "cloud"), vcek, ["bad_signature", "wrong_platform"]],
  ["other report data", byte(0x50, 8), vcek, ["wrong_binding"]],
  ["version 1", byte(0x00, 1), vcek, ["malformed"]],
  ["version 6", byte(0x00, 6), vcek, ["malformed"]],
  ["another algorithm", byte(0x34, 2), vcek, ["malformed"]],
  ["a byte too few", snpReport().subarray(1), vcek, ["malformed"]],
  ["something behind the signature", snpReport().with(1183, 1), vcek, ["malformed"]],
  ["a signature of 49 bytes", snpReport().with(0x2a0 + 48, 1), vcek, ["malformed"]],
  ["no certificates", snpReport(), [], ["malformed"]],
  ["no ASK", snpReport(), vcek.filter((_, i) => i !== 1), ["malformed"]],
  ["ASVK where ASK is due", snpReport(), [...vcek.slice(0, 1), ...vlek.slice(1)], ["malformed"]],
  ["certificates of two devices", snpReport(), [...vcek, ...vlek], ["malformed"]],
  [
    "all authorities, in another order",
    snpReport(),
    [...vlek.slice(1).toReversed(), ...vcek.slice(0, 2).toReversed()],
    [],
  ],
])("%s: %#", async (_, evidence, certificates, failures) => {
  expect(failuresOf(await appraiseOurs(evidence, certificates))).toEqual(failures);
});

test("AMD's list of revoked authorities is heeded where it is given", async () => {
  const listing = (serials: number[]) => revocationList({ issuer: "ARK", issuerKey: snpRootKey, serials });
  const appraiseWith = (crls: Uint8Array[]) =>
    appraiseSnp({ evidence: snpReport(), certificates: vcek, crls, root, nowSeconds: NOW_SECONDS, expected: {} });
  expect(failuresOf(await appraiseWith([listing([2])]))).toEqual(["revoked"]);
  expect(failuresOf(await appraiseWith([Uint8Array.of(0x30, 0)]))).toEqual(["malformed"]);
  const held = await appraiseWith([listing([3])]);
  expect(held.outcome).toBe("passed");
  // Of the chip's own certificate AMD says nothing, and neither do we.
  expect(held.checks.find(({ name }) => name === "certificate revocation")).toMatchObject({ state: "not_checked" });
});

test("whatever the bytes, appraising ends in an appraisal that failed", async () => {
  const whole = snpReport();
  await fc.assert(
    fc.asyncProperty(
      fc.nat(whole.length - 1),
      fc.integer({ min: 1, max: 255 }),
      fc.uint8Array({ maxLength: 1184 }),
      async (at, by, bytes) => {
        expect((await appraiseOurs(whole.with(at, (whole[at] ?? 0) ^ by))).outcome).toBe("failed");
        expect((await appraiseOurs(bytes)).outcome).toBe("failed");
        expect((await appraiseOurs(whole, [...vcek.slice(1), bytes])).outcome).toBe("failed");
      },
    ),
    RUNS,
  );
});

const folder = vectorsOf("attestation");
const read = (name: string) => new Uint8Array(readFileSync(join(folder ?? "", name)));
const real = () => {
  const certificates = [
    read("snp_milan_vcek.der"),
    ...parsePemChain(readFileSync(join(folder ?? "", "snp_milan_ask_ark.pem"), "utf8")),
  ];
  return { evidence: read("snp_milan_report.bin"), certificates };
};
const VALID_SECONDS = 1_664_000_000;
const appraiseReal = (changes: Partial<Parameters<typeof appraiseSnp>[0]> = {}) =>
  appraiseSnp({ ...real(), nowSeconds: VALID_SECONDS, expected: {}, ...changes });

test.skipIf(folder === undefined)(
  "a real report by a Milan chip holds in every check but one: its guest may be debugged (skipped: no vectors)",
  async () => {
    const appraisal = await appraiseReal();
    expect(failuresOf(appraisal)).toEqual(["debug"]);
    expect(appraisal.checks.filter(({ state }) => state === "passed").map(({ name }) => name)).toEqual([
      "root",
      "certificate chain",
      "certificate signatures",
      "certificate validity",
      "signature",
      "chip",
      "firmware",
      "privilege level",
      "migration",
    ]);
  },
);

test.skipIf(folder === undefined)(
  "each class of field of a real report, with a byte changed, is refused by name (skipped: no vectors)",
  async () => {
    const { evidence, certificates } = real();
    for (const [name, at, failures] of [
      ["version", 0x00, ["malformed"]],
      ["policy", 0x08, ["bad_signature", "debug"]],
      ["the debug bit", 0x0a, ["bad_signature", "debug"]],
      ["VMPL", 0x30, ["bad_signature", "debug", "wrong_platform"]],
      ["algorithm", 0x34, ["malformed"]],
      ["report data", 0x50, ["bad_signature", "debug"]],
      ["measurement", 0x90, ["bad_signature", "debug"]],
      ["host data", 0xc0, ["bad_signature", "debug"]],
      ["reported TCB", 0x180, ["bad_signature", "wrong_platform", "debug"]],
      ["chip id", 0x1a0, ["bad_signature", "wrong_platform", "debug"]],
      ["r", 0x2a0, ["bad_signature", "debug"]],
      ["s", 0x2e8, ["bad_signature", "debug"]],
      ["behind the signature", 0x330, ["malformed"]],
    ] as const) {
      const flipped = evidence.with(at, (evidence[at] ?? 0) ^ (at === 0x00 ? 16 : 1));
      expect(failuresOf(await appraiseReal({ evidence: flipped })), name).toEqual(failures);
    }
    for (const [i, name] of ["VCEK", "ASK", "ARK"].entries()) {
      const flipped = certificates.map((bytes, k) => (k === i ? bytes.with(-1, (bytes.at(-1) ?? 0) ^ 1) : bytes));
      expect(failuresOf(await appraiseReal({ certificates: flipped })), name).toEqual([
        name === "ARK" ? "unknown_root" : "bad_signature",
        "debug",
      ]);
    }
  },
);

test.skipIf(folder === undefined)(
  "a real report is refused outside its chip's validity, and with the signature of another (skipped: no vectors)",
  async () => {
    const { evidence } = real();
    for (const [nowSeconds, isValid] of [
      [1_663_980_927, false],
      [1_663_980_928, true],
      [1_884_905_728, true],
      [1_884_905_729, false],
    ] as const)
      expect(failuresOf(await appraiseReal({ nowSeconds })).includes("not_valid_now"), `at ${nowSeconds}`).toBe(
        !isValid,
      );
    const spliced = concat(evidence.subarray(0, 0x2a0), snpReport().subarray(0x2a0));
    expect(failuresOf(await appraiseReal({ evidence: spliced }))).toContain("bad_signature");
    expect(hex(spliced)).not.toBe(hex(evidence));
  },
);
