import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { RUNS } from "../../../../test/runs.ts";
import { vectorsOf } from "../../../../test/vectors-dir.ts";
import { equal, hex, parseBase64, utf8 } from "../bytes.ts";
import {
  consistencyRanges,
  EMPTY_ROOT,
  Frontier,
  inclusionRanges,
  joinSubtrees,
  leafHash,
  nodeHash,
  type Range,
  rootByInclusion,
  rootOf,
  subtrees,
  verifyConsistency,
  verifyInclusion,
} from "./merkle.ts";

/** Trees in which everything is tried against everything, and trees in which each proof is tried. */
const FEW = 33;
const MOST = 257;
const LEAVES = Array.from({ length: MOST }, (_, i) => leafHash(utf8(`entry ${i}`)));
const leafAt = (index: number) => LEAVES[index] ?? EMPTY_ROOT;

const known = new Map<number, Uint8Array>();
/** MTH(D[start:end]) of RFC 6962 §2.1, word for word; what was found once is remembered. */
function mth(start: number, end: number): Uint8Array {
  if (end === start) return EMPTY_ROOT;
  if (end - start === 1) return leafAt(start);
  const found = known.get(start * 1024 + end);
  if (found !== undefined) return found;
  const middle = start + largestPowerOfTwoBelow(end - start);
  const hash = nodeHash(mth(start, middle), mth(middle, end));
  known.set(start * 1024 + end, hash);
  return hash;
}

/** PATH(m, D[start:end]) of RFC 6962 §2.1.1, word for word, with m counted from 0. */
function path(m: number, start: number, end: number): Uint8Array[] {
  if (end - start === 1) return [];
  const middle = start + largestPowerOfTwoBelow(end - start);
  if (m < middle) return [...path(m, start, middle), mth(middle, end)];
  return [...path(m, middle, end), mth(start, middle)];
}

/** SUBPROOF(m, D[start:end], whole) of RFC 6962 §2.1.2, word for word, with m counted from 0. */
function subproof(m: number, start: number, end: number, whole: boolean): Uint8Array[] {
  if (m === end) return whole ? [] : [mth(start, end)];
  const middle = start + largestPowerOfTwoBelow(end - start);
  if (m <= middle) return [...subproof(m, start, middle, whole), mth(middle, end)];
  return [...subproof(m, middle, end, false), mth(start, middle)];
}

function largestPowerOfTwoBelow(n: number): number {
  return 2 ** Math.floor(Math.log2(n - 1));
}

const rootAt = (size: number) => mth(0, size);
const hashesOf = (ranges: Range[]) => ranges.map(({ start, end }) => mth(start, end));
const inclusionProof = (index: number, size: number) => hashesOf(inclusionRanges(index, size));
const consistencyProof = (first: number, second: number) =>
  first < second ? hashesOf(consistencyRanges(first, second)) : [];
const sizes = (least: number, most: number) => Array.from({ length: most - least + 1 }, (_, i) => least + i);
const indexesBelow = (size: number) => Array.from({ length: size }, (_, i) => i);
const same = (some: Uint8Array[], others: Uint8Array[]) =>
  some.length === others.length && some.every((hash, i) => equal(hash, others[i] ?? EMPTY_ROOT));

/** What is tried in the place of the nth hash. */
type Change = (hash: Uint8Array, nth: number) => Iterable<Uint8Array>;

/** Each bit of the hash flipped, one at a time. */
function* eachBit(hash: Uint8Array): Generator<Uint8Array> {
  for (let bit = 0; bit < 8 * hash.length; bit++) yield withBitFlipped(hash, bit);
}

function withBitFlipped(hash: Uint8Array, bit: number): Uint8Array {
  return hash.with(bit >> 3, (hash[bit >> 3] ?? 0) ^ (1 << (bit & 7)));
}

/** `hashes` with one of them changed, in every way. */
function* changed(hashes: readonly Uint8Array[], change: Change): Generator<Uint8Array[]> {
  for (const [i, hash] of hashes.entries()) for (const other of change(hash, i)) yield hashes.with(i, other);
}

/** How many changes to a root, a leaf and a proof were refused; fails where one is not. */
function refusesChangedInclusions(index: number, size: number, change: Change): number {
  let tried = 0;
  const [root, leaf, ...proof] = [rootAt(size), leafAt(index), ...inclusionProof(index, size)];
  for (const [otherRoot = root, otherLeaf = leaf, ...otherProof] of changed([root, leaf, ...proof], change)) {
    tried++;
    if (verifyInclusion(otherLeaf, index, size, otherProof, otherRoot)) expect.fail(`${index} of ${size}`);
  }
  return tried;
}

function refusesChangedConsistencies(first: number, second: number, change: Change): number {
  let tried = 0;
  const parts = [rootAt(first), rootAt(second), ...consistencyProof(first, second)];
  for (const [firstRoot = EMPTY_ROOT, secondRoot = EMPTY_ROOT, ...proof] of changed(parts, change)) {
    tried++;
    if (verifyConsistency(first, second, firstRoot, secondRoot, proof)) expect.fail(`${first} to ${second}`);
  }
  return tried;
}

test("the root of every tree of up to 257 leaves is the one RFC 6962 defines", () => {
  expect(hex(EMPTY_ROOT)).toBe("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  const frontier = new Frontier();
  for (const size of sizes(0, MOST)) {
    expect([frontier.size, frontier.root()]).toEqual([size, rootAt(size)]);
    if (size <= FEW) expect(rootOf(LEAVES.slice(0, size))).toEqual(rootAt(size));
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

/** Where a proof is tried at the indexes and sizes beside its own: it costs four times as much. */
const isTriedBeside = (size: number) => size <= 66 || size >= 254;

test("every leaf of every tree up to 257 is proved by RFC 6962's path, and not at the index or size beside its own", () => {
  for (const size of sizes(1, MOST))
    for (const index of indexesBelow(size)) {
      const proof = inclusionProof(index, size);
      const where = `${index} of ${size}`;
      if (!same(proof, path(index, 0, size))) expect.fail(`the path of ${where}`);
      const verify = (at: number, of: number) => verifyInclusion(leafAt(index), at, of, proof, rootAt(of));
      if (!verify(index, size)) expect.fail(where);
      if (!isTriedBeside(size)) continue;
      if (verify(index - 1, size) || verify(index + 1, size)) expect.fail(`${where} at another index`);
      if (verify(index, size - 1) || verify(index, size + 1)) expect.fail(`${where} in another size`);
    }
});

test("every tree up to 257 is proved to extend every smaller one by RFC 6962's proof, and none of the sizes beside", () => {
  for (const second of sizes(1, MOST))
    for (const first of sizes(1, second)) {
      const proof = consistencyProof(first, second);
      const where = `${first} to ${second}`;
      if (!same(proof, subproof(first, 0, second, true))) expect.fail(`the proof of ${where}`);
      const verify = (from: number, to: number) => verifyConsistency(from, to, rootAt(from), rootAt(to), proof);
      if (!verify(first, second)) expect.fail(where);
      if (first === second || !isTriedBeside(second)) continue; // Any tree extends itself by a proof of nothing.
      if (verify(first - 1, second) || verify(first + 1, second)) expect.fail(`${where} from another size`);
      if (verify(first, second - 1) || verify(first, second + 1)) expect.fail(`${where} to another size`);
    }
});

test("no leaf is proved at another index, by another's path, with a hash more or less, or under another root", () => {
  for (const size of sizes(2, FEW))
    for (const index of indexesBelow(size)) {
      const proof = inclusionProof(index, size);
      const proved = indexesBelow(size + 1).filter((at) =>
        verifyInclusion(leafAt(index), at, size, proof, rootAt(size)),
      );
      expect(proved).toEqual([index]);
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

test("no tree extends another by a proof with a hash more or less, or under another root", () => {
  for (const second of sizes(1, FEW))
    for (const first of sizes(1, second)) {
      const proof = consistencyProof(first, second);
      const verify = (firstRoot: Uint8Array, secondRoot: Uint8Array, hashes: Uint8Array[]) =>
        verifyConsistency(first, second, firstRoot, secondRoot, hashes);
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

test("any bit flipped in a hash, a root or a leaf refuses the proof, in every tree of up to 13", () => {
  let tried = 0;
  for (const size of sizes(1, 13)) {
    for (const index of indexesBelow(size)) tried += refusesChangedInclusions(index, size, eachBit);
    for (const first of sizes(1, size)) tried += refusesChangedConsistencies(first, size, eachBit);
  }
  expect(tried).toBeGreaterThan(200_000);
});

test("a bit flipped in each hash of each proof in trees of 14 to 33 and of 255 to 257 refuses it, every bit in its turn", () => {
  let turn = 0;
  const tried = new Set<number>();
  const inTurn: Change = (hash, nth) => {
    turn += 7; // Prime to 256: each bit of each place comes around.
    tried.add((nth << 8) | (turn & 255));
    return [withBitFlipped(hash, turn & 255)];
  };
  for (const size of [...sizes(14, FEW), ...sizes(255, MOST)]) {
    for (const index of indexesBelow(size)) refusesChangedInclusions(index, size, inTurn);
    for (const first of sizes(1, size)) refusesChangedConsistencies(first, size, inTurn);
  }
  for (const place of indexesBelow(10)) // Root, leaf or other root, and up to eight hashes.
    expect(
      indexesBelow(256).filter((bit) => !tried.has((place << 8) | bit)),
      `place ${place}`,
    ).toEqual([]);
});

test("a proof of inclusion is of a root and not of a size, which only says how the path is walked", () => {
  const proof = inclusionProof(5, 8);
  expect(rootByInclusion(leafAt(5), 5, 7, proof)).toEqual(rootAt(8)); // 7 and 8 turn the same way above leaf 5.
  expect(rootByInclusion(leafAt(5), 5, 6, proof)).toBeUndefined();
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
  for (const second of sizes(1, FEW)) {
    const ranges = [
      { start: 0, end: second },
      ...indexesBelow(second).flatMap((index) => inclusionRanges(index, second)),
      ...sizes(1, second - 1).flatMap((first) => consistencyRanges(first, second)),
    ];
    for (const range of ranges) {
      const parts = subtrees(range);
      expect(parts.reduce((sum, { level }) => sum + 2 ** level, 0)).toBe(range.end - range.start);
      const hashes = parts.map(({ level, index }) => mth(index * 2 ** level, (index + 1) * 2 ** level));
      expect(joinSubtrees(hashes)).toEqual(mth(range.start, range.end));
    }
  }
});

/** A tree far too large to hold: the same leaf everywhere but at `marks`, where `mark` is. */
class SparseTree {
  readonly #levels: Uint8Array[] = [leafHash(utf8("blank"))];
  readonly #marks: readonly number[];

  constructor(marks: readonly number[]) {
    this.#marks = marks;
  }

  leaf(index: number): Uint8Array {
    return this.#marks.includes(index) ? leafHash(utf8(`mark ${index}`)) : this.#blank(0);
  }

  #blank(level: number): Uint8Array {
    const half = this.#levels[level] ?? this.#blank(level - 1);
    this.#levels[level] ??= nodeHash(half, half);
    return this.#levels[level];
  }

  /** MTH(D[start:end]) by its definition. */
  hash({ start, end }: Range): Uint8Array {
    if (end - start === 1) return this.leaf(start);
    const level = Math.log2(end - start);
    if (Number.isInteger(level) && !this.#marks.some((mark) => mark >= start && mark < end)) return this.#blank(level);
    const middle = start + largestPowerOfTwoBelow(end - start);
    return nodeHash(this.hash({ start, end: middle }), this.hash({ start: middle, end }));
  }

  root(size: number): Uint8Array {
    return this.hash({ start: 0, end: size });
  }
}

const size = fc.oneof(fc.integer({ min: 2, max: 2 ** 20 }), fc.integer({ min: 2, max: 2 ** 40 }));
const share = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

test("a leaf of a tree of up to 2^40 is proved, and not in a tree in which it is another", () => {
  fc.assert(
    fc.property(size, share, share, (of, at, besideAt) => {
      const [index, beside] = [Math.floor(at * of), Math.floor(besideAt * of)];
      const tree = new SparseTree([index, beside]);
      const proof = inclusionRanges(index, of).map((range) => tree.hash(range));
      expect(proof.length).toBeLessThanOrEqual(Math.ceil(Math.log2(of)));
      expect(verifyInclusion(tree.leaf(index), index, of, proof, tree.root(of))).toBe(true);
      const other = new SparseTree([beside].filter((mark) => mark !== index));
      expect(verifyInclusion(tree.leaf(index), index, of, proof, other.root(of))).toBe(false);
      expect(verifyInclusion(other.leaf(index), index, of, proof, tree.root(of))).toBe(false);
    }),
    RUNS,
  );
});

test("a tree of up to 2^40 is proved to extend a smaller one, and none in which a leaf was changed", () => {
  fc.assert(
    fc.property(size, share, share, (second, part, at) => {
      const first = 1 + Math.floor(part * (second - 1));
      const changedAt = Math.floor(at * first);
      const [tree, other] = [new SparseTree([]), new SparseTree([changedAt])];
      const proofIn = (some: SparseTree) => consistencyRanges(first, second).map((range) => some.hash(range));
      expect(verifyConsistency(first, second, tree.root(first), tree.root(second), proofIn(tree))).toBe(true);
      expect(verifyConsistency(first, second, tree.root(first), other.root(second), proofIn(other))).toBe(false);
      expect(verifyConsistency(first, second, other.root(first), tree.root(second), proofIn(tree))).toBe(false);
    }),
    RUNS,
  );
});

const folder = vectorsOf("merkle");

test.skipIf(folder === undefined)(
  `every inclusion and consistency vector of transparency-dev/merkle is judged as it says${folder ? "" : " (skipped: no vectors)"}`,
  () => {
    const decoded = (text: string | null) => parseBase64(text ?? "") ?? new Uint8Array(0);
    const files = readdirSync(folder ?? "", { recursive: true, encoding: "utf8" })
      .map((file) => file.replaceAll("\\", "/"))
      .filter((file) => file.endsWith(".json"));
    for (const file of files) {
      const vector = JSON.parse(readFileSync(join(folder ?? "", file), "utf8"));
      const proof = (vector.proof ?? []).map(decoded);
      const ok = file.startsWith("inclusion/")
        ? verifyInclusion(decoded(vector.leafHash), vector.leafIdx, vector.treeSize, proof, decoded(vector.root))
        : verifyConsistency(vector.size1, vector.size2, decoded(vector.root1), decoded(vector.root2), proof);
      expect(ok, `${file}: ${vector.desc}`).toBe(!vector.wantErr);
    }
    const cases = ["0", "1", "2", "3", "4", "additional"];
    expect(new Set(files.map((file) => file.split("/").slice(0, 2).join("/")))).toEqual(
      new Set([...cases.flatMap((name) => [`inclusion/${name}`, `consistency/${name}`]), "inclusion/single-entry"]),
    );
    expect(files.length).toBeGreaterThanOrEqual(196);
  },
);
