/** Where a log is read from: its tiles over HTTP, or in a folder. */
import { type Tile, tilePath } from "@tallystick/protocol";
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

/** A log served at `url`, by a network or by any server of static files. */
export function fetchSource(url: string, edges: Pick<Edges, "fetch">): LogSource {
  const http = createHttp(url, edges);
  return {
    checkpoint: () => http.bytes("/checkpoint"),
    findTile: (tile) =>
      http.bytes(`/${tilePath(tile)}`).catch((error: unknown) => {
        if (error instanceof RefusedError && error.status === 404) return undefined;
        throw error;
      }),
  };
}
