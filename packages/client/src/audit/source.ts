/** Where a log is read from: its tiles over HTTP, or in a folder. */
import { ENTRY_SIZE_BYTES, NOTE_SIZE_BYTES, TILE_WIDTH, type Tile, tilePath } from "@tallystick/protocol";
import type { Edges } from "../edges.ts";
import { RefusedError } from "../errors.ts";
import { createHttp } from "../http.ts";

export type LogSource = {
  checkpoint(): Promise<Uint8Array>;
  /** The bytes of a tile; undefined where there is none. */
  findTile(tile: Tile): Promise<Uint8Array | undefined>;
  /** The paths of all tiles there are, where the source can tell. */
  list?(): Promise<string[]>;
};

/** The longest bundle, each entry behind its length; every tile is shorter. */
const BUNDLE_SIZE_BYTES = TILE_WIDTH * (2 + ENTRY_SIZE_BYTES);

/** A log served at `url`, by a network or by any server of static files. */
export function fetchSource(url: string, edges: Pick<Edges, "fetch">): LogSource {
  const http = createHttp(url, edges);
  return {
    checkpoint: () => http.bytes("/checkpoint", {}, NOTE_SIZE_BYTES),
    findTile: (tile) =>
      http.bytes(`/${tilePath(tile)}`, {}, BUNDLE_SIZE_BYTES).catch((error: unknown) => {
        if (error instanceof RefusedError && error.status === 404) return undefined;
        throw error;
      }),
  };
}

/**
 * The bytes of a tile, or undefined. A partial tile may have given way to the full one since the checkpoint was read
 * (C2SP tlog-tiles, "Partial tiles"): then it is what the full one begins with.
 */
export async function findTile(source: Pick<LogSource, "findTile">, tile: Tile): Promise<Uint8Array | undefined> {
  const exact = await source.findTile(tile);
  if (exact !== undefined || tile.width === TILE_WIDTH) return exact;
  const full = await source.findTile({ ...tile, width: TILE_WIDTH });
  return full?.subarray(0, tile.level === "entries" ? entriesEnd(full, tile.width) : 32 * tile.width);
}

/** Where the first `count` entries of a bundle end. */
function entriesEnd(bundle: Uint8Array, count: number): number {
  let at = 0;
  for (let i = 0; i < count; i++) at += 2 + (((bundle[at] ?? 0) << 8) | (bundle[at + 1] ?? 0));
  return at;
}
