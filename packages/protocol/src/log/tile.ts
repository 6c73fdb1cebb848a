/** Tiles of height 8 and entry bundles, as C2SP tlog-tiles has them: their paths, and what each holds. */
import { Malformed } from "../cbor/bytes.ts";
import { ENTRY_SIZE_BYTES } from "../limits.ts";
import { nodeHash, type Subtree } from "./merkle.ts";

/** Hashes in a full tile, entries in a full bundle. */
export const TILE_WIDTH = 256;
const HASH_SIZE = 32;

/** A tile of hashes at `level`, or the bundle of entries under it; `width` is 1 to 256. */
export type Tile = { level: number | "entries"; index: number; width: number };

/** `tile/<L>/<N>[.p/<W>]`: the index in groups of three digits, all but the last with an x before them. */
export function tilePath({ level, index, width }: Tile): string {
  const groups = [String(index % 1000).padStart(3, "0")];
  for (let rest = Math.floor(index / 1000); rest > 0; rest = Math.floor(rest / 1000))
    groups.unshift(`x${String(rest % 1000).padStart(3, "0")}`);
  return `tile/${level}/${groups.join("/")}${width < TILE_WIDTH ? `.p/${width}` : ""}`;
}

/** The tile that `path` names, or undefined: there is one spelling of each. */
export function parseTilePath(path: string): Tile | undefined {
  const match = /^tile\/(entries|[0-9]|[1-5][0-9]|6[0-3])\/((?:x[0-9]{3}\/)*[0-9]{3})(?:\.p\/([1-9][0-9]{0,2}))?$/.exec(
    path,
  );
  if (match === null) return undefined;
  const [, level = "", groups = "", width] = match;
  const tile: Tile = {
    level: level === "entries" ? level : Number(level),
    index: Number(groups.replace(/[x/]/g, "")),
    width: width === undefined ? TILE_WIDTH : Number(width),
  };
  return Number.isSafeInteger(tile.index) && tilePath(tile) === path ? tile : undefined;
}

/** How wide tile `index` at `level` is in a tree of `size`; 0 where there is none. */
export function tileWidth(level: number | "entries", index: number, size: number): number {
  const hashes = Math.floor(size / TILE_WIDTH ** (level === "entries" ? 0 : level));
  return Math.max(0, Math.min(TILE_WIDTH, hashes - index * TILE_WIDTH));
}

/** The tile of a tree of `size` in which the hash of `subtree` is, or from whose hashes it follows. */
export function tileOf({ level, index }: Subtree, size: number): Tile {
  const tileLevel = Math.floor(level / 8);
  const tileIndex = Math.floor((index * 2 ** (level % 8)) / TILE_WIDTH);
  return { level: tileLevel, index: tileIndex, width: tileWidth(tileLevel, tileIndex, size) };
}

/** The hash of `subtree` from the bytes of its tile. Throws Malformed when the tile is too short for it. */
export function hashInTile({ level, index }: Subtree, tile: Uint8Array): Uint8Array {
  const count = 2 ** (level % 8);
  const first = (index * count) % TILE_WIDTH;
  if (tile.length < (first + count) * HASH_SIZE) throw new Malformed(`is a tile of ${tile.length} bytes, too short`);
  let hashes = Array.from({ length: count }, (_, i) =>
    tile.subarray((first + i) * HASH_SIZE, (first + i + 1) * HASH_SIZE),
  );
  while (hashes.length > 1)
    hashes = Array.from({ length: hashes.length / 2 }, (_, i) => nodeHash(hashes[2 * i]!, hashes[2 * i + 1]!));
  return hashes[0]!;
}

/** Every hash that follows from a tile, by level: its own, those of its pairs, up to its root; each level in one piece. */
export function hashesOfTile(tile: Uint8Array): Uint8Array[] {
  const levels = [tile];
  for (let below = tile; below.length >= 2 * HASH_SIZE; below = levels.at(-1)!) {
    const hashes = new Uint8Array(Math.floor(below.length / (2 * HASH_SIZE)) * HASH_SIZE);
    for (let at = 0; at < hashes.length; at += HASH_SIZE) {
      const [left, right] = [below.subarray(2 * at, 2 * at + HASH_SIZE), below.subarray(2 * at + HASH_SIZE)];
      hashes.set(nodeHash(left, right.subarray(0, HASH_SIZE)), at);
    }
    levels.push(hashes);
  }
  return levels;
}

/** The hash of `subtree` among those that `hashesOfTile` gave of its tile. Throws Malformed when the tile is too short for it. */
export function hashAmong({ level, index }: Subtree, hashes: readonly Uint8Array[]): Uint8Array {
  const height = level % 8;
  const at = (index % 2 ** (8 - height)) * HASH_SIZE;
  const found = hashes[height]?.slice(at, at + HASH_SIZE);
  if (found?.length !== HASH_SIZE) throw new Malformed(`is a tile of ${hashes[0]?.length} bytes, too short`);
  return found;
}

/** A bundle: each entry behind its length, big-endian in 16 bits. */
export function encodeBundle(entries: readonly Uint8Array[]): Uint8Array {
  const bundle = new Uint8Array(entries.reduce((size, entry) => size + 2 + entry.length, 0));
  let at = 0;
  for (const entry of entries) {
    if (entry.length > ENTRY_SIZE_BYTES) throw new Malformed(`has an entry of ${entry.length} bytes`);
    bundle.set([entry.length >> 8, entry.length & 255], at);
    bundle.set(entry, at + 2);
    at += 2 + entry.length;
  }
  return bundle;
}

/** The entries of a bundle. Throws Malformed unless there are exactly `width`. */
export function parseBundle(bundle: Uint8Array, width: number): Uint8Array[] {
  const entries: Uint8Array[] = [];
  let at = 0;
  while (at + 2 <= bundle.length) {
    const length = ((bundle[at] ?? 0) << 8) | (bundle[at + 1] ?? 0);
    entries.push(bundle.subarray(at + 2, at + 2 + length));
    at += 2 + length;
  }
  if (at !== bundle.length || entries.length !== width)
    throw new Malformed(
      `is a bundle of ${entries.length} entries in ${bundle.length} bytes where ${width} entries are due`,
    );
  return entries;
}
