import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  authority,
  basicConstraints,
  boolean,
  type CertificateShape,
  certificate,
  der,
  extension,
  integer,
  keyUsage,
  oid,
  revocationList,
  sequence,
  vendorKey,
} from "../../../../test/certificates.ts";
import { RUNS } from "../../../../test/runs.ts";
import { vectorsOf } from "../../../../test/vectors-dir.ts";
import { hex, utf8 } from "../bytes.ts";
import { Malformed } from "../cbor/bytes.ts";
import { assembleChain, checkChain, notAfterOf } from "./chain.ts";
import { type Certificate, parseCertificate, parseCrl, parseEcdsaSignature, parsePemChain } from "./x509.ts";

const keys = {
  root: vendorKey("ps384"),
  upper: vendorKey("ps384"),
  lower: vendorKey("es384"),
  leaf: vendorKey("es256"),
};
type Name = keyof typeof keys;
const SHAPES: Record<Name, CertificateShape> = {
  root: { subject: "root", key: keys.root, issuer: "root", issuerKey: keys.root, extensions: authority() },
  upper: {
    subject: "upper",
    key: keys.upper,
    issuer: "root",
    issuerKey: keys.root,
    serial: 2,
    extensions: authority(1),
  },
  lower: {
    subject: "lower",
    key: keys.lower,
    issuer: "upper",
    issuerKey: keys.upper,
    serial: 3,
    extensions: authority(0),
  },
  leaf: {
    subject: "leaf",
    key: keys.leaf,
    issuer: "lower",
    issuerKey: keys.lower,
    serial: 4,
    extensions: [keyUsage(0)],
  },
};
const made = (name: Name, changes: Partial<CertificateShape> = {}) =>
  parseCertificate(certificate({ ...SHAPES[name], ...changes }));
const good = { root: made("root"), upper: made("upper"), lower: made("lower"), leaf: made("leaf") };

type Changes = Partial<Record<Name, Certificate>>;
const chainOf = (changes: Changes = {}) => {
  const { root, upper, lower, leaf } = { ...good, ...changes };
  return { leaf, intermediates: [lower, upper], root };
};
/** The failures of the checks that failed. */
async function failuresOf(changes: Changes, nowSeconds = 1_500, crls: Uint8Array[] = []): Promise<string[]> {
  const checks = await checkChain({ ...chainOf(changes), nowSeconds, crls: crls.map(parseCrl) });
  return checks.flatMap((check) => (check.state === "failed" ? [check.failure] : []));
}

test("a chain of PS384, ES384 and ES256 down from the root holds, and without lists says that nothing was revoked is not checked", async () => {
  const checks = await checkChain({ ...chainOf(), nowSeconds: 1_500 });
  expect(checks.map(({ state }) => state)).toEqual(["passed", "passed", "passed", "not_checked"]);
});

test.each<[string, Changes, string[]]>([
  ["another leaf of the same name", { leaf: made("leaf", { issuerKey: keys.leaf }) }, ["bad_signature"]],
  [
    "a leaf by another issuer",
    { leaf: made("leaf", { issuer: "upper", issuerKey: keys.upper }) },
    ["bad_chain", "bad_signature"],
  ],
  ["an intermediate in the place of another", { lower: good.upper }, ["bad_chain", "bad_signature"]],
  [
    "an intermediate of the same name with another key",
    { lower: made("lower", { key: keys.leaf }) },
    ["bad_signature"],
  ],
  [
    "another root of the same name",
    { root: made("root", { key: keys.upper, issuerKey: keys.upper }) },
    ["bad_signature"],
  ],
  ["an intermediate that is no authority", { lower: made("lower", { extensions: [keyUsage(5)] }) }, ["bad_chain"]],
  ["an intermediate without extensions", { lower: made("lower", { extensions: [] }) }, ["bad_chain"]],
  [
    "an intermediate that may sign lists only",
    { lower: made("lower", { extensions: [basicConstraints(0), keyUsage(6)] }) },
    ["bad_chain"],
  ],
  ["a path longer than allowed above", { upper: made("upper", { extensions: authority(0) }) }, ["bad_chain"]],
  ["a path longer than the root allows", { root: made("root", { extensions: authority(1) }) }, ["bad_chain"]],
  [
    "a leaf that is an authority",
    { leaf: made("leaf", { extensions: [basicConstraints(), keyUsage(0)] }) },
    ["bad_chain"],
  ],
  ["a leaf that may not sign", { leaf: made("leaf", { extensions: [keyUsage(2)] }) }, ["bad_chain"]],
  [
    "a critical extension that nobody knows",
    { leaf: made("leaf", { extensions: [extension("1.2.3", boolean(true), true)] }) },
    ["bad_chain"],
  ],
  [
    "critical name constraints in the middle",
    { upper: made("upper", { extensions: [...authority(1), extension("2.5.29.30", sequence(), true)] }) },
    ["bad_chain"],
  ],
])("%s is refused", async (_, changes, failures) => {
  expect(await failuresOf(changes)).toEqual(failures);
});

test("what a certificate leaves open is allowed: no key usage, an unknown extension that is not critical", async () => {
  expect(await failuresOf({ leaf: made("leaf", { extensions: [extension("1.2.3", boolean(true))] }) })).toEqual([]);
  expect(await failuresOf({ lower: made("lower", { extensions: [basicConstraints()] }) })).toEqual([]);
});

test("each certificate is valid from its first second to its last, and no second more", async () => {
  for (const name of ["root", "upper", "lower", "leaf"] as const) {
    const changes = { [name]: made(name, { notBeforeSeconds: 1_400, notAfterSeconds: 1_600 }) };
    for (let nowSeconds = 1_397; nowSeconds <= 1_603; nowSeconds++)
      if (nowSeconds < 1_403 || nowSeconds > 1_597) {
        const isValid = nowSeconds >= 1_400 && nowSeconds <= 1_600;
        expect(await failuresOf(changes, nowSeconds), `${name} at ${nowSeconds}`).toEqual(
          isValid ? [] : ["not_valid_now"],
        );
      }
  }
});

const listOf = (name: "root" | "upper" | "lower", changes = {}) =>
  revocationList({ issuer: name, issuerKey: keys[name], ...changes });
const lists = [listOf("root"), listOf("upper"), listOf("lower")];

test("with a list from each issuer, nothing is revoked is a check that passed", async () => {
  const checks = await checkChain({ ...chainOf(), nowSeconds: 1_500, crls: lists.map(parseCrl) });
  expect(checks.map(({ state }) => state)).toEqual(["passed", "passed", "passed", "passed"]);
  expect(notAfterOf(chainOf(), lists.map(parseCrl))).toBe(2_000);
  const short = parseCrl(listOf("upper", { nextUpdateSeconds: 1_700 }));
  expect(notAfterOf(chainOf(), [short])).toBe(1_700);
});

test.each<[string, Uint8Array, string[]]>([
  ["a list with the leaf's serial", listOf("lower", { serials: [9, 4] }), ["revoked"]],
  ["a list with an intermediate's serial", listOf("root", { serials: [2] }), ["revoked"]],
  ["a list with serials of others", listOf("lower", { serials: [1, 2, 3, 5] }), []],
  ["a list by another key", listOf("lower", { issuerKey: keys.leaf }), ["bad_signature"]],
  ["a list of yesterday", listOf("lower", { nextUpdateSeconds: 1_499 }), ["not_valid_now"]],
  ["a list until this second", listOf("lower", { nextUpdateSeconds: 1_500 }), []],
  ["a list of tomorrow", listOf("lower", { thisUpdateSeconds: 1_501 }), ["not_valid_now"]],
  [
    "a list of somebody else, who is not in the chain",
    revocationList({ issuer: "other", issuerKey: keys.leaf, serials: [4] }),
    [],
  ],
])("%s: %#", async (_, list, failures) => {
  expect(await failuresOf({}, 1_500, [...lists, list])).toEqual(failures);
});

test("a list by an authority that may not sign lists is none", async () => {
  const lower = made("lower", { extensions: [basicConstraints(0), keyUsage(5)] });
  expect(await failuresOf({ lower }, 1_500, lists)).toEqual(["bad_signature"]);
});

test("a list of a part of what was revoked says so critically, and is refused", () => {
  const delta = listOf("root", { extensions: [extension("2.5.29.27", integer(1), true)] });
  expect(() => parseCrl(delta)).toThrow(Malformed);
});

test("certificates in any order make their chain; what is too few, too many or in a circle makes none", () => {
  const { root, upper, lower, leaf } = good;
  expect(assembleChain([upper, leaf, root, lower])).toEqual(chainOf());
  expect(() => assembleChain([upper, root, lower])).toThrow(Malformed);
  expect(() => assembleChain([upper, leaf, root])).toThrow(Malformed);
  expect(() => assembleChain([...Object.values(good), made("leaf", { serial: 9 })])).toThrow(Malformed);
  const circle = made("upper", { issuer: "lower", issuerKey: keys.lower });
  expect(() => assembleChain([leaf, lower, circle])).toThrow(Malformed);
});

test("every certificate of ours reads as Node.js reads it", () => {
  for (const { bytes, serial, notBeforeSeconds, notAfterSeconds, isCa, spki } of Object.values(good)) {
    const other = new X509Certificate(bytes);
    expect(Number.parseInt(other.serialNumber, 16)).toBe(Number.parseInt(hex(serial), 16));
    expect([Date.parse(other.validFrom) / 1000, Date.parse(other.validTo) / 1000]).toEqual([
      notBeforeSeconds,
      notAfterSeconds,
    ]);
    expect(other.ca).toBe(isCa);
    expect(hex(new Uint8Array(other.publicKey.export({ format: "der", type: "spki" })))).toBe(hex(spki));
  }
});

const tbsWith = (...extensions: Uint8Array[]) => certificate({ ...SHAPES.leaf, extensions });
const ofLeaf = certificate(SHAPES.leaf);

test.each([
  ["an extension twice", tbsWith(keyUsage(0), keyUsage(0))],
  ["a default that is spelt out", tbsWith(sequence(oid("1.2.3"), boolean(false), der(0x04, integer(1))))],
  ["constraints that say they are no authority's", tbsWith(extension("2.5.29.19", sequence(boolean(false))))],
  ["a path length of no authority", tbsWith(extension("2.5.29.19", sequence(integer(1))))],
  ["more than 32 extensions", tbsWith(...Array.from({ length: 33 }, (_, i) => extension(`1.2.${i}`, integer(1))))],
  [
    "a certificate of another algorithm",
    certificate({
      ...SHAPES.leaf,
      issuerKey: { ...keys.lower, algorithm: sequence(oid("1.2.840.113549.1.1.11"), der(0x05)) },
    }),
  ],
  ["something after the end", Uint8Array.of(...ofLeaf, 0)],
  ["nothing", new Uint8Array(0)],
])("%s is malformed", (_, bytes) => {
  expect(() => parseCertificate(bytes)).toThrow(Malformed);
});

test("whatever ends early is malformed, and a changed byte is malformed, refused, or of no chain", async () => {
  for (let length = 0; length < ofLeaf.length; length++)
    expect(() => parseCertificate(ofLeaf.subarray(0, length))).toThrow(Malformed);
  await fc.assert(
    fc.asyncProperty(fc.nat(ofLeaf.length - 1), fc.integer({ min: 1, max: 255 }), async (at, by) => {
      let leaf: Certificate;
      try {
        leaf = parseCertificate(ofLeaf.map((byte, i) => (i === at ? byte ^ by : byte)));
      } catch (fault) {
        expect(fault).toBeInstanceOf(Malformed);
        return;
      }
      expect(await failuresOf({ leaf })).toContain("bad_signature");
    }),
    RUNS,
  );
});

test("PEM is a sequence of certificates with whatever between them; what is not base64 is malformed", () => {
  const pem = (bytes: Uint8Array) =>
    `-----BEGIN CERTIFICATE-----\n${Buffer.from(bytes).toString("base64").replace(/.{64}/g, "$&\n")}\n-----END CERTIFICATE-----\n`;
  expect(parsePemChain(`first\n${pem(ofLeaf)}second\n${pem(good.root.bytes)}`)).toEqual([ofLeaf, good.root.bytes]);
  for (const text of ["", "-----BEGIN CERTIFICATE-----\nAAA\n-----END CERTIFICATE-----", pem(ofLeaf).repeat(17)])
    expect(() => parsePemChain(text)).toThrow(Malformed);
  expect(() => parsePemChain("-----BEGIN CERTIFICATE-----\n".repeat(50_000))).toThrow(Malformed);
});

test("an ECDSA signature in DER is two positive integers in their shortest form, no longer than the curve", () => {
  expect(hex(parseEcdsaSignature(sequence(integer(1), integer(0, 200)), 2))).toBe("000100c8");
  for (const wrong of [
    sequence(integer(1)),
    sequence(integer(1), integer(1), integer(1)),
    sequence(integer(0x80), integer(1)),
    sequence(integer(1, 2, 3), integer(1)),
    sequence(integer(0, 1), integer(1)),
    utf8("0"),
  ])
    expect(() => parseEcdsaSignature(wrong, 2)).toThrow(Malformed);
});

const folder = vectorsOf("attestation");

test.skipIf(folder === undefined)(
  "the vendors' own certificates read as Node.js reads them, but AMD's zero serials (skipped: no vectors)",
  () => {
    const files = [
      "aws_nitro_root_g1.pem",
      "nvidia_hopper_cert_chain.pem",
      "nvidia_device_identity_root.pem",
      "snp_milan_ask_ark.pem",
    ];
    const chains = files.flatMap((name) => parsePemChain(readFileSync(join(folder ?? "", name), "utf8")));
    expect(chains).toHaveLength(9);
    for (const bytes of chains) {
      const ours = parseCertificate(bytes);
      const other = new X509Certificate(bytes);
      expect(ours.isCa).toBe(other.ca);
      expect(ours.notAfterSeconds).toBe(Date.parse(other.validTo) / 1000);
      expect(ours.extensions.size).toBeGreaterThan(2);
    }
  },
);
