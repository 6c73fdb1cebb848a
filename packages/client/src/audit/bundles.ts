/** Bundles of entries as an audit reads them: where one is damaged, it says at which entry. */
import {
  concat,
  equal,
  leafHash,
  Malformed,
  parseBundle,
  TILE_WIDTH,
  type Tile,
  tilePath,
  tileWidth,
} from "@tallystick/protocol";
import type { Report } from "./findings.ts";
import { findTile, type LogSource } from "./source.ts";

const HASH_SIZE = 32;

/** The entries of bundle `index` in a log of `size`; undefined where there are none to go on with, and `report` is told why. */
export async function readBundle(
  source: LogSource,
  index: number,
  size: number,
  report: Report,
): Promise<Uint8Array[] | undefined> {
  const tile: Tile = { level: "entries", index, width: tileWidth("entries", index, size) };
  const bytes = await findTile(source, tile);
  if (bytes === undefined) {
    report("bundle", `${tilePath(tile)} is missing`, index * TILE_WIDTH);
    return undefined;
  }
  try {
    return parseBundle(bytes, tile.width);
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    // The tile may be forged too, so it serves for nothing but to say where to look.
    const hashes = await findTile(source, { ...tile, level: 0 });
    const stray = hashes === undefined ? 0 : firstStray(bytes, hashes, tile.width);
    report("bundle", `${tilePath(tile)} ${error.message}`, index * TILE_WIDTH + stray);
    return undefined;
  }
}

/** The leaf hashes of a bundle, as they lie in a tile; undefined where it is none. */
export function leavesOf(bundle: Uint8Array, width: number): Uint8Array | undefined {
  try {
    return concat(...parseBundle(bundle, width).map(leafHash));
  } catch (error) {
    if (error instanceof Malformed) return undefined;
    throw error;
  }
}

/** The place of the first of `width` entries that does not hash to what `hashes` say. */
export function firstStray(bundle: Uint8Array, hashes: Uint8Array, width: number): number {
  let at = 0;
  for (let i = 0; i < width; i++) {
    const length = ((bundle[at] ?? 0) << 8) | (bundle[at + 1] ?? 0);
    const entry = bundle.subarray(at + 2, at + 2 + length);
    if (!equal(leafHash(entry), hashes.subarray(i * HASH_SIZE, (i + 1) * HASH_SIZE))) return i;
    at += 2 + length;
  }
  return width - 1; // All of them are there: what is too much comes after the last.
}
