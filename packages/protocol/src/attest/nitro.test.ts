import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { sha256 } from "#platform";
import {
  encodeItem,
  NOW_SECONDS,
  nitroDocument,
  nitroPayload,
  nitroRoot,
  signedDocument,
} from "../../../../test/hardware-evidence.ts";
import { RUNS } from "../../../../test/runs.ts";
import { vectorsOf } from "../../../../test/vectors-dir.ts";
import { concat, hex } from "../bytes.ts";
import { type Appraisal, type Expected, measurementOf } from "./appraisal.ts";
import { appraiseNitro, parseNitroDocument } from "./nitro.ts";

const root = sha256(nitroRoot);
const REPORT_DATA = new Uint8Array(64).fill(7);
const appraiseOurs = (
  evidence: Uint8Array,
  expected: Expected = { reportData: REPORT_DATA },
  nowSeconds = NOW_SECONDS,
) => appraiseNitro({ evidence, root, nowSeconds, expected });
const failureOf = (appraisal: Appraisal) => (appraisal.outcome === "failed" ? appraisal.failure : undefined);

test("a document of ours holds under our root alone, and measures PCR0 to PCR2", async () => {
  const appraisal = await appraiseOurs(nitroDocument());
  const registers = new Map([0, 1, 2].map((number) => [number, new Uint8Array(48).fill(1 + number)]));
  expect(appraisal).toMatchObject({
    outcome: "passed",
    registers,
    root,
    reportData: REPORT_DATA,
    notAfterSeconds: 1_800,
  });
  expect(appraisal).toMatchObject({ measurement: measurementOf(registers) });
  const byAws = await appraiseNitro({ evidence: nitroDocument(), nowSeconds: NOW_SECONDS, expected: {} });
  expect(failureOf(byAws)).toBe("unknown_root");
});

test("the measurement is SHA-256 of the registers in deterministic CBOR, whatever order they come in", () => {
  const [zero, one] = [new Uint8Array(48).fill(1), new Uint8Array(48).fill(2)];
  const bytes = concat(Uint8Array.of(0xa2, 0x00, 0x58, 48), zero, Uint8Array.of(0x01, 0x58, 48), one);
  expect(
    measurementOf(
      new Map([
        [1, one],
        [0, zero],
      ]),
    ),
  ).toEqual(sha256(bytes));
});

const zeroIn = (zero: number) =>
  new Map([0, 1, 2].map((number) => [number, new Uint8Array(48).fill(number === zero ? 0 : 1)] as const));

test.each<[string, Uint8Array, Expected, string | undefined]>([
  ["PCR0 of zeros", nitroDocument({ pcrs: zeroIn(0) }), {}, "debug"],
  ["PCR1 of zeros", nitroDocument({ pcrs: zeroIn(1) }), {}, "debug"],
  ["PCR2 of zeros", nitroDocument({ pcrs: zeroIn(2) }), {}, "debug"],
  [
    "no PCR2",
    nitroDocument({ pcrs: new Map([0, 1].map((n) => [n, new Uint8Array(48).fill(1)] as const)) }),
    {},
    "debug",
  ],
  ["a document from the future", nitroDocument({ timestamp: (NOW_SECONDS + 301) * 1000 }), {}, "not_valid_now"],
  ["a clock that is five minutes ahead", nitroDocument({ timestamp: (NOW_SECONDS + 300) * 1000 }), {}, undefined],
  ["other report data", nitroDocument(), { reportData: REPORT_DATA.with(63, 8) }, "wrong_binding"],
  ["more report data than is there", nitroDocument(), { reportData: new Uint8Array(65).fill(7) }, "wrong_binding"],
  ["report data that go on", nitroDocument(), { reportData: REPORT_DATA.subarray(1) }, "wrong_binding"],
  [
    "report data that go on in zeros",
    nitroDocument({ user_data: new Uint8Array(64).fill(7, 0, 32) }),
    { reportData: REPORT_DATA.subarray(32) },
    undefined,
  ],
  ["no report data", nitroDocument({ user_data: null }), { reportData: REPORT_DATA }, "wrong_binding"],
  [
    "nothing expected in the way of bytes",
    nitroDocument({ user_data: new Uint8Array(64) }),
    { reportData: new Uint8Array(0) },
    "wrong_binding",
  ],
  ["the nonce", nitroDocument({ nonce: Uint8Array.of(1, 2) }), { nonce: Uint8Array.of(1, 2) }, undefined],
  ["another nonce", nitroDocument({ nonce: Uint8Array.of(1, 2) }), { nonce: Uint8Array.of(1, 3) }, "wrong_binding"],
  ["no nonce", nitroDocument(), { nonce: Uint8Array.of(1, 2) }, "wrong_binding"],
  ["another hash", nitroDocument({ digest: "SHA256" }), {}, "malformed"],
  ["a member too many", nitroDocument({ extra: 1 }), {}, "malformed"],
  ["a register of 32 bytes", nitroDocument({ pcrs: new Map([[0, new Uint8Array(32)]]) }), {}, "malformed"],
  ["a register 32", nitroDocument({ pcrs: new Map([[32, new Uint8Array(48)]]) }), {}, "malformed"],
  ["no bundle", nitroDocument({ cabundle: [] }), {}, "malformed"],
  [
    "nine certificates in the bundle",
    nitroDocument({ cabundle: Array.from({ length: 9 }, () => nitroRoot) }),
    {},
    "malformed",
  ],
  ["only the root in the bundle", nitroDocument({ cabundle: [nitroRoot] }), {}, "bad_chain"],
  ...["module_id", "digest", "timestamp", "pcrs", "certificate", "cabundle"].map(
    (name): [string, Uint8Array, Expected, string] => [
      `no ${name}`,
      nitroDocument({ [name]: undefined }),
      {},
      "malformed",
    ],
  ),
  ["a header of ES256", nitroDocument({}, Uint8Array.of(0xa1, 0x01, 0x26)), {}, "malformed"],
  ["a payload of no map", signedDocument(encodeItem([1])), {}, "malformed"],
  ["a payload without end", signedDocument(Uint8Array.of(0xbf)), {}, "malformed"],
  ["nothing", new Uint8Array(0), {}, "malformed"],
])("%s: %#", async (_, evidence, expected, failure) => {
  expect(failureOf(await appraiseOurs(evidence, expected))).toBe(failure);
});

test("a member that comes twice is malformed, and a map of indefinite length is as good as one of definite length", async () => {
  const members = nitroPayload().subarray(1);
  const again = encodeItem(new Map([["digest", "SHA384"]])).subarray(1);
  const definite = (count: number, ...parts: Uint8Array[]) => concat(Uint8Array.of(0xa0 + count), ...parts);
  const indefinite = (...parts: Uint8Array[]) => concat(Uint8Array.of(0xbf), ...parts, Uint8Array.of(0xff));
  for (const [payload, failure] of [
    [definite(9, members), undefined],
    [definite(10, members, again), "malformed"],
    [definite(8, members), "malformed"],
    [indefinite(members), undefined],
    [indefinite(members, again), "malformed"],
  ] as const)
    expect(failureOf(await appraiseOurs(signedDocument(payload)))).toBe(failure);
});

test("a document is valid from its certificates' first second to the leaf's last", async () => {
  const evidence = nitroDocument({ timestamp: 1_000_000 });
  for (const [nowSeconds, failure] of [
    [999, "not_valid_now"],
    [1_000, undefined],
    [1_800, undefined],
    [1_801, "not_valid_now"],
  ] as const)
    expect(failureOf(await appraiseOurs(evidence, {}, nowSeconds)), `at ${nowSeconds}`).toBe(failure);
});

test("whatever the bytes, appraising ends in an appraisal", async () => {
  const whole = nitroDocument();
  await fc.assert(
    fc.asyncProperty(fc.nat(whole.length - 1), fc.uint8Array({ maxLength: 40 }), async (at, bytes) => {
      const spliced = concat(whole.subarray(0, at), bytes, whole.subarray(Math.min(whole.length, at + bytes.length)));
      const appraisal = await appraiseOurs(spliced);
      expect(appraisal.outcome).toBe(hex(spliced) === hex(whole) ? "passed" : "failed");
      expect((await appraiseOurs(bytes)).outcome).toBe("failed");
    }),
    RUNS,
  );
});

const folder = vectorsOf("attestation");
const FRAME_SIZE_BYTES = 4;
const DOCUMENT_SIZE_BYTES = 4_527;
const real = () =>
  new Uint8Array(readFileSync(join(folder ?? "", "nitro_attestation.bin"))).subarray(
    FRAME_SIZE_BYTES,
    FRAME_SIZE_BYTES + DOCUMENT_SIZE_BYTES,
  );
const MADE_SECONDS = 1_766_668_537;
const appraiseReal = (evidence: Uint8Array, nowSeconds = MADE_SECONDS) =>
  appraiseNitro({ evidence, nowSeconds, expected: { reportData: new Uint8Array(64) } });

test.skipIf(folder === undefined)(
  "a real document holds at its own time, and not a second outside its leaf's (skipped: no vectors)",
  async () => {
    const appraisal = await appraiseReal(real());
    expect(appraisal).toMatchObject({ outcome: "passed", notAfterSeconds: 1_766_679_337 });
    expect(appraisal.checks.filter(({ state }) => state === "not_checked").map(({ name }) => name)).toEqual([
      "certificate revocation",
      "nonce",
    ]);
    for (const [nowSeconds, failure] of [
      [1_766_668_533, "not_valid_now"],
      [1_766_668_534, undefined],
      [1_766_679_337, undefined],
      [1_766_679_338, "not_valid_now"],
      [1_900_000_000, "not_valid_now"],
    ] as const)
      expect(failureOf(await appraiseReal(real(), nowSeconds)), `at ${nowSeconds}`).toBe(failure);
  },
);

test.skipIf(folder === undefined)(
  "each class of field of a real document, with a byte changed, is refused by name (skipped: no vectors)",
  async () => {
    const whole = real();
    const document = parseNitroDocument(whole);
    const at = (part: Uint8Array, offset = 0) => part.byteOffset - whole.byteOffset + offset;
    const places: [string, number, string][] = [
      ["the tag of the array", 0, "malformed"],
      ["the algorithm", 4, "malformed"],
      ["the unprotected header", 6, "malformed"],
      ["the signature", whole.length - 1, "bad_signature"],
      ["r of the signature", whole.length - 96, "bad_signature"],
      ["PCR0", at(document.pcrs.get(0) ?? whole), "bad_signature"],
      ["PCR4", at(document.pcrs.get(4) ?? whole, 47), "bad_signature"],
      ["the leaf's signature", at(document.certificate, document.certificate.length - 1), "bad_signature"],
      ["the root", at(document.cabundle[0] ?? whole, 200), "unknown_root"],
      [
        "an intermediate's signature",
        at(document.cabundle[2] ?? whole, (document.cabundle[2]?.length ?? 0) - 1),
        "bad_signature",
      ],
      ["the user data", at(document.userData), "bad_signature"],
    ];
    for (const [name, index, failure] of places)
      expect(failureOf(await appraiseReal(whole.with(index, (whole[index] ?? 0) ^ 1))), name).toBe(failure);
  },
);

test.skipIf(folder === undefined)(
  "each sixty-first byte of a real document, changed, has it refused (skipped: no vectors)",
  async () => {
    const whole = real();
    for (let i = 0; i < whole.length; i += 61)
      expect((await appraiseReal(whole.with(i, (whole[i] ?? 0) ^ 0x10))).outcome, `byte ${i}`).toBe("failed");
  },
);

test.skipIf(folder === undefined)(
  "the signature of one document on the payload of another is refused (skipped: no vectors)",
  async () => {
    const [whole, ours] = [real(), nitroDocument()];
    const spliced = concat(whole.subarray(0, -96), ours.subarray(-96));
    expect(failureOf(await appraiseReal(spliced))).toBe("bad_signature");
  },
);
