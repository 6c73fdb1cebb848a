/** A simulated log as the files that a log publishes: bundles, tiles and a checkpoint (C2SP tlog-tiles). */
import { concat, encodeBundle, leafHash, rootOf, TILE_WIDTH, tilePath, utf8 } from "@tallystick/protocol";
import type { World } from "./world.ts";

export type LogFile = { path: string; bytes: Uint8Array };

/** Every file of the log, the checkpoint last. */
export function* logFiles(world: World, timeSeconds: number): Generator<LogFile> {
  const { entries } = world;
  for (const [index, bundle] of chunks(entries).entries())
    yield { path: tilePath({ level: "entries", index, width: bundle.length }), bytes: encodeBundle(bundle) };
  let hashes = entries.map(leafHash);
  for (let level = 0; hashes.length > 0; level++) {
    const tiles = chunks(hashes);
    for (const [index, tile] of tiles.entries())
      yield { path: tilePath({ level, index, width: tile.length }), bytes: concat(...tile) };
    hashes = tiles.filter(({ length }) => length === TILE_WIDTH).map(rootOf);
  }
  yield { path: "checkpoint", bytes: utf8(world.checkpointAt(timeSeconds)) };
}

function chunks<T>(all: readonly T[]): T[][] {
  return Array.from({ length: Math.ceil(all.length / TILE_WIDTH) }, (_, i) =>
    all.slice(i * TILE_WIDTH, (i + 1) * TILE_WIDTH),
  );
}
