import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { RUNS } from "../../../../test/runs.ts";
import { readVectors, type Vector } from "../../../../test/vectors.ts";
import { vectorsOf } from "../../../../test/vectors-dir.ts";
import { concat, utf8 } from "../bytes.ts";
import { Malformed } from "../cbor/bytes.ts";
import { parseCheckpoint } from "./checkpoint.ts";
import { inclusionRanges, joinSubtrees, leafHash, nodeHash, rootOf, subtrees, verifyInclusion } from "./merkle.ts";
import { parseNoteKey, verifyNote } from "./note.ts";
import {
  encodeBundle,
  hashAmong,
  hashesOfTile,
  hashInTile,
  parseBundle,
  parseTilePath,
  type Tile,
  tileOf,
  tilePath,
  tileWidth,
} from "./tile.ts";

const vectors = readVectors<Vector & { path: string; tile?: Tile }>("log/tile-paths.json");

test.each(vectors.filter(({ wantErr }) => !wantErr))("$desc: $path", ({ path, tile }) => {
  expect(parseTilePath(path)).toEqual(tile);
  expect(tile && tilePath(tile)).toBe(path);
});

test.each(vectors.filter(({ wantErr }) => wantErr))("$desc names no tile: $path", ({ path }) => {
  expect(parseTilePath(path)).toBeUndefined();
});

test("every tile has one path, and every path names one tile", () => {
  const tile = fc.record({
    level: fc.oneof(fc.constant("entries" as const), fc.nat(63)),
    index: fc.oneof(fc.nat(2000), fc.maxSafeNat()),
    width: fc.integer({ min: 1, max: 256 }),
  });
  fc.assert(
    fc.property(tile, (some) => {
      expect(parseTilePath(tilePath(some))).toEqual(some);
    }),
    RUNS,
  );
});

test("a tree of 70,000 has the tiles that C2SP tlog-tiles counts for it", () => {
  const full = (level: number) => Math.floor(70_000 / 256 ** (level + 1));
  expect([full(0), full(1), full(2)]).toEqual([273, 1, 0]);
  expect([0, 272, 273, 274].map((index) => tileWidth(0, index, 70_000))).toEqual([256, 256, 112, 0]);
  expect([0, 1, 2].map((index) => tileWidth(1, index, 70_000))).toEqual([256, 17, 0]);
  expect([0, 1].map((index) => tileWidth(2, index, 70_000))).toEqual([1, 0]);
  expect(tileWidth("entries", 273, 70_000)).toBe(112);
});

/** The tiles of a tree, each level from the one below it. */
function tilesOf(leaves: readonly Uint8Array[]): Map<string, Uint8Array> {
  const tiles = new Map<string, Uint8Array>();
  let hashes = leaves;
  for (let level = 0; hashes.length > 0; level++) {
    for (let index = 0; index * 256 < hashes.length; index++) {
      const own = hashes.slice(index * 256, (index + 1) * 256);
      tiles.set(tilePath({ level, index, width: own.length }), concat(...own));
    }
    hashes = Array.from({ length: Math.floor(hashes.length / 256) }, (_, i) =>
      rootOf(hashes.slice(i * 256, (i + 1) * 256)),
    );
  }
  return tiles;
}

test("the proof of any leaf is made of hashes in the tiles of its tree", () => {
  const size = 65_536 + 256 + 7;
  const leaves = Array.from({ length: size }, (_, i) => leafHash(utf8(`entry ${i}`)));
  const tiles = tilesOf(leaves);
  const root = rootOf(leaves);
  for (const index of [0, 1, 255, 256, 32_768, 65_535, 65_536, 65_791, 65_792, size - 1]) {
    const proof = inclusionRanges(index, size).map((range) =>
      joinSubtrees(
        subtrees(range).map((subtree) =>
          hashInTile(subtree, tiles.get(tilePath(tileOf(subtree, size))) ?? new Uint8Array(0)),
        ),
      ),
    );
    expect(verifyInclusion(leaves[index] ?? root, index, size, proof, root)).toBe(true);
  }
});

test("a hash that a tile is too short for is malformed, not made up", () => {
  const tile = concat(leafHash(utf8("a")), leafHash(utf8("b")), leafHash(utf8("c")));
  expect(hashInTile({ level: 1, index: 0 }, tile)).toEqual(nodeHash(leafHash(utf8("a")), leafHash(utf8("b"))));
  expect(() => hashInTile({ level: 1, index: 1 }, tile)).toThrow(Malformed);
  expect(() => hashInTile({ level: 0, index: 3 }, tile)).toThrow(Malformed);
});

test("the hashes of a tile, made once, are those that are made one by one, and what it is too short for is malformed", () => {
  const leaves = Array.from({ length: 256 }, (_, i) => leafHash(utf8(`entry ${i}`)));
  for (const width of [1, 2, 3, 127, 128, 255, 256]) {
    const tile = concat(...leaves.slice(0, width));
    const hashes = hashesOfTile(tile);
    for (let level = 0; level < 8; level++)
      for (let i = 0; i < 2 ** (8 - level); i++) {
        const subtree = { level: level + 8, index: i + 3 * 2 ** (8 - level) };
        if ((i + 1) * 2 ** level <= width) expect(hashAmong(subtree, hashes)).toEqual(hashInTile(subtree, tile));
        else expect(() => hashAmong(subtree, hashes)).toThrow(Malformed);
      }
  }
});

test("a bundle gives back the entries that it was made of, empty and longest ones too", () => {
  const entries = [new Uint8Array(0), utf8("an entry"), new Uint8Array(65_535).fill(9)];
  const bundle = encodeBundle(entries);
  expect(parseBundle(bundle, 3)).toEqual(entries);
  expect(() => encodeBundle([new Uint8Array(65_536)])).toThrow("has an entry of 65536 bytes");
});

test("a bundle with a byte or an entry more or less is malformed", () => {
  const bundle = encodeBundle([utf8("one"), utf8("two")]);
  expect(() => parseBundle(bundle, 1)).toThrow(Malformed);
  expect(() => parseBundle(bundle, 3)).toThrow(Malformed);
  for (let length = 0; length < bundle.length; length++)
    expect(() => parseBundle(bundle.subarray(0, length), 2)).toThrow(Malformed);
  expect(() => parseBundle(concat(bundle, Uint8Array.of(0)), 2)).toThrow(Malformed);
});

const folder = vectorsOf("tessera-log");
const VKEY = "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx";
const skipped = folder === undefined ? " (skipped: no vectors)" : "";
const fileOf = (path: string) => new Uint8Array(readFileSync(join(folder ?? "", path)));

test.skipIf(folder === undefined)(
  `every checkpoint, tile and bundle of transparency-dev/tessera's log is the one that we make${skipped}`,
  async () => {
    const key = parseNoteKey(VKEY);
    const entries = parseBundle(fileOf(tilePath({ level: "entries", index: 0, width: 15 })), 15);
    for (let size = 0; size <= 15; size++) {
      const checkpoint = parseCheckpoint(fileOf(`checkpoint.${size}`));
      expect(await verifyNote(checkpoint.note, [key])).toEqual([{ key }]);
      const leaves = entries.slice(0, size).map(leafHash);
      expect(checkpoint).toMatchObject({ origin: key.name, size, root: rootOf(leaves) });
      expect(tileWidth(0, 0, size)).toBe(size);
      if (size === 0) continue;
      expect(fileOf(tilePath({ level: 0, index: 0, width: size }))).toEqual(concat(...leaves));
      expect(fileOf(tilePath({ level: "entries", index: 0, width: size }))).toEqual(
        encodeBundle(entries.slice(0, size)),
      );
    }
    expect(fileOf("checkpoint")).toEqual(fileOf("checkpoint.15"));
  },
);
