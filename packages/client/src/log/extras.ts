/** Files in a log's folder beside those that its checkpoint asks for: what was left behind, what is ahead, what is astray. */
import { equal, parseTilePath, type Tile, tilePath, tileWidth } from "@tallystick/protocol";
import { firstStray, leavesOf } from "../audit/bundles.ts";
import type { LogSource } from "../audit/source.ts";
import type { Damages } from "./damage.ts";
import { firstDifference, firstEntryUnder, HASH_SIZE_BYTES, type HashTile } from "./edge.ts";

/** Narrower tiles and bundles than the due ones, each held to what the due one is. */
export class Extras {
  readonly notes: string[] = [];
  readonly #narrower = new Map<string, Tile[]>();

  add(tile: Tile): void {
    const { index } = tile;
    const over = { level: tile.level === "entries" ? 0 : tile.level, index };
    const name = `${over.level}/${index}`;
    this.#narrower.set(name, [...(this.#narrower.get(name) ?? []), tile]);
  }

  /** Holds the ones that `tile` begins with to its bytes. */
  async hold(tile: HashTile, bytes: Uint8Array | undefined, source: LogSource, damages: Damages): Promise<void> {
    const name = `${tile.level}/${tile.index}`;
    const extras = this.#narrower.get(name) ?? [];
    this.#narrower.delete(name);
    for (const extra of extras) {
      const found = await source.findTile(extra);
      // A log that goes on drops partial tiles for full ones.
      if (found === undefined || bytes === undefined) continue;
      const due = bytes.subarray(0, extra.width * HASH_SIZE_BYTES);
      const hashes = extra.level === "entries" ? leavesOf(found, extra.width) : found;
      if (hashes !== undefined && equal(hashes, due)) continue;
      const isBundle = extra.level === "entries";
      const place = isBundle ? firstStray(found, due, extra.width) : firstDifference(found, due);
      const problem = isBundle ? "is not of the log's entries" : "is not what the log's entries hash to";
      damages.add(tilePath(extra), problem, firstEntryUnder(tile, place));
    }
  }
}

/** Looks through the files of a folder. One that is no tile is damage; one beyond the checkpoint is not. */
export async function listExtras(source: LogSource, size: number, damages: Damages): Promise<Extras> {
  const extras = new Extras();
  let beyond = 0;
  const strays: string[] = [];
  for (const path of (await source.list?.()) ?? []) {
    const tile = parseTilePath(path);
    if (tile === undefined) {
      strays.push(path);
      continue;
    }
    const width = tileWidth(tile.level, tile.index, size);
    if (tile.width > width) beyond++;
    else if (tile.width < width) extras.add(tile);
  }
  // What a log that runs is just writing aside is gone when it is looked for again.
  const still = strays.length === 0 ? new Set<string>() : new Set(await source.list?.());
  for (const path of strays) if (still.has(path)) damages.add(path, "is no tile of this log: it does not belong here");
  if (beyond > 0) extras.notes.push(`${beyond} files are of entries beyond the checkpoint, and were not checked`);
  return extras;
}
