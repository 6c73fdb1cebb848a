import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { OWN_GPU_NOW_SECONDS, type OwnHopper, ownHopper } from "../../../../test/own-hopper.ts";
import { RUNS } from "../../../../test/runs.ts";
import { vectorsOf } from "../../../../test/vectors-dir.ts";
import { hex, parseHex, parseUtf8, utf8 } from "../bytes.ts";
import type { Appraisal } from "./appraisal.ts";
import { appraiseHopper, type HopperEvidence, NVIDIA_DEVICE_ROOT } from "./hopper.ts";
import { GPU_FIELDS, parseGpuReport } from "./spdm.ts";

/** The check that failed, with its code. */
function faultOf(appraisal: Appraisal): string {
  const failed = appraisal.checks.find(({ state }) => state === "failed");
  return appraisal.outcome === "passed" ? "passed" : `${failed?.name}: ${appraisal.failure}`;
}

const flipped = (bytes: Uint8Array, at: number, by = 1) => bytes.map((byte, i) => (i === at ? byte ^ by : byte));
const vectors = vectorsOf("attestation");
const NOW_SECONDS = Date.parse("2024-12-01T00:00:00Z") / 1000;

describe.skipIf(vectors === undefined)(
  `NVIDIA's own evidence${vectors === undefined ? " (skipped: no vectors)" : ""}`,
  () => {
    const read = (name: string) => new Uint8Array(vectors === undefined ? [] : readFileSync(join(vectors, name)));
    const good = (): HopperEvidence => ({
      evidence: parseHex((parseUtf8(read("nvidia_hopper_report.hex.txt")) ?? "").trim()) ?? new Uint8Array(),
      chain: read("nvidia_hopper_cert_chain.pem"),
      nowSeconds: NOW_SECONDS,
      expected: {},
    });
    const appraise = async (changes: Partial<HopperEvidence>) =>
      faultOf(await appraiseHopper({ ...good(), ...changes }));

    test("a real H100's report is genuine, and what is not known of it is said", async () => {
      const { nonce } = parseGpuReport(good().evidence);
      const appraisal = await appraiseHopper({ ...good(), expected: { nonce } });
      if (appraisal.outcome !== "passed") throw new Error(faultOf(appraisal));
      expect(hex(appraisal.root)).toBe(NVIDIA_DEVICE_ROOT);
      expect(appraisal.registers.size).toBe(64);
      expect(appraisal.reportData).toEqual(nonce);
      const open = appraisal.checks.filter(({ state }) => state === "not_checked").map(({ name }) => name);
      expect(open).toEqual(["GPU: certificate revocation", "golden measurements", "OCSP", "CPU"]);
      expect(appraisal.checks.find(({ name }) => name === "CPU")?.detail).toContain("nothing on Hopper binds");
    });

    test("the root is the one that NVIDIA publishes", async () => {
      const root = read("nvidia_device_identity_root.pem");
      const { pem } = { pem: parseUtf8(root) ?? "" };
      expect((parseUtf8(good().chain) ?? "").replace(/\s/g, "")).toContain(pem.replace(/\s/g, ""));
      expect(await appraise({ root: new Uint8Array(32) })).toBe("GPU: root: unknown_root");
    });

    test("a nonce other than ours is an old report", async () => {
      const { nonce } = parseGpuReport(good().evidence);
      expect(await appraise({ expected: { nonce: flipped(nonce, 0) } })).toBe("nonce: wrong_binding");
      expect(await appraise({ expected: { nonce: nonce.subarray(1) } })).toBe("nonce: wrong_binding");
    });

    test("a byte changed in any field of the report is refused by the check that is there for it", async () => {
      const { evidence } = good();
      const RECORD_AT = 37 + 8;
      const OPAQUE_AT = RECORD_AT + 3520 + 32;
      const fields: [name: string, at: number, fault: string][] = [
        ["request version", 0, "report: malformed"],
        ["request code", 1, "report: malformed"],
        ["signature requested", 2, "report: malformed"],
        ["all measurements", 3, "report: malformed"],
        ["nonce", 4, "report signature: bad_signature"],
        ["slot", 36, "report signature: bad_signature"],
        ["response version", 37, "report: malformed"],
        ["response code", 38, "report: malformed"],
        ["response parameters", 39, "report signature: bad_signature"],
        ["block count", 41, "report: malformed"],
        ["record length", 42, "report: malformed"],
        ["block index", RECORD_AT + 55 * 63, "report signature: bad_signature"],
        ["block specification", RECORD_AT + 1, "report: malformed"],
        ["block length", RECORD_AT + 2, "report: malformed"],
        ["kind of value", RECORD_AT + 4, "report signature: bad_signature"],
        ["value length", RECORD_AT + 5, "report: malformed"],
        ...Array.from({ length: 48 }, (_, i): [string, number, string] => [
          `value ${i}`,
          RECORD_AT + 55 * 9 + 7 + i,
          "report signature: bad_signature",
        ]),
        ["responder's nonce", OPAQUE_AT - 1, "report signature: bad_signature"],
        ["opaque length", OPAQUE_AT, "report: malformed"],
        ["VBIOS version", OPAQUE_AT + 6, "report signature: bad_signature"],
        ["FWID", OPAQUE_AT + 2 + 422 - 10, "report signature: bad_signature"],
        ["signature r", evidence.length - 96, "report signature: bad_signature"],
        ["signature s", evidence.length - 1, "report signature: bad_signature"],
      ];
      // Of an index only the high bits: another low bit is the number of another block.
      for (const [name, at, fault] of fields)
        expect(
          `${name}: ${await appraise({ evidence: flipped(evidence, at, name === "block index" ? 0x80 : 1) })}`,
        ).toBe(`${name}: ${fault}`);
    });

    test("no byte of the report can be changed and the report still pass", async () => {
      const { evidence } = good();
      for (let at = 0; at < evidence.length; at += 31)
        expect(`${at}: ${await appraise({ evidence: flipped(evidence, at, 0x10) })}`).not.toBe(`${at}: passed`);
      expect(await appraise({ evidence: evidence.subarray(0, -1) })).toBe("report: malformed");
      expect(await appraise({ evidence: new Uint8Array([...evidence, 0]) })).toBe("report: malformed");
    });

    test("a chain that lacks, swaps or repeats a certificate is refused", async () => {
      const [leaf = "", brom = "", provisioner = "", identity = "", root = ""] = (parseUtf8(good().chain) ?? "").split(
        /(?<=-----END CERTIFICATE-----\n)/,
      );
      const chains: [string[], string][] = [
        [[leaf, brom, provisioner, identity, root], "passed"],
        [[leaf, provisioner, brom, identity, root], "GPU: certificate chain: bad_chain"],
        [[leaf, brom, provisioner, root], "GPU: certificate chain: bad_chain"],
        [[leaf, brom, brom, provisioner, identity, root], "GPU: certificate chain: bad_chain"],
        [[brom, provisioner, identity, root], "GPU: certificate chain: bad_chain"],
        [[leaf, brom, provisioner, identity], "GPU: root: unknown_root"],
        // The root above itself adds nothing.
        [[leaf, brom, provisioner, identity, root, root], "passed"],
      ];
      for (const [chain, fault] of chains)
        expect(`${chain.length}: ${await appraise({ chain: utf8(chain.join("")) })}`).toBe(`${chain.length}: ${fault}`);
    });

    test("the chain is valid from the day of its youngest certificate, to the second", async () => {
      const start = Date.parse("2022-03-01T00:00:00Z") / 1000;
      expect(await appraise({ nowSeconds: start })).toBe("passed");
      expect(await appraise({ nowSeconds: start - 1 })).toBe("GPU: certificate validity: not_valid_now");
    });

    test("golden values are compared where they are given, and any of several will do", async () => {
      const { measurements } = parseGpuReport(good().evidence);
      const [second = new Uint8Array(), other = new Uint8Array()] = [measurements.get(2), measurements.get(3)];
      const golden = (values: Uint8Array[], number = 2) => ({ expected: { golden: new Map([[number, values]]) } });
      expect(await appraise(golden([second]))).toBe("passed");
      expect(await appraise(golden([other, second]))).toBe("passed");
      expect(await appraise(golden([other]))).toBe("golden measurements: wrong_platform");
      expect(await appraise(golden([]))).toBe("golden measurements: wrong_platform");
      expect(await appraise(golden([second], 65))).toBe("golden measurements: wrong_platform");
    });

    test("whatever is done to the bytes, appraising says so and throws nothing", async () => {
      const { evidence, chain } = good();
      const change = fc.tuple(fc.nat(1e6), fc.integer({ min: 1, max: 255 }));
      const changes = fc.array(change, { minLength: 1, maxLength: 4 });
      await fc.assert(
        fc.asyncProperty(changes, fc.nat(1e6), fc.nat(3), async (edits, cut, part) => {
          const bytes = Uint8Array.from(part % 2 === 0 ? evidence : chain);
          for (const [at, by] of edits) bytes[at % bytes.length] = (bytes[at % bytes.length] ?? 0) ^ by;
          const broken = part < 2 ? bytes : bytes.subarray(0, cut % bytes.length);
          const found = await appraise(part % 2 === 0 ? { evidence: broken } : { chain: broken });
          if (part % 2 === 0) expect(found).not.toBe("passed");
        }),
        { ...RUNS, seed: 6 },
      );
    });

    test("the fields that NVIDIA puts beside the measurements are read", () => {
      const { fields } = parseGpuReport(good().evidence);
      expect(parseUtf8(fields.get(GPU_FIELDS.driver) ?? new Uint8Array())).toBe("550.90.07\0");
      expect(hex(fields.get(GPU_FIELDS.vbios) ?? new Uint8Array())).toBe("009f009601000000");
    });
  },
);

describe("a GPU under a root of our own", () => {
  const appraise = async (changes: Partial<OwnHopper>) =>
    faultOf(await appraiseHopper({ ...ownHopper(changes), expected: {} }));

  test("firmware other than the certificate was made for is refused, though the GPU signed it", async () => {
    expect(await appraise({})).toBe("passed");
    expect(await appraise({ fwid: new Uint8Array(48) })).toBe("firmware: wrong_platform");
    expect(await appraise({ certifiedFwid: new Uint8Array(48) })).toBe("firmware: wrong_platform");
    expect(await appraise({ fwidHash: "2.16.840.1.101.3.4.2.1" })).toBe("firmware: wrong_platform");
    expect(await appraise({ fwid: new Uint8Array(0) })).toBe("firmware: wrong_platform");
  });

  test("a report with the chain of another GPU, or of an authority in its place, is refused", async () => {
    const [one, other] = [ownHopper(), ownHopper({ measurements: [] })];
    const judge = async (given: Partial<HopperEvidence>) =>
      faultOf(await appraiseHopper({ ...one, expected: {}, ...given }));
    expect(await judge({ chain: other.chain })).toBe("GPU: root: unknown_root");
    expect(await judge({ evidence: spliced(other.evidence, one.evidence) })).toBe("report signature: bad_signature");
    const [, ...above] = (parseUtf8(one.chain) ?? "").split(/(?<=-----END CERTIFICATE-----\n)/);
    expect(await judge({ chain: utf8(above.join("")) })).toBe("GPU: certificate chain: bad_chain");
  });

  /** The report of one under the signature of another. */
  const spliced = (report: Uint8Array, signed: Uint8Array) =>
    new Uint8Array([...report.subarray(0, -96), ...signed.subarray(-96)]);

  test("an expired certificate is refused from the second after its last", async () => {
    const at = async (nowSeconds: number) =>
      faultOf(await appraiseHopper({ ...ownHopper(), nowSeconds, expected: {} }));
    expect(await at(OWN_GPU_NOW_SECONDS + 100)).toBe("passed");
    expect(await at(OWN_GPU_NOW_SECONDS + 101)).toBe("GPU: certificate validity: not_valid_now");
  });
});
