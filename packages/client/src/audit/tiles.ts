/** The tiles that a log of these leaves must have, computed beside the ones that it serves. */
import {
  equal,
  hashInTile,
  joinSubtrees,
  parseTilePath,
  subtrees,
  TILE_WIDTH,
  type Tile,
  tilePath,
  tileWidth,
} from "@tallystick/protocol";
import { HASH_SIZE_BYTES, hashOfTile } from "../log/edge.ts";
import { firstStray, leavesOf } from "./bundles.ts";
import type { Report } from "./findings.ts";
import { findTile, type LogSource } from "./source.ts";

/** All hashes of one level, as they lie in its tiles one after another. 32 bytes a leaf, and 1/255 more for the levels above. */
type Level = { bytes: Uint8Array; count: number };

export class Tiles {
  readonly #levels: Level[] = [];

  /** Adds the next leaf's hash. */
  push(leaf: Uint8Array): void {
    this.#push(0, leaf);
  }

  #push(level: number, hash: Uint8Array): void {
    const row = this.#levels[level] ?? { bytes: new Uint8Array(TILE_WIDTH * HASH_SIZE_BYTES), count: 0 };
    this.#levels[level] = row;
    if (row.count * HASH_SIZE_BYTES === row.bytes.length) {
      const grown = new Uint8Array(2 * row.bytes.length);
      grown.set(row.bytes);
      row.bytes = grown;
    }
    row.bytes.set(hash, row.count++ * HASH_SIZE_BYTES);
    if (row.count % TILE_WIDTH !== 0) return;
    const index = row.count / TILE_WIDTH - 1;
    this.#push(level + 1, hashOfTile(this.tile({ level, index, width: TILE_WIDTH })));
  }

  /** The bytes that `tile` must have. */
  tile({ level, index, width }: Tile): Uint8Array {
    const row = level === "entries" ? undefined : this.#levels[level];
    return (
      row?.bytes.subarray(index * TILE_WIDTH * HASH_SIZE_BYTES, (index * TILE_WIDTH + width) * HASH_SIZE_BYTES) ??
      new Uint8Array(0)
    );
  }

  /** MTH of the first `size` leaves. */
  rootAt(size: number): Uint8Array {
    return joinSubtrees(
      subtrees({ start: 0, end: size }).map(({ level, index }) => {
        const first = index * 2 ** (level % 8);
        const tile: Tile = { level: Math.floor(level / 8), index: Math.floor(first / TILE_WIDTH), width: TILE_WIDTH };
        return hashInTile({ level, index }, this.tile(tile));
      }),
    );
  }

  /** Holds every tile that `source` must have for `size`, and every other that it has, to what it must be. */
  async compare(source: LogSource, size: number, report: Report): Promise<void> {
    const wanted = new Map<string, Tile>();
    for (let level = 0; tileWidth(level, 0, size) > 0; level++)
      for (let index = 0; tileWidth(level, index, size) > 0; index++) {
        const tile = { level, index, width: tileWidth(level, index, size) };
        wanted.set(tilePath(tile), tile);
      }
    for (const path of (await source.list?.()) ?? []) {
      const tile = parseTilePath(path);
      const width = tile === undefined ? 0 : tileWidth(tile.level, tile.index, size);
      if (tile === undefined || tile.width > width) continue;
      if (tile.level !== "entries" || tile.width < width) wanted.set(path, tile); // The widest bundles are what was walked.
    }
    const strays: number[] = [];
    for (const [path, tile] of wanted) {
      const served = await findTile(source, tile);
      if (served === undefined) report("tile", `${path} is missing`, this.#firstDifference(tile, new Uint8Array(0)));
      else if (tile.level === "entries") this.#compareBundle(path, tile, served, report);
      else if (!equal(served, this.tile(tile))) {
        // A hash of many entries differs by the one among them that was found already, if one was.
        const first = this.#firstDifference(tile, served);
        const last = first + TILE_WIDTH ** tile.level;
        const index = strays.find((stray) => first <= stray && stray < last) ?? first;
        if (tile.level === 0) strays.push(index);
        report("tile", `${path} is not what the log's entries hash to`, index);
      }
    }
  }

  /** A bundle beside the ones that were walked: a partial one that was left behind. */
  #compareBundle(path: string, tile: Tile, served: Uint8Array, report: Report): void {
    const hashes = this.tile({ ...tile, level: 0 });
    if (equal(leavesOf(served, tile.width) ?? new Uint8Array(0), hashes)) return;
    const index = tile.index * TILE_WIDTH + firstStray(served, hashes, tile.width);
    report("bundle", `${path} is not of the log's entries`, index);
  }

  /** The first entry under the first hash that differs. */
  #firstDifference(tile: Tile, served: Uint8Array): number {
    const due = this.tile(tile);
    const at = due.findIndex((byte, i) => byte !== served[i]);
    const hash = tile.index * TILE_WIDTH + Math.floor((at < 0 ? due.length - 1 : at) / HASH_SIZE_BYTES);
    return hash * TILE_WIDTH ** Number(tile.level);
  }
}
