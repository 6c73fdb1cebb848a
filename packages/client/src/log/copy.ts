/** Copies a log, file by file, each held to the signed tree before it is written; the checkpoint comes last. */
import { equal, type LogTrust, TILE_WIDTH, type Tile, tilePath, tileWidth } from "@tallystick/protocol";
import { findTile, type LogSource } from "../audit/source.ts";
import { UnverifiedError } from "../errors.ts";
import { type Alarm, contradictionOf } from "./alarm.ts";
import { type VerifiedCheckpoint, verifiedCheckpoint } from "./head.ts";
import { inOrder } from "./in-order.ts";
import { LogTree, openTree } from "./tree.ts";

/** Where a copy is kept, by the paths of C2SP tlog-tiles. */
export type CopyPlace = {
  find(path: string): Promise<Uint8Array | undefined>;
  /** Writes a file whole or not at all. */
  write(path: string, bytes: Uint8Array): Promise<void>;
  /** Removes a folder and what is in it, where it is there. */
  removeFolder(path: string): Promise<void>;
};

/** What copying came to: the size of the copy, and how many files were written; or why the log is not one to copy there. */
export type Copied = { ok: true; size: number; writtenCount: number } | { ok: false; alarm: Alarm };

export type CopyOptions = { trust: LogTrust; onProgress?: (done: number, total: number) => void };

/** Tiles or bundles that are under way at once. */
const AT_ONCE = 8;

/**
 * Makes `place` a copy of the log of `served`, a checkpoint that `source` has. What is there and right is not fetched
 * again; a copy of an earlier state is extended once the log is proved to extend it. Throws WrongTileError where the log
 * has a file that is not of its tree; what was written until then is right.
 */
export async function copyLog(
  source: LogSource,
  served: VerifiedCheckpoint,
  place: CopyPlace,
  { trust, onProgress }: CopyOptions,
): Promise<Copied> {
  const here: Pick<LogSource, "findTile"> = { findTile: (tile) => place.find(tilePath(tile)) };
  const { checkpoint } = served;
  const before = await place.find("checkpoint");
  const earlier = before === undefined ? undefined : await verifiedCheckpoint(before, trust);
  if (earlier !== undefined) {
    if (earlier.checkpoint.origin !== checkpoint.origin)
      throw new UnverifiedError(`the copy there is of the log ${earlier.checkpoint.origin}, not ${checkpoint.origin}`);
    const { size } = earlier.checkpoint;
    const isBehind = checkpoint.size < size; // What serves the log is behind the copy: then that is the longer tree.
    const alarm = isBehind
      ? await contradictionOf(served, earlier, await openTree(here, earlier.checkpoint))
      : await contradictionOf(earlier, served, await openTree(source, checkpoint));
    if (alarm !== undefined) return { ok: false, alarm };
    if (isBehind) return { ok: true, size, writtenCount: 0 };
  }
  const tree = await LogTree.open([here.findTile, (tile) => findTile(source, tile)], checkpoint);
  const writtenCount = await copyTree(tree, place, onProgress);
  await place.write("checkpoint", served.bytes);
  await dropPartials(checkpoint.size, earlier?.checkpoint.size ?? 0, place);
  return { ok: true, size: checkpoint.size, writtenCount };
}

/** Copies the tiles of a tree from the top down, so that each is held to one that is there already; with the leaves, the entries. How many files it wrote. */
export async function copyTree(
  tree: LogTree,
  place: Pick<CopyPlace, "find" | "write">,
  onProgress?: CopyOptions["onProgress"],
): Promise<number> {
  const { size } = tree.head;
  let writtenCount = 0;
  const keep = async (tile: Tile, bytes: Uint8Array) => {
    const path = tilePath(tile);
    const found = await place.find(path);
    if (found !== undefined && equal(found, bytes)) return;
    await place.write(path, bytes);
    writtenCount++;
  };
  for (let level = levelsOf(size) - 1; level >= 0; level--) {
    const copy = async (index: number) => {
      const width = tileWidth(level, index, size);
      await keep({ level, index, width }, await tree.tile(level, index));
      if (level === 0) await keep({ level: "entries", index, width }, await tree.bundle(index));
    };
    let done = 0;
    const count = Math.ceil(Math.floor(size / TILE_WIDTH ** level) / TILE_WIDTH);
    for await (const _ of inOrder(0, count, AT_ONCE, copy)) {
      done++;
      if (level === 0) onProgress?.(Math.min(size, done * TILE_WIDTH), size);
    }
  }
  return writtenCount;
}

function levelsOf(size: number): number {
  let levels = 0;
  while (tileWidth(levels, 0, size) > 0) levels++;
  return levels;
}

/** Removes the partial tiles of a copy of `from` entries that full ones have replaced. */
async function dropPartials(size: number, from: number, place: CopyPlace): Promise<void> {
  for (let level = 0; level < levelsOf(size); level++) {
    const [first, last] = [from, size].map((count) => Math.floor(count / TILE_WIDTH ** (level + 1)));
    for (let index = first ?? 0; index < (last ?? 0); index++) {
      await place.removeFolder(`${tilePath({ level, index, width: TILE_WIDTH })}.p`);
      if (level === 0) await place.removeFolder(`${tilePath({ level: "entries", index, width: TILE_WIDTH })}.p`);
    }
  }
}
