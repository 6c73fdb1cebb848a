/**
 * The Merkle tree of RFC 6962 §2.1 (the same as RFC 9162 §2.1): hashes, proofs as ranges of leaves, and their verification.
 * Sizes and indexes are safe integers; `index` counts from 0.
 */
import { sha256 } from "#platform";
import { equal } from "../bytes.ts";

const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

/** MTH of the empty tree: SHA-256 of nothing. */
export const EMPTY_ROOT: Uint8Array = sha256();

/** SHA-256(0x00 ‖ entry). */
export function leafHash(entry: Uint8Array): Uint8Array {
  return sha256(LEAF, entry);
}

/** SHA-256(0x01 ‖ left ‖ right). */
export function nodeHash(left: Uint8Array, right: Uint8Array): Uint8Array {
  return sha256(NODE, left, right);
}

/** The leaves [start, end) as a node of some tree: `start` is aligned, only the tree's right edge is not full. */
export type Range = { start: number; end: number };

/** A full, aligned subtree: leaves [index · 2^level, (index + 1) · 2^level). */
export type Subtree = { level: number; index: number };

/** The largest power of two below `count`, which is at least 2. */
function split(count: number): number {
  let power = 1;
  while (power * 2 < count) power *= 2;
  return power;
}

/** The ranges whose hashes are PATH(index, D[size]) of RFC 6962 §2.1.1, from the leaf upwards. */
export function inclusionRanges(index: number, size: number): Range[] {
  const ranges: Range[] = [];
  let [start, end] = [0, size];
  while (end - start > 1) {
    const middle = start + split(end - start);
    if (index < middle) {
      ranges.unshift({ start: middle, end });
      end = middle;
    } else {
      ranges.unshift({ start, end: middle });
      start = middle;
    }
  }
  return ranges;
}

/** The ranges whose hashes are PROOF(first, D[second]) of RFC 6962 §2.1.2, for 0 < first < second. */
export function consistencyRanges(first: number, second: number): Range[] {
  const ranges: Range[] = [];
  let [start, end] = [0, second];
  while (first !== end) {
    const middle = start + split(end - start);
    if (first <= middle) {
      ranges.unshift({ start: middle, end });
      end = middle;
    } else {
      ranges.unshift({ start, end: middle });
      start = middle;
    }
  }
  return start === 0 ? ranges : [{ start, end }, ...ranges];
}

/** The full subtrees that make up a range, from the left. */
export function subtrees({ start, end }: Range): Subtree[] {
  const parts: Subtree[] = [];
  for (let at = start; at < end; ) {
    let level = 0;
    while (at % 2 ** (level + 1) === 0 && at + 2 ** (level + 1) <= end) level++;
    parts.push({ level, index: at / 2 ** level });
    at += 2 ** level;
  }
  return parts;
}

/** The hash of a range from those of its full subtrees, from the left. */
export function joinSubtrees(hashes: readonly Uint8Array[]): Uint8Array {
  return hashes.length === 0 ? EMPTY_ROOT : hashes.reduceRight((right, left) => nodeHash(left, right));
}

/** MTH(D[n]) of leaf hashes. */
export function rootOf(leaves: readonly Uint8Array[]): Uint8Array {
  const frontier = new Frontier();
  for (const leaf of leaves) frontier.push(leaf);
  return frontier.root();
}

/** The right edge of a growing tree: the hashes of its full subtrees, from the left. */
export class Frontier {
  #hashes: Uint8Array[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  push(leaf: Uint8Array): void {
    let hash = leaf;
    for (let size = this.#size; size % 2 === 1; size = (size - 1) / 2)
      hash = nodeHash(this.#hashes.pop() ?? hash, hash);
    this.#hashes.push(hash);
    this.#size++;
  }

  root(): Uint8Array {
    return joinSubtrees(this.#hashes);
  }
}

/** The root that `proof` leads to from leaf `index` in a tree of `size`, if it is a proof there (RFC 9162 §2.1.3.2). */
export function rootByInclusion(
  leaf: Uint8Array,
  index: number,
  size: number,
  proof: readonly Uint8Array[],
): Uint8Array | undefined {
  if (!isIndex(index) || !isIndex(size) || index >= size || leaf.length !== 32) return undefined;
  const ranges = inclusionRanges(index, size);
  if (ranges.length !== proof.length || proof.some(({ length }) => length !== 32)) return undefined;
  return ranges.reduce(
    (hash, { start }, i) => (start > index ? nodeHash(hash, proof[i]!) : nodeHash(proof[i]!, hash)),
    leaf,
  );
}

/**
 * Whether `proof` leads from leaf `index` to `root` in a tree of `size` (RFC 9162 §2.1.3.2). The size only steers the
 * way: that `root` is of a tree of `size` is the checkpoint's to say.
 */
export function verifyInclusion(
  leaf: Uint8Array,
  index: number,
  size: number,
  proof: readonly Uint8Array[],
  root: Uint8Array,
): boolean {
  const found = rootByInclusion(leaf, index, size, proof);
  return found !== undefined && equal(found, root);
}

/** Whether the tree of `first` leaves and `firstRoot` is a prefix of that of `second` and `secondRoot` (RFC 9162 §2.1.4.2). */
export function verifyConsistency(
  first: number,
  second: number,
  firstRoot: Uint8Array,
  secondRoot: Uint8Array,
  proof: readonly Uint8Array[],
): boolean {
  if (!isIndex(first) || !isIndex(second) || first > second) return false;
  // Every tree extends the empty one, so a proof of that would say nothing.
  if (first === 0 && (second > 0 || !equal(firstRoot, EMPTY_ROOT))) return false;
  if (first === second) return proof.length === 0 && equal(firstRoot, secondRoot);
  const ranges = consistencyRanges(first, second);
  if (ranges.length !== proof.length || proof.some(({ length }) => length !== 32)) return false;
  // Where `first` is a full subtree of the second tree, its root is the seed and is not in the proof.
  const seeded = ranges[0]!.start >= first;
  let before = seeded ? firstRoot : proof[0]!;
  let after = before;
  for (let i = seeded ? 0 : 1; i < ranges.length; i++) {
    const hash = proof[i]!;
    if (ranges[i]!.start >= first) after = nodeHash(after, hash);
    else {
      before = nodeHash(hash, before);
      after = nodeHash(hash, after);
    }
  }
  return equal(before, firstRoot) && equal(after, secondRoot);
}

function isIndex(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}
