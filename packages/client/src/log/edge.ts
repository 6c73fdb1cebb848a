/** The right edge of a tree: its partial tiles, one a level at most, from which its root follows. */
import { hashInTile, joinSubtrees, rootOf, subtrees, TILE_WIDTH, type Tile, tileOf } from "@tallystick/protocol";

export const HASH_SIZE_BYTES = 32;
export type HashTile = Tile & { level: number };

/** The partial tiles of a tree of `size`, from the leaves upwards. */
export function edgeTiles(size: number): HashTile[] {
  const tiles: HashTile[] = [];
  for (let level = 0, count = size; count > 0; level++, count = Math.floor(count / TILE_WIDTH)) {
    const width = count % TILE_WIDTH;
    if (width > 0) tiles.push({ level, index: Math.floor(count / TILE_WIDTH), width });
  }
  return tiles;
}

/** The root of a tree of `size` from its partial tiles by level. Throws Malformed where one is too short. */
export function rootOfEdge(size: number, edge: ReadonlyMap<number, Uint8Array>): Uint8Array {
  return joinSubtrees(
    subtrees({ start: 0, end: size }).map((subtree) => {
      const { level } = tileOf(subtree, size);
      return hashInTile(subtree, edge.get(Number(level)) ?? new Uint8Array(0));
    }),
  );
}

/** Hash `place` of a tile. */
export function hashAt(tile: Uint8Array, place: number): Uint8Array {
  return tile.subarray(place * HASH_SIZE_BYTES, (place + 1) * HASH_SIZE_BYTES);
}

/** The place of the first hash that differs; 0 where there is nothing to compare. */
export function firstDifference(a: Uint8Array | undefined, b: Uint8Array | undefined): number {
  if (a === undefined || b === undefined) return 0;
  const at = a.findIndex((byte, i) => byte !== b[i]);
  return Math.floor((at < 0 ? Math.min(a.length, b.length) : at) / HASH_SIZE_BYTES);
}

/** The first entry under hash `place` of a tile. */
export function firstEntryUnder({ level, index }: HashTile, place: number): number {
  return (index * TILE_WIDTH + place) * TILE_WIDTH ** level;
}

/** What a full tile is in the tile above it: the hash of the tree over its hashes. */
export function hashOfTile(tile: Uint8Array): Uint8Array {
  return rootOf(Array.from({ length: tile.length / HASH_SIZE_BYTES }, (_, place) => hashAt(tile, place)));
}
