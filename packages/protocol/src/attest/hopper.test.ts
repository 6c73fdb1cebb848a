import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { OWN_GPU_NOW_SECONDS, type OwnHopper, ownHopper } from "../../../../test/own-hopper.ts";
import { RUNS } from "../../../../test/runs.ts";
import { vectorsOf } from "../../../../test/vectors-dir.ts";
import { hex, parseHex, parseUtf8 } from "../bytes.ts";
import type { Appraisal } from "./appraisal.ts";
import { appraiseHopper } from "./hopper.ts";
import { findRoot } from "./roots.ts";
import { GPU_FIELDS, parseGpuReport } from "./spdm.ts";
import { parsePemChain } from "./x509.ts";

type Given = Parameters<typeof appraiseHopper>[0];

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
    const good = (): Given => ({
      evidence: parseHex((parseUtf8(read("nvidia_hopper_report.hex.txt")) ?? "").trim()) ?? new Uint8Array(),
      certificates: parsePemChain(parseUtf8(read("nvidia_hopper_cert_chain.pem")) ?? ""),
      nowSeconds: NOW_SECONDS,
      expected: {},
    });
    const appraise = async (changes: Partial<Given>) => faultOf(await appraiseHopper({ ...good(), ...changes }));

    test("a real H100's report is genuine, and what is not known of it is said", async () => {
      const { nonce } = parseGpuReport(good().evidence);
      const appraisal = await appraiseHopper({ ...good(), expected: { nonce } });
      if (appraisal.outcome !== "passed") throw new Error(faultOf(appraisal));
      expect(findRoot("hopper", appraisal.root)?.name).toBe("NVIDIA Device Identity CA");
      expect(appraisal.registers.size).toBe(64);
      expect(appraisal.reportData).toEqual(nonce);
      const open = appraisal.checks.filter(({ state }) => state === "not_checked").map(({ name }) => name);
      expect(open).toEqual(["GPU: certificate revocation", "binding", "golden measurements", "OCSP", "CPU"]);
      expect(appraisal.checks.find(({ name }) => name === "CPU")?.detail).toContain("nothing on Hopper binds");
    });

    test("the root is the one that NVIDIA publishes", async () => {
      const [root = new Uint8Array()] = parsePemChain(parseUtf8(read("nvidia_device_identity_root.pem")) ?? "");
      expect(hex(root)).toBe(hex(good().certificates.at(-1) ?? new Uint8Array()));
      expect(await appraise({ root: new Uint8Array(32) })).toBe("GPU: root: unknown_root");
    });

    test("a nonce other than ours is an old report", async () => {
      const { nonce } = parseGpuReport(good().evidence);
      expect(await appraise({ expected: { nonce: flipped(nonce, 0) } })).toBe("nonce: wrong_binding");
      expect(await appraise({ expected: { nonce: nonce.subarray(1) } })).toBe("nonce: wrong_binding");
      expect(await appraise({ expected: { reportData: nonce } })).toBe("passed");
      expect(await appraise({ expected: { reportData: flipped(nonce, 31) } })).toBe("binding: wrong_binding");
    });

    test("a byte changed in any field of the report is refused by the check that is there for it", async () => {
      const { evidence } = good();
      const RECORD_AT = 37 + 8;
      const OPAQUE_AT = RECORD_AT + 3520 + 32;
      const fields: [name: string, at: number, fault: string][] = [
        ["request version", 0, "form: malformed"],
        ["request code", 1, "form: malformed"],
        ["signature requested", 2, "form: malformed"],
        ["all measurements", 3, "form: malformed"],
        ["nonce", 4, "signature: bad_signature"],
        ["slot", 36, "signature: bad_signature"],
        ["response version", 37, "form: malformed"],
        ["response code", 38, "form: malformed"],
        ["response parameters", 39, "signature: bad_signature"],
        ["block count", 41, "form: malformed"],
        ["record length", 42, "form: malformed"],
        ["block index", RECORD_AT + 55 * 63, "signature: bad_signature"],
        ["block specification", RECORD_AT + 1, "form: malformed"],
        ["block length", RECORD_AT + 2, "form: malformed"],
        ["kind of value", RECORD_AT + 4, "signature: bad_signature"],
        ["value length", RECORD_AT + 5, "form: malformed"],
        ...Array.from({ length: 48 }, (_, i): [string, number, string] => [
          `value ${i}`,
          RECORD_AT + 55 * 9 + 7 + i,
          "signature: bad_signature",
        ]),
        ["responder's nonce", OPAQUE_AT - 1, "signature: bad_signature"],
        ["opaque length", OPAQUE_AT, "form: malformed"],
        ["VBIOS version", OPAQUE_AT + 6, "signature: bad_signature"],
        ["FWID", OPAQUE_AT + 2 + 422 - 10, "signature: bad_signature"],
        ["signature r", evidence.length - 96, "signature: bad_signature"],
        ["signature s", evidence.length - 1, "signature: bad_signature"],
      ];
      // Of an index only the high bits: another low bit is the number of another block.
      for (const [name, at, fault] of fields)
        expect(
          `${name}: ${await appraise({ evidence: flipped(evidence, at, name === "block index" ? 0x80 : 1) })}`,
        ).toBe(`${name}: ${fault}`);
    });

    test("no byte of the report can be changed and the report still pass", async () => {
      const { evidence } = good();
      for (let at = 0; at < evidence.length; at += 61)
        expect(`${at}: ${await appraise({ evidence: flipped(evidence, at, 0x10) })}`).not.toBe(`${at}: passed`);
      expect(await appraise({ evidence: evidence.subarray(0, -1) })).toBe("form: malformed");
      expect(await appraise({ evidence: new Uint8Array([...evidence, 0]) })).toBe("form: malformed");
    });

    test("the certificates make a chain in any order, and none where one is lacking or another is there", async () => {
      const [leaf, brom, provisioner, identity, root] = good().certificates;
      if (!leaf || !brom || !provisioner || !identity || !root) throw new Error("five certificates");
      const chains: [Uint8Array[], string][] = [
        [[leaf, brom, provisioner, identity, root], "passed"],
        [[root, provisioner, leaf, identity, brom], "passed"],
        [[leaf, brom, provisioner, root], "form: malformed"],
        [[brom, provisioner, identity, root], "form: malformed"],
        [[leaf, brom, provisioner, identity], "form: malformed"],
        [[leaf, leaf, brom, provisioner, identity, root], "form: malformed"],
        [[], "form: malformed"],
      ];
      for (const [certificates, fault] of chains)
        expect(`${certificates.length}: ${await appraise({ certificates })}`).toBe(`${certificates.length}: ${fault}`);
      for (const [i, certificate] of good().certificates.entries()) {
        const changed = flipped(certificate, certificate.length - 1);
        const certificates = good().certificates.map((other, k) => (k === i ? changed : other));
        const fault = i === 4 ? "GPU: root: unknown_root" : "GPU: certificate signatures: bad_signature";
        expect(`${i}: ${await appraise({ certificates })}`).toBe(`${i}: ${fault}`);
      }
    });

    test("the chain is valid from the day of its youngest certificate, to the second", async () => {
      const start = Date.parse("2022-03-01T00:00:00Z") / 1000;
      expect(await appraise({ nowSeconds: start })).toBe("passed");
      expect(await appraise({ nowSeconds: start - 1 })).toBe("GPU: certificate validity: not_valid_now");
    });

    test("golden values are compared where they are given, and any of several will do", async () => {
      const { measurements } = parseGpuReport(good().evidence);
      const [second = new Uint8Array(), other = new Uint8Array()] = [measurements.get(2), measurements.get(3)];
      const golden = (values: Uint8Array[], number = 2) => ({ golden: new Map([[number, values]]) });
      expect(await appraise(golden([second]))).toBe("passed");
      expect(await appraise(golden([other, second]))).toBe("passed");
      expect(await appraise(golden([other]))).toBe("golden measurements: wrong_platform");
      expect(await appraise(golden([]))).toBe("golden measurements: wrong_platform");
      expect(await appraise(golden([second], 65))).toBe("golden measurements: wrong_platform");
    });

    test("whatever is done to the bytes, appraising says so and throws nothing", async () => {
      const { evidence, certificates } = good();
      const change = fc.tuple(fc.nat(1e6), fc.integer({ min: 1, max: 255 }));
      const changes = fc.array(change, { minLength: 1, maxLength: 4 });
      await fc.assert(
        fc.asyncProperty(changes, fc.nat(1e6), fc.nat(3), async (edits, cut, part) => {
          const i = cut % certificates.length;
          const bytes = Uint8Array.from((part % 2 === 0 ? evidence : certificates[i]) ?? []);
          for (const [at, by] of edits) bytes[at % bytes.length] = (bytes[at % bytes.length] ?? 0) ^ by;
          const broken = part < 2 ? bytes : bytes.subarray(0, cut % bytes.length);
          const replaced = certificates.map((other, k) => (k === i ? broken : other));
          const found = await appraise(part % 2 === 0 ? { evidence: broken } : { certificates: replaced });
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
    const judge = async (given: Partial<Given>) => faultOf(await appraiseHopper({ ...one, expected: {}, ...given }));
    expect(await judge({ certificates: other.certificates })).toBe("GPU: root: unknown_root");
    expect(await judge({ evidence: spliced(other.evidence, one.evidence) })).toBe("signature: bad_signature");
    expect(await judge({ certificates: one.certificates.slice(1) })).toBe("form: malformed");
    const { root: _, ...unpinned } = one;
    expect(faultOf(await appraiseHopper({ ...unpinned, expected: {} }))).toBe("GPU: root: unknown_root");
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
