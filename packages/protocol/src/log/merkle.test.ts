import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { vectorsOf } from "../../../../test/vectors-dir.ts";
import { hex, parseBase64, utf8 } from "../bytes.ts";
import {
  consistencyRanges,
  EMPTY_ROOT,
  Frontier,
  inclusionRanges,
  joinSubtrees,
  leafHash,
  nodeHash,
  type Range,
  rootOf,
  subtrees,
  verifyConsistency,
  verifyInclusion,
} from "./merkle.ts";

const MOST = 33;
const LEAVES = Array.from({ length: MOST }, (_, i) => leafHash(utf8(`entry ${i}`)));

/** MTH of RFC 6962 §2.1, word for word. */
function mth(leaves: readonly Uint8Array[]): Uint8Array {
  const [only] = leaves;
  if (only === undefined) return EMPTY_ROOT;
  if (leaves.length === 1) return only;
  const k = largestPowerOfTwoBelow(leaves.length);
  return nodeHash(mth(leaves.slice(0, k)), mth(leaves.slice(k)));
}

/** PATH(m, D[n]) of RFC 6962 §2.1.1, word for word. */
function path(m: number, leaves: readonly Uint8Array[]): Uint8Array[] {
  if (leaves.length === 1) return [];
  const k = largestPowerOfTwoBelow(leaves.length);
  if (m < k) return [...path(m, leaves.slice(0, k)), mth(leaves.slice(k))];
  return [...path(m - k, leaves.slice(k)), mth(leaves.slice(0, k))];
}

/** SUBPROOF(m, D[n], b) of RFC 6962 §2.1.2, word for word. */
function subproof(m: number, leaves: readonly Uint8Array[], whole: boolean): Uint8Array[] {
  if (m === leaves.length) return whole ? [] : [mth(leaves)];
  const k = largestPowerOfTwoBelow(leaves.length);
  if (m <= k) return [...subproof(m, leaves.slice(0, k), whole), mth(leaves.slice(k))];
  return [...subproof(m - k, leaves.slice(k), false), mth(leaves.slice(0, k))];
}

function largestPowerOfTwoBelow(n: number): number {
  return 2 ** Math.floor(Math.log2(n - 1));
}

const ROOTS = Array.from({ length: MOST + 1 }, (_, size) => mth(LEAVES.slice(0, size)));
const rootAt = (size: number) => ROOTS[size] ?? EMPTY_ROOT;
const leafAt = (index: number) => LEAVES[index] ?? EMPTY_ROOT;
const hashesOf = (ranges: Range[]) => ranges.map(({ start, end }) => mth(LEAVES.slice(start, end)));
const sizes = (least: number, most = MOST) => Array.from({ length: most - least + 1 }, (_, i) => least + i);
const indexesBelow = (size: number) => Array.from({ length: size }, (_, i) => i);

/** `hashes` with each of their bits flipped, one at a time. */
function* bitFlips(hashes: readonly Uint8Array[]): Generator<Uint8Array[]> {
  for (const [i, hash] of hashes.entries())
    for (let bit = 0; bit < 8 * hash.length; bit++) {
      const flipped = hash.slice();
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      yield hashes.with(i, flipped);
    }
}

test("the root of every tree of up to 33 leaves is the one RFC 6962 defines", () => {
  expect(hex(EMPTY_ROOT)).toBe("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  const frontier = new Frontier();
  for (const size of sizes(0)) {
    expect(rootOf(LEAVES.slice(0, size))).toEqual(rootAt(size));
    expect([frontier.size, frontier.root()]).toEqual([size, rootAt(size)]);
    frontier.push(leafAt(size));
  }
});

test("an empty entry and an inner node hash as RFC 6962 says", () => {
  expect(hex(leafHash(new Uint8Array(0)))).toBe("6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
  expect(hex(leafHash(utf8("L123456")))).toBe("395aa064aa4c29f7010acfe3f25db9485bbd4b91897b6ad7ad547639252b4d56");
  expect(hex(nodeHash(utf8("N123"), utf8("N456")))).toBe(
    "aa217fe888e47007fa15edab33c2b492a722cb106c64667fc2b044444de66bbb",
  );
});

test("every leaf of every tree is proved by RFC 6962's path, at its own index and at no other", () => {
  for (const size of sizes(1))
    for (const index of indexesBelow(size)) {
      const proof = hashesOf(inclusionRanges(index, size));
      expect(proof).toEqual(path(index, LEAVES.slice(0, size)));
      const proved = indexesBelow(size + 1).filter((at) =>
        verifyInclusion(leafAt(index), at, size, proof, rootAt(size)),
      );
      expect(proved).toEqual([index]);
    }
});

test("no leaf is proved by another's path, a path with a hash more or less, or in a tree with another root", () => {
  for (const size of sizes(2))
    for (const index of indexesBelow(size)) {
      const proof = hashesOf(inclusionRanges(index, size));
      const verify = (leaf: Uint8Array, hashes: Uint8Array[], root: Uint8Array) =>
        verifyInclusion(leaf, index, size, hashes, root);
      const wrong = [
        verify(leafAt((index + 1) % size), proof, rootAt(size)),
        verify(leafAt(index), proof.slice(1), rootAt(size)),
        verify(leafAt(index), proof.slice(0, -1), rootAt(size)),
        verify(leafAt(index), [...proof, leafAt(0)], rootAt(size)),
        verify(leafAt(index), [leafAt(0), ...proof], rootAt(size)),
        verify(leafAt(index), proof, rootAt(size - 1)),
        verify(leafAt(index), proof.length > 1 ? [...proof].reverse() : [leafAt(index)], rootAt(size)),
      ];
      expect(wrong.filter(Boolean)).toEqual([]);
    }
});

test("a tree is proved to extend every smaller one by RFC 6962's proof, and none of another root", () => {
  for (const second of sizes(1))
    for (const first of sizes(1, second)) {
      const proof = hashesOf(first < second ? consistencyRanges(first, second) : []);
      expect(proof).toEqual(subproof(first, LEAVES.slice(0, second), true));
      const verify = (firstRoot: Uint8Array, secondRoot: Uint8Array, hashes: Uint8Array[]) =>
        verifyConsistency(first, second, firstRoot, secondRoot, hashes);
      expect(verify(rootAt(first), rootAt(second), proof)).toBe(true);
      const wrong = [
        verify(rootAt(first - 1), rootAt(second), proof),
        verify(rootAt(first), rootAt(second - 1), proof),
        verify(rootAt(first), rootAt(second), [...proof, leafAt(0)]),
        verify(rootAt(first), rootAt(second), [leafAt(0), ...proof]),
        proof.length > 0 && verify(rootAt(first), rootAt(second), proof.slice(1)),
        proof.length > 0 && verify(rootAt(first), rootAt(second), proof.slice(0, -1)),
        first < second && verify(rootAt(second), rootAt(first), proof),
      ];
      expect(wrong.filter(Boolean)).toEqual([]);
    }
});

test("any bit flipped in a proof refuses it", () => {
  let tried = 0;
  for (const size of [...sizes(2, 9), 21, MOST])
    for (const index of size <= 9 ? indexesBelow(size) : [0, 13, size - 1]) {
      const proof = hashesOf(inclusionRanges(index, size));
      for (const flipped of bitFlips(proof)) {
        tried++;
        if (verifyInclusion(leafAt(index), index, size, flipped, rootAt(size))) expect.fail(`${index} of ${size}`);
      }
    }
  for (const second of [...sizes(2, 9), MOST])
    for (const first of second <= 9 ? sizes(1, second - 1) : [1, 16, 21, 32]) {
      for (const flipped of bitFlips(hashesOf(consistencyRanges(first, second)))) {
        tried++;
        if (verifyConsistency(first, second, rootAt(first), rootAt(second), flipped))
          expect.fail(`${first} to ${second}`);
      }
    }
  expect(tried).toBeGreaterThan(50_000);
});

test("a proof from the empty tree says nothing, so only the empty tree extends it", () => {
  expect(verifyConsistency(0, 0, EMPTY_ROOT, EMPTY_ROOT, [])).toBe(true);
  expect(verifyConsistency(0, 0, leafAt(0), leafAt(0), [])).toBe(false);
  expect(verifyConsistency(0, 1, EMPTY_ROOT, rootAt(1), [])).toBe(false);
});

test.each([-1, 0.5, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY])("%d is no index and no size", (number) => {
  expect(verifyInclusion(leafAt(0), number, 2, [leafAt(1)], rootAt(2))).toBe(false);
  expect(verifyInclusion(leafAt(0), 0, number, [leafAt(1)], rootAt(2))).toBe(false);
  expect(verifyConsistency(number, 2, rootAt(1), rootAt(2), [leafAt(1)])).toBe(false);
  expect(verifyConsistency(1, number, rootAt(1), rootAt(2), [leafAt(1)])).toBe(false);
});

test("an inner node cannot be passed off as a leaf of another length", () => {
  const inner = nodeHash(leafAt(0), leafAt(1));
  expect(verifyInclusion(inner, 0, 2, [leafAt(2)], nodeHash(inner, leafAt(2)))).toBe(true); // Two leaves, as it says.
  expect(verifyInclusion(inner.subarray(0, 31), 0, 2, [leafAt(2)], rootAt(3))).toBe(false);
  expect(verifyInclusion(leafAt(0), 0, 2, [leafAt(1).subarray(0, 31)], rootAt(2))).toBe(false);
});

test("the full subtrees of a range join to its hash, and proofs ask for aligned ones only", () => {
  const hashOf = ({ level, index }: { level: number; index: number }) =>
    mth(LEAVES.slice(index * 2 ** level, (index + 1) * 2 ** level));
  for (const second of sizes(1)) {
    const ranges = [
      { start: 0, end: second },
      ...indexesBelow(second).flatMap((index) => inclusionRanges(index, second)),
      ...sizes(1, second - 1).flatMap((first) => consistencyRanges(first, second)),
    ];
    for (const range of ranges) {
      const parts = subtrees(range);
      expect(parts.reduce((sum, { level }) => sum + 2 ** level, 0)).toBe(range.end - range.start);
      expect(joinSubtrees(parts.map(hashOf))).toEqual(mth(LEAVES.slice(range.start, range.end)));
    }
  }
});

const folder = vectorsOf("merkle");

test.skipIf(folder === undefined)(
  `every inclusion and consistency vector of transparency-dev/merkle is judged as it says${folder ? "" : " (skipped: no vectors)"}`,
  () => {
    const decoded = (text: string | null) => parseBase64(text ?? "") ?? new Uint8Array(0);
    const files = readdirSync(folder ?? "", { recursive: true, encoding: "utf8" }).filter((f) => f.endsWith(".json"));
    for (const file of files) {
      const vector = JSON.parse(readFileSync(join(folder ?? "", file), "utf8"));
      const proof = (vector.proof ?? []).map(decoded);
      const ok = file.startsWith("inclusion")
        ? verifyInclusion(decoded(vector.leafHash), vector.leafIdx, vector.treeSize, proof, decoded(vector.root))
        : verifyConsistency(vector.size1, vector.size2, decoded(vector.root1), decoded(vector.root2), proof);
      expect(ok, `${file}: ${vector.desc}`).toBe(!vector.wantErr);
    }
    expect(files.length).toBeGreaterThan(100);
  },
);
