import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  encodeBundle,
  hex,
  leafHash,
  nodeHash,
  rootOf,
  TILE_WIDTH,
  tilePath,
  tileWidth,
  utf8,
  verifyInclusion,
} from "@tallystick/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemDisk } from "../platform/disk.ts";
import { Tree } from "./tree.ts";
import type { Sequenced } from "./wal.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tree-"));
});
afterAll(() => rm(folder, { recursive: true }));

function sequence(from: number, to: number): Sequenced[] {
  return Array.from({ length: to - from }, (_, i) => {
    const entry = utf8(`entry ${from + i}`);
    return { index: from + i, entry, leaf: leafHash(entry) };
  });
}

/** Every tile and bundle of a log of `entries`, as C2SP tlog-tiles defines them: the hashes of each level from those below. */
function tilesOf(entries: readonly Uint8Array[]): Map<string, string> {
  const tiles = new Map<string, string>();
  const cut = <T>(level: number | "entries", all: readonly T[], encode: (part: readonly T[]) => Uint8Array) => {
    for (let index = 0; tileWidth(level, index, entries.length) > 0; index++) {
      const width = tileWidth(level, index, entries.length);
      const part = all.slice(index * TILE_WIDTH, index * TILE_WIDTH + width);
      tiles.set(tilePath({ level, index, width }), hex(encode(part)));
    }
  };
  cut("entries", entries, encodeBundle);
  let hashes = entries.map(leafHash);
  for (let level = 0; hashes.length > 0; level++) {
    cut(level, hashes, (part) => Buffer.concat(part));
    for (let height = 0; height < 8; height++)
      hashes = Array.from({ length: Math.floor(hashes.length / 2) }, (_, i) =>
        nodeHash(hashes[2 * i]!, hashes[2 * i + 1]!),
      );
  }
  return tiles;
}

function hexOfFile(path: string): Promise<string | undefined> {
  return readFile(path).then(hex, () => undefined);
}

async function filesIn(path: string): Promise<Map<string, string>> {
  const names = await readdir(path, { recursive: true, withFileTypes: true });
  const files = names.filter((name) => name.isFile()).map((name) => join(name.parentPath, name.name));
  return new Map(
    await Promise.all(files.map(async (file) => [file.slice(path.length + 1), hex(await readFile(file))] as const)),
  );
}

test("at every size up to 600 the root is that of the entries, and the tiles a checkpoint needs are on disk, to the byte", async () => {
  const path = join(folder, "small");
  const tree = new Tree(systemDisk, path);
  const all = sequence(0, 600);
  expect(hex(tree.root())).toBe(hex(rootOf([])));
  for (let size = 1; size <= 600; size++) {
    await tree.integrate(all.slice(size - 1, size));
    expect(hex(tree.root()), `root at ${size}`).toBe(hex(rootOf(all.slice(0, size).map(({ leaf }) => leaf))));
    await tree.dropPartials(size - 1, size);
    for (const [tile, bytes] of tilesOf(all.slice(0, size).map(({ entry }) => entry)))
      expect(await hexOfFile(join(path, tile)), `${tile} at size ${size}`).toBe(bytes);
  }
  const found = await filesIn(path);
  const replaced = [...found.keys()].filter((name) => name.includes(".p/") && found.has(name.replace(/\.p\/.*/, "")));
  expect(replaced, "partial tiles that a full one has replaced").toEqual([]);
});

test("however entries come in batches, the tiles of the last size are the same", async () => {
  const expected = tilesOf(sequence(0, 700).map(({ entry }) => entry));
  for (const cuts of [[700], [256, 700], [255, 256, 257, 512, 700], [1, 300, 513, 700], [699, 700]]) {
    const path = join(folder, `cuts-${cuts}`);
    const tree = new Tree(systemDisk, path);
    let from = 0;
    for (const to of cuts) {
      await tree.integrate(sequence(from, to));
      await tree.dropPartials(from, to);
      from = to;
    }
    const found = await filesIn(path);
    for (const [tile, bytes] of expected) expect(found.get(tile), `${tile} after ${cuts}`).toBe(bytes);
  }
});

test("past 65,536 entries there is a third level, and a tree that is opened again goes on from it", async () => {
  const path = join(folder, "large");
  const all = sequence(0, 65_536 + 300);
  const before = new Tree(systemDisk, path);
  await before.integrate(all.slice(0, 65_535));
  const tree = new Tree(systemDisk, path);
  await tree.open(65_535, before.root());
  await tree.integrate(all.slice(65_535));
  await tree.dropPartials(65_535, all.length);
  const leaves = all.map(({ leaf }) => leaf);
  const root = rootOf(leaves);
  expect(hex(tree.root())).toBe(hex(root));
  const found = await filesIn(path);
  for (const [tile, bytes] of tilesOf(all.map(({ entry }) => entry)))
    expect(found.get(tile) === bytes, tile).toBe(true);
  for (const index of [0, 255, 256, 65_535, 65_536, 65_835]) {
    const proof = await tree.inclusionProof(index, all.length);
    expect(verifyInclusion(leaves[index]!, index, all.length, proof, root), `proof of ${index}`).toBe(true);
    expect(await tree.readEntry(index)).toEqual(all[index]?.entry);
  }
  expect(hex(await tree.rootAt(65_535))).toBe(hex(before.root()));
});

test("a tree opened at any published size has its root, its entries and their proofs", async () => {
  const path = join(folder, "open");
  const writer = new Tree(systemDisk, path);
  const all = sequence(0, 520);
  let from = 0;
  for (const size of [0, 1, 2, 255, 256, 257, 511, 512, 513, 520]) {
    await writer.integrate(all.slice(from, size));
    await writer.dropPartials(from, size);
    from = size;
    const tree = new Tree(systemDisk, path);
    await tree.open(size, writer.root());
    for (const index of [0, 1, 254, 255, 256, 511, 512, 519].filter((index) => index < size)) {
      const proof = await tree.inclusionProof(index, size);
      expect(verifyInclusion(all[index]!.leaf, index, size, proof, tree.root()), `${index} of ${size}`).toBe(true);
      expect(await tree.readEntry(index)).toEqual(all[index]?.entry);
    }
  }
});

/** Files that a tree of some size rests on, and what may become of one. */
const EDGE = [3, 256, 259, 600].flatMap((size) => [
  { size, level: "entries" as const, index: Math.floor((size - 1) / TILE_WIDTH) },
  { size, level: 0, index: Math.floor((size - 1) / TILE_WIDTH) },
  ...(size < TILE_WIDTH ? [] : [{ size, level: 1, index: 0 }]),
]);

function damagesOf(bytes: Uint8Array): (Uint8Array | undefined)[] {
  const flipped = Uint8Array.from(bytes);
  flipped[5] = (flipped[5] ?? 0) ^ 1;
  return [flipped, bytes.subarray(0, bytes.length - 1), new Uint8Array(0), undefined];
}

test.each(EDGE)(
  "lost at its edge, tile $level/$index of $size entries is made again where the root shows it to be the same",
  async ({ size, ...tile }) => {
    const path = join(folder, `edge-${size}-${tile.level}`);
    const tree = new Tree(systemDisk, path);
    const all = sequence(0, size);
    await tree.integrate(all);
    const whole = await filesIn(path);
    const name = tilePath({ ...tile, width: tileWidth(tile.level, tile.index, size) });
    const file = join(path, name);
    const bytes = await readFile(file);
    // What the write-ahead segments still have: all, from the middle of a bundle, from the start of the last, or nothing.
    for (const kept of [all, all.slice(-(size % TILE_WIDTH || TILE_WIDTH) - 2), all.slice(-1), []])
      for (const damage of damagesOf(bytes)) {
        await (damage === undefined ? rm(file) : writeFile(file, damage));
        const opening = new Tree(systemDisk, path).open(size, tree.root(), kept);
        const isKept = tile.level !== "entries" || (kept[0]?.index ?? size) <= tile.index * TILE_WIDTH;
        if (isKept) {
          expect(await opening, `${name} of ${size}, ${kept.length} kept`).toEqual({ repaired: true });
          expect(await filesIn(path)).toEqual(whole);
        } else await expect(opening, `${name} of ${size}, ${kept.length} kept`).rejects.toThrow(/backup/);
        await writeFile(file, bytes);
      }
    expect(await new Tree(systemDisk, path).open(size, tree.root(), all)).toEqual({ repaired: false });
  },
);

test("a checkpoint that is newer than its tiles opens where the entries were kept, and by no others", async () => {
  const path = join(folder, "newer");
  const old = new Tree(systemDisk, path);
  await old.integrate(sequence(0, 300));
  const whole = new Tree(systemDisk, join(folder, "newer-whole"));
  await whole.integrate(sequence(0, 700));
  for (const first of [0, 100, 256])
    expect(await new Tree(systemDisk, path).open(700, whole.root(), sequence(first, 700))).toBeDefined();
  const lost = join(folder, "newer-lost");
  await new Tree(systemDisk, lost).integrate(sequence(0, 300));
  await expect(new Tree(systemDisk, lost).open(700, whole.root(), sequence(600, 700))).rejects.toThrow(/backup/);
  await expect(new Tree(systemDisk, lost).open(700, whole.root(), sequence(0, 699))).rejects.toThrow(/backup/);
  await expect(new Tree(systemDisk, lost).open(300, leafHash(utf8("another")), sequence(0, 300))).rejects.toThrow(
    /backup/,
  );
});
