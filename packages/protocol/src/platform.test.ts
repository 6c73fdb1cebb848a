import { generateKeyPairSync, sign } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { fixedNoteSigner, fixedSigner, p256Signer } from "../../../test/fixed-keys.ts";
import { RUNS } from "../../../test/runs.ts";
import * as node from "../platform/node.ts";
import * as web from "../platform/web.ts";
import { concat, hex, parseHex, utf8 } from "./bytes.ts";

const bytesOf = (text: string) => parseHex(text) ?? new Uint8Array(0);
const platforms = Object.entries({ node, web });

test.each(platforms)("SHA-256 on %s is that of FIPS 180-4, over its parts one after another", (_, { sha256 }) => {
  const abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  expect(hex(sha256(utf8("abc")))).toBe(abc);
  expect(hex(sha256(utf8("a"), new Uint8Array(0), utf8("bc")))).toBe(abc);
  expect(hex(sha256())).toBe("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
});

test("Node.js and the browser agree on SHA-256 of parts around each size, and a digest stays what it was", () => {
  const kept = [1, 2, 4_095, 4_096, 4_097, 70_000].flatMap((sizeBytes) =>
    [0, 1, sizeBytes >> 1, sizeBytes].map((at) => {
      const bytes = Uint8Array.from({ length: sizeBytes }, (_, i) => i + sizeBytes);
      const parts = [bytes.subarray(0, at), bytes.subarray(at)];
      return { digest: node.sha256(...parts), whole: node.sha256(bytes), expected: hex(web.sha256(...parts)) };
    }),
  );
  for (const { digest, whole, expected } of kept) expect([hex(digest), hex(whole)]).toEqual([expected, expected]);
});

test.each(platforms)("Ed25519 on %s is that of RFC 8032", async (_, { verifyEd25519 }) => {
  const key = bytesOf("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
  const signature = bytesOf(
    "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
  );
  expect(await verifyEd25519(key, new Uint8Array(0), signature)).toBe(true);
  expect(await verifyEd25519(key, Uint8Array.of(0), signature)).toBe(false);
});

test.each(platforms)(
  "ES256 on %s is that of RFC 6979's example, which our test signer makes too",
  async (_, { verifyEs256 }) => {
    const signer = p256Signer(bytesOf("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721"));
    const signature = bytesOf(
      "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8",
    );
    expect(hex(signer.spki)).toContain("60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6");
    expect(hex(await signer.sign(utf8("sample")))).toBe(hex(signature));
    expect(await verifyEs256(signer.spki, utf8("sample"), signature)).toBe(true);
    expect(await verifyEs256(signer.spki, utf8("Sample"), signature)).toBe(false);
  },
);

const p256 = fixedSigner("agreement");
const ed25519 = fixedNoteSigner("agreement.example");
const message = utf8("a message");

test("Node.js and the browser agree on every key and signature with a byte changed", async () => {
  const es256Signature = await p256.sign(message);
  const ed25519Signature = ed25519.sign("a message").signature;
  const change = fc.record({ at: fc.nat(90), by: fc.integer({ min: 0, max: 255 }), key: fc.boolean() });
  const changed = (bytes: Uint8Array, at: number, by: number) =>
    bytes.map((byte, i) => (i === at % bytes.length ? byte ^ by : byte));
  await fc.assert(
    fc.asyncProperty(change, async ({ at, by, key }) => {
      const es256 = [
        key ? changed(p256.spki, at, by) : p256.spki,
        message,
        key ? es256Signature : changed(es256Signature, at, by),
      ] as const;
      expect(await node.verifyEs256(...es256)).toBe(await web.verifyEs256(...es256));
      const { publicKey } = ed25519.key;
      const ed = [
        key ? changed(publicKey, at, by) : publicKey,
        message,
        key ? ed25519Signature : changed(ed25519Signature, at, by),
      ] as const;
      expect(await node.verifyEd25519(...ed)).toBe(await web.verifyEd25519(...ed));
      if (by === 0) expect([await node.verifyEs256(...es256), await node.verifyEd25519(...ed)]).toEqual([true, true]);
    }),
    RUNS,
  );
});

test.each(platforms)("SHA-384 on %s is that of FIPS 180-4, over its parts one after another", (_, { sha384 }) => {
  const abc = "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7";
  expect(hex(sha384(utf8("abc")))).toBe(abc);
  expect(hex(sha384(utf8("a"), new Uint8Array(0), utf8("bc")))).toBe(abc);
});

/** One key and signature of each algorithm by which hardware vendors sign. */
const vendorKeys = (["es256", "es384", "ps384"] as const).map((algorithm) => {
  const { publicKey, privateKey } =
    algorithm === "ps384"
      ? generateKeyPairSync("rsa", { modulusLength: 2048 })
      : generateKeyPairSync("ec", { namedCurve: algorithm === "es256" ? "P-256" : "P-384" });
  const shape = algorithm === "ps384" ? { padding: 6, saltLength: 48 } : { dsaEncoding: "ieee-p1363" as const };
  const hash = algorithm === "es256" ? "sha256" : "sha384";
  const spki = new Uint8Array(publicKey.export({ format: "der", type: "spki" }));
  const by = (options: object) => new Uint8Array(sign(hash, message, { key: privateKey, ...options }));
  return { algorithm, spki, signature: by(shape), by };
});

test.each(vendorKeys)("Node.js and the browser agree on $algorithm with a byte changed", async (vendorKey) => {
  const { algorithm, spki, signature } = vendorKey;
  const change = fc.record({ at: fc.nat(1_000), by: fc.integer({ min: 0, max: 255 }), part: fc.nat(2) });
  await fc.assert(
    fc.asyncProperty(change, async ({ at, by, part }) => {
      const [key, text, signed] = [spki, message, signature].map((bytes, i) =>
        i === part ? bytes.map((byte, k) => (k === at % bytes.length ? byte ^ by : byte)) : bytes,
      );
      if (key === undefined || text === undefined || signed === undefined) throw new Error("three parts");
      const holds = await node.verifySignature(algorithm, key, text, signed);
      expect(await web.verifySignature(algorithm, key, text, signed)).toBe(holds);
      if (by === 0 || part !== 0) expect(holds).toBe(by === 0);
    }),
    RUNS,
  );
});

test.each(platforms)("a key of one algorithm verifies nothing of another on %s", async (_, platform) => {
  for (const { algorithm, spki, signature } of vendorKeys)
    for (const other of vendorKeys)
      expect(await platform.verifySignature(other.algorithm, spki, message, signature)).toBe(
        other.algorithm === algorithm,
      );
  const rsa = vendorKeys.find(({ algorithm }) => algorithm === "ps384");
  if (rsa === undefined) throw new Error("no RSA key");
  for (const options of [{ padding: 1 }, { padding: 6, saltLength: 32 }])
    expect(await platform.verifySignature("ps384", rsa.spki, message, rsa.by(options))).toBe(false);
  for (const sizeBytes of [0, 64, 95, 97, 256])
    for (const { algorithm, spki } of vendorKeys)
      expect(await platform.verifySignature(algorithm, spki, message, zeros(sizeBytes))).toBe(false);
});

const zeros = (length: number) => new Uint8Array(length);

test.each(platforms)(
  "what is no key and no signature verifies nothing on %s, and throws nothing",
  async (_, platform) => {
    const es256 = await p256.sign(message);
    const { signature } = ed25519.sign("a message");
    const p384 = bytesOf(`3076301006072a8648ce3d020106052b81040022036200${"04".padEnd(194, "1")}`);
    const outcomes = await Promise.all([
      platform.verifyEs256(zeros(0), message, es256),
      platform.verifyEs256(zeros(91), message, es256),
      platform.verifyEs256(p384, message, es256),
      platform.verifyEs256(p256.spki.with(90, (p256.spki[90] ?? 0) ^ 1), message, es256),
      platform.verifyEs256(p256.spki, message, zeros(0)),
      platform.verifyEs256(p256.spki, message, zeros(64)),
      platform.verifyEs256(p256.spki, message, zeros(64).fill(255)),
      platform.verifyEs256(p256.spki, message, es256.subarray(1)),
      platform.verifyEs256(p256.spki, message, concat(es256, zeros(1))),
      platform.verifyEd25519(zeros(0), message, signature),
      platform.verifyEd25519(zeros(31), message, signature),
      platform.verifyEd25519(zeros(32).fill(255), message, signature),
      platform.verifyEd25519(ed25519.key.publicKey, message, zeros(0)),
      platform.verifyEd25519(ed25519.key.publicKey, message, zeros(64).fill(255)),
      platform.verifyEd25519(ed25519.key.publicKey, message, concat(signature, zeros(1))),
    ]);
    expect(outcomes.filter(Boolean)).toEqual([]);
  },
);

test("both platforms spell bytes alike, and refuse the same UTF-8", () => {
  const texts = [
    "",
    "plain",
    "ü€😀",
    "\ufeffmarked",
    "half \ud83d of a pair",
    "\udc00",
    "x".repeat(20_000),
    "€".repeat(9_000),
  ];
  for (const text of texts) expect(hex(web.utf8(text))).toBe(hex(node.utf8(text)));
  for (let length = 0; length < 300; length++) {
    const bytes = Uint8Array.from({ length }, (_, i) => (i * 89 + length * 31) & 255);
    expect(web.base64(bytes)).toBe(node.base64(bytes));
    expect(web.hex(bytes)).toBe(node.hex(bytes));
    expect(web.parseUtf8(bytes)).toBe(node.parseUtf8(bytes));
    expect(web.equal(bytes, bytes.slice()) && node.equal(bytes, bytes.slice())).toBe(true);
    if (length === 0) continue;
    const other = bytes.map((byte, i) => (i === length - 1 ? byte ^ 1 : byte));
    expect(web.equal(bytes, other) || node.equal(bytes, other)).toBe(false);
  }
  for (const bad of ["c080", "eda080", "f4908080", "e282", "80", "f8"]) {
    const bytes = parseHex(bad) ?? new Uint8Array(0);
    expect([web.parseUtf8(bytes), node.parseUtf8(bytes)]).toEqual([undefined, undefined]);
  }
  for (const { utf8: encode, parseUtf8 } of [web, node]) expect(parseUtf8(encode("\ufeffü€😀"))).toBe("\ufeffü€😀");
  const large = new Uint8Array(100_000).fill(7);
  expect(web.base64(large)).toBe(node.base64(large));
});
