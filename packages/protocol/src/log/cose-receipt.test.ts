import fc from "fast-check";
import { expect, test } from "vitest";
import { fixedSigner } from "../../../../test/fixed-keys.ts";
import { RUNS } from "../../../../test/runs.ts";
import { readVectors, type Vector } from "../../../../test/vectors.ts";
import { equal, hex, parseHex, utf8 } from "../bytes.ts";
import { Malformed } from "../cbor/bytes.ts";
import { PROOF_HASHES } from "../limits.ts";
import { encodeCoseReceipt, parseCoseReceipt, signCoseReceipt, verifyCoseReceipt } from "./cose-receipt.ts";
import { inclusionRanges, leafHash, rootOf } from "./merkle.ts";

type ReceiptVector = Vector & {
  hex: string;
  entry: string;
  spki: string;
  failure?: "malformed" | "not_verified";
  size?: number;
  index?: number;
  path?: string[];
  root?: string;
};
const vectors = readVectors<ReceiptVector>("log/cose-receipts.json");
const bytesOf = (text: string) => parseHex(text) ?? new Uint8Array(0);
const signer = fixedSigner("log");

test.each(vectors)("$desc", async ({ hex: receipt, entry, spki, failure, wantErr }) => {
  if (failure === "malformed") {
    expect(() => parseCoseReceipt(bytesOf(receipt))).toThrow(Malformed);
    return;
  }
  const parsed = parseCoseReceipt(bytesOf(receipt));
  expect(await verifyCoseReceipt(parsed, bytesOf(entry), bytesOf(spki))).toBe(!wantErr);
  expect(hex(encodeCoseReceipt(parsed))).toBe(receipt);
});

test.each(vectors.filter(({ wantErr }) => !wantErr))("$desc is what we sign", async ({ hex: receipt, ...vector }) => {
  const { size = 0, index = 0, path = [], root = "" } = vector;
  const signed = await signCoseReceipt(signer, { size, index, path: path.map(bytesOf), root: bytesOf(root) });
  expect(hex(signed)).toBe(receipt);
  const parsed = parseCoseReceipt(signed);
  expect([parsed.size, parsed.index, parsed.path.map(hex)]).toEqual([size, index, path]);
});

const entries = Array.from({ length: 20 }, (_, i) => utf8(`entry ${i}`));
const leaves = entries.map(leafHash);
const receiptOf = (index: number, size: number) =>
  signCoseReceipt(signer, {
    size,
    index,
    path: inclusionRanges(index, size).map(({ start, end }) => rootOf(leaves.slice(start, end))),
    root: rootOf(leaves.slice(0, size)),
  });

test("each entry of a log has its own receipt, which is nobody else's", async () => {
  for (const index of entries.keys()) {
    const receipt = parseCoseReceipt(await receiptOf(index, entries.length));
    const held = await Promise.all(entries.map((entry) => verifyCoseReceipt(receipt, entry, signer.spki)));
    expect(held.map((holds, at) => (holds ? at : -1)).filter((at) => at >= 0)).toEqual([index]);
  }
});

test("a receipt with any bit flipped is malformed or does not verify", async () => {
  const bytes = await receiptOf(17, 20);
  for (let bit = 0; bit < 8 * bytes.length; bit++) {
    const flipped = bytes.with(bit >> 3, (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7)));
    try {
      const receipt = parseCoseReceipt(flipped);
      const holds = await verifyCoseReceipt(receipt, entries[17] ?? utf8(""), signer.spki);
      // A size that walks the same way leads to the same root, and the root alone is signed.
      if (holds && (receipt.size === 20 || receipt.index !== 17)) expect.fail(`bit ${bit} may be flipped`);
    } catch (error) {
      expect(error).toBeInstanceOf(Malformed);
    }
  }
});

test("a receipt proves the tree that was signed, not the size that it says", async () => {
  const receipt = parseCoseReceipt(await receiptOf(5, 8));
  const entry = entries[5] ?? utf8("");
  expect(await verifyCoseReceipt({ ...receipt, size: 7 }, entry, signer.spki)).toBe(true);
  expect(await verifyCoseReceipt({ ...receipt, size: 6 }, entry, signer.spki)).toBe(false);
  expect(await verifyCoseReceipt({ ...receipt, index: 4 }, entry, signer.spki)).toBe(false);
});

test("what is no path from a leaf to a root is not signed", async () => {
  const root = rootOf(leaves);
  for (const [index, size, count] of [
    [0, 0, 0],
    [5, 5, 3],
    [-1, 5, 3],
    [0.5, 5, 3],
    [3, 5, 2],
    [3, 5, 4],
  ] as const)
    await expect(
      signCoseReceipt(signer, { size, index, path: leaves.slice(0, count), root }),
      `${index} of ${size}`,
    ).rejects.toThrow(Malformed);
  const short = leaves.slice(0, 3).map((leaf) => leaf.subarray(1));
  await expect(signCoseReceipt(signer, { size: 5, index: 3, path: short, root })).rejects.toThrow(Malformed);
  await expect(
    signCoseReceipt(signer, { size: 5, index: 3, path: leaves.slice(0, 3), root: root.subarray(1) }),
  ).rejects.toThrow(Malformed);
});

const hash = fc.uint8Array({ minLength: 32, maxLength: 32 });
const coseReceipt = fc.record({
  size: fc.maxSafeNat(),
  index: fc.maxSafeNat(),
  path: fc.array(hash, { maxLength: PROOF_HASHES }),
  keyId: hash,
  signature: fc.uint8Array({ minLength: 64, maxLength: 64 }),
});

test("every receipt is read as it was written", () => {
  fc.assert(
    fc.property(coseReceipt, (receipt) => {
      expect(parseCoseReceipt(encodeCoseReceipt(receipt))).toEqual(receipt);
    }),
    RUNS,
  );
});

test("any bytes are a receipt, written in one way, or malformed", () => {
  const written = coseReceipt.map(encodeCoseReceipt);
  const cut = fc.tuple(written, fc.nat(), fc.nat(255)).map(([bytes, at, byte]) => bytes.with(at % bytes.length, byte));
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 300 }), cut), (bytes) => {
      try {
        expect(equal(encodeCoseReceipt(parseCoseReceipt(bytes)), bytes)).toBe(true);
      } catch (error) {
        expect(error).toBeInstanceOf(Malformed);
      }
    }),
    { ...RUNS, numRuns: RUNS.numRuns * 10 },
  );
});
