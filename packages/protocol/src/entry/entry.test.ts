import { expect, test } from "vitest";
import { fixedSigner } from "../../../../test/fixed-keys.ts";
import { jsonOf, readVectors, type Vector } from "../../../../test/vectors.ts";
import { concat, hex, parseHex } from "../bytes.ts";
import { Malformed } from "../cbor/bytes.ts";
import { encode } from "../cbor/codec.ts";
import {
  AUTHORIZATION_SIZE_BYTES,
  ENTRY_SIZE_BYTES,
  EPOCH_CHECKPOINT_SIZE_BYTES,
  MANIFEST_SIZE_BYTES,
  RECEIPT_SIZE_BYTES,
} from "../limits.ts";
import { keyId, type Signed, signedId, verifySigned } from "../sign/cose.ts";
import { parseAuthorization, parseEntry, signAuthorization, signEntry } from "./entry.ts";
import { authorizationPayload } from "./payload.ts";

type EntryVector = Vector & { kind: string; hex: string; spki: string };
const valid = readVectors<EntryVector & { signedId: string; says: object }>("entry/valid.json");
const invalid = readVectors<EntryVector & { failure: "malformed" | "bad_signature" }>("entry/invalid.json");
const bytesOf = (text: string) => parseHex(text) ?? new Uint8Array(0);

/** Takes an entry or an authorization apart, whichever the vector says it is. */
function parse(kind: string, bytes: Uint8Array): { kind: string; says: object; signed: Signed } {
  return kind === "authorization" ? { kind, ...parseAuthorization(bytes) } : parseEntry(bytes);
}

test.each(valid)("$desc: a hand-made $kind is read, and its signature holds", async (vector) => {
  const { kind, says, signed } = parse(vector.kind, bytesOf(vector.hex));
  expect(kind).toBe(vector.kind);
  expect(jsonOf(says)).toEqual(vector.says);
  expect(hex(signedId(signed))).toBe(vector.signedId);
  expect(hex(signed.keyId)).toBe(hex(keyId(bytesOf(vector.spki))));
  expect(await verifySigned(signed, bytesOf(vector.spki))).toBe(true);
});

test.each(valid)("$desc: signing the same says writes the same bytes", async (vector) => {
  const parsed = parse(vector.kind, bytesOf(vector.hex));
  const labels = ["node", "gateway", "session", "publisher", "relier", "log", "auditor", "disputer"];
  const signers = labels.map(fixedSigner);
  const signer = signers.find(({ spki }) => hex(spki) === vector.spki);
  if (signer === undefined) return expect.fail("the vector is signed by a key that no label gives");
  if (vector.kind === "authorization") {
    const { says } = parseAuthorization(bytesOf(vector.hex));
    expect(hex((await signAuthorization(signer, says)).signed.bytes)).toBe(vector.hex);
    return;
  }
  const entry = parseEntry(bytesOf(vector.hex));
  expect(hex((await signEntry(signer, entry.kind, entry.says)).signed.bytes)).toBe(vector.hex);
  expect(entry.signed.payload).toEqual(parsed.signed.payload);
});

test.each(invalid)("$desc: a $kind is refused", async (vector) => {
  const open = () => parse(vector.kind, bytesOf(vector.hex));
  if (vector.failure === "malformed") expect(open).toThrow(Malformed);
  else expect(await verifySigned(open().signed, bytesOf(vector.spki))).toBe(false);
});

const oneOfEachKind = valid.filter(({ kind }, i) => valid.findIndex((other) => other.kind === kind) === i);

test.each(oneOfEachKind)(
  "$desc: any bit flipped, and it does not parse or its signature does not hold",
  async (vector) => {
    const bytes = bytesOf(vector.hex);
    for (let bit = 0; bit < 8 * bytes.length; bit++) {
      const flipped = bytes.with(bit >> 3, (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7)));
      let signed: Signed;
      try {
        signed = parse(vector.kind, flipped).signed;
      } catch (error) {
        if (!(error instanceof Malformed)) throw error;
        continue;
      }
      if (await verifySigned(signed, bytesOf(vector.spki))) expect.fail(`bit ${bit} may be flipped`);
    }
  },
);

test.each(valid)("$desc: ending early or going on, it is malformed", (vector) => {
  const bytes = bytesOf(vector.hex);
  for (let length = 0; length < bytes.length; length++)
    expect(() => parse(vector.kind, bytes.subarray(0, length))).toThrow(Malformed);
  expect(() => parse(vector.kind, concat(bytes, Uint8Array.of(0)))).toThrow(Malformed);
});

test("a signature under one kind does not hold under another, though their payloads are alike", async () => {
  const signer = fixedSigner("relier");
  const says = { version: 1, receipt: new Uint8Array(32) } as const;
  const { signed } = await signEntry(signer, "acknowledgement", says);
  const moved = await signEntry({ ...signer, sign: async () => signed.signature }, "reliance", says);
  expect(moved.signed.payload).toEqual(signed.payload);
  expect(await verifySigned(signed, signer.spki)).toBe(true);
  expect(await verifySigned(moved.signed, signer.spki)).toBe(false);
});

test("a signature is over what is signed, so another signature of the same leaves the id as it was", async () => {
  const signer = fixedSigner("relier");
  const says = { version: 1, receipt: new Uint8Array(32) } as const;
  const entry = await signEntry(signer, "reliance", says);
  const signature = new Uint8Array(64);
  const again = await signEntry({ ...signer, sign: async () => signature }, "reliance", says);
  expect(signedId(again.signed)).toEqual(signedId(entry.signed));
  expect(again.signed.bytes).not.toEqual(entry.signed.bytes);
});

const most = 2n ** 64n - 1n;
const digest = new Uint8Array(32);
const unsigned = { spki: new Uint8Array(91), sign: async () => new Uint8Array(64) };

test("the longest receipt is under 1,024 bytes, and the longest authorization under 384", async () => {
  const authorization = await signAuthorization(unsigned, {
    version: 1,
    session: digest,
    nonce: 0xffff_ffff,
    revision: digest,
    request: { alg: "poseidon2", digest },
    tier: "proved",
    maxPrice: most,
    expiry: 0xffff_ffff,
    openness: "lot",
    traffic: "probe",
    decision: new Uint8Array(16),
  });
  expect(authorization.signed.bytes.length).toBe(317);
  const receipt = {
    version: 1,
    authorization: authorization.signed.bytes,
    status: "ok",
    profile: { runtime: "a".repeat(64), binary: digest, exactness: "tolerant" },
    response: { alg: "poseidon2", digest },
    units: Number.MAX_SAFE_INTEGER,
    price: most,
    provenance: "relayed",
    sequence: Number.MAX_SAFE_INTEGER,
    stream: { frames: 0xffff_ffff, head: digest },
    upstream: { name: "a".repeat(64), model: digest, responseId: digest, fingerprint: digest },
    evidence: digest,
    outputUnits: Number.MAX_SAFE_INTEGER,
  } as const;
  const { length } = (await signEntry(unsigned, "receipt", receipt)).signed.bytes;
  expect(length).toBe(919);
  // Even where the authorization's field is filled to its bound.
  const authorized = new Uint8Array(AUTHORIZATION_SIZE_BYTES);
  const filled = await signEntry(unsigned, "receipt", { ...receipt, authorization: authorized });
  expect(filled.signed.bytes.length).toBe(986);
  expect(986).toBeLessThanOrEqual(RECEIPT_SIZE_BYTES);
});

test("an entry of more than 65,535 bytes is refused before it is read, and so is a manifest or a checkpoint too long", async () => {
  expect(() => parseEntry(new Uint8Array(ENTRY_SIZE_BYTES + 1))).toThrow("at most 65535");
  const model = (manifest: Uint8Array) => ({ version: 1, action: "publish", revision: digest, manifest }) as const;
  const longest = await signEntry(unsigned, "model", model(new Uint8Array(MANIFEST_SIZE_BYTES)));
  expect(parseEntry(longest.signed.bytes).kind).toBe("model");
  await expect(signEntry(unsigned, "model", model(new Uint8Array(MANIFEST_SIZE_BYTES + 1)))).rejects.toThrow(Malformed);
  const epoch = (checkpoint: Uint8Array) => signEntry(unsigned, "epoch", { version: 1, checkpoint });
  expect((await epoch(new Uint8Array(EPOCH_CHECKPOINT_SIZE_BYTES))).kind).toBe("epoch");
  await expect(epoch(new Uint8Array(EPOCH_CHECKPOINT_SIZE_BYTES + 1))).rejects.toThrow(Malformed);
});

test("an authorization of more than 384 bytes is refused before it is read", () => {
  expect(() => parseAuthorization(new Uint8Array(385))).toThrow("at most 384");
  const authorization = valid.find(({ kind }) => kind === "authorization");
  const { says } = parseAuthorization(bytesOf(authorization?.hex ?? ""));
  expect(encode(authorizationPayload, says).length).toBeLessThan(384);
});

test("a fault in an entry repeats no more of it than a name's length", () => {
  const contentType = `application/${"x".repeat(5_000)}`;
  return signEntry(unsigned, "reliance", { version: 1, receipt: digest }).then(({ signed }) => {
    const text = new TextEncoder().encode(contentType);
    const header = concat(
      Uint8Array.of(0xa3, 1, 0x26, 3, 0x79, text.length >> 8, text.length & 255),
      text,
      Uint8Array.of(4, 0x58, 32),
      digest,
    );
    const parts = [header, signed.payload, signed.signature].map((part) =>
      concat(
        part.length > 255 ? Uint8Array.of(0x59, part.length >> 8, part.length & 255) : Uint8Array.of(0x58, part.length),
        part,
      ),
    );
    const [head = digest, payload = digest, signature = digest] = parts;
    const bytes = concat(Uint8Array.of(0xd2, 0x84), head, Uint8Array.of(0xa0), payload, signature);
    try {
      parseEntry(bytes);
      expect.fail("a kind that nobody knows was read");
    } catch (error) {
      expect(error).toBeInstanceOf(Malformed);
      expect(String(error).length).toBeLessThan(250);
    }
  });
});

test("the longest entries of verification have the sizes that entry.md says", async () => {
  const signer = { spki: new Uint8Array(91), sign: async () => new Uint8Array(64) };
  const [digest, most, time] = [new Uint8Array(32), Number.MAX_SAFE_INTEGER, 0xffff_ffff];
  const profile = { runtime: "a".repeat(64), binary: digest, exactness: "exact" } as const;
  const evidence = digest;
  const release = "a".repeat(64);
  const entries = [
    await signEntry(signer, "verification", {
      ...{ version: 1, receipt: digest, method: "proof", outcome: "passed", evidence, cost: most },
      ...{ profile, epoch: most, ceremony: digest },
    }),
    await signEntry(signer, "appraisal", {
      ...{ version: 1, key: digest, technology: "simulated", outcome: "passed", evidence, measurement: digest },
      ...{ root: digest, appraised: time, expiry: time },
    }),
    await signEntry(signer, "resolution", { version: 1, dispute: digest, outcome: "upheld", evidence, profile }),
    await signEntry(signer, "reference", {
      ...{ version: 1, action: "approve", technology: "nitro", measurement: digest, release },
    }),
    await signEntry(signer, "dispute", { version: 1, receipt: digest, ground: "mismatch", evidence }),
    await signEntry(signer, "revocation", { version: 1, kind: "key", root: digest, reason: "broken", since: time }),
    await signEntry(signer, "lot", { version: 1, action: "reveal", epoch: most, value: digest }),
  ];
  expect(entries.map(({ signed }) => signed.bytes.length)).toEqual([396, 314, 337, 264, 228, 204, 199]);
  for (const entry of entries) expect(parseEntry(entry.signed.bytes).says).toEqual(entry.says);
});
