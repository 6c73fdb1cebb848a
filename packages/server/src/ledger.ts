/** The log and its fold as one: what is appended here is durable, and `publish` waits until the fold has it. */
import { type FoldState, TILE_WIDTH, type Tile, tileWidth } from "@tallystick/protocol";
import { Log, type LogOptions } from "./log/service.ts";
import { Projection } from "./usage/service.ts";

export type Ledger = {
  log: Log;
  projection: Projection;
  fold: FoldState;
  append(entry: Uint8Array): Promise<number>;
  /** Appends what room was asked for before, with `checkRoom`. */
  appendAdmitted(entry: Uint8Array): Promise<number>;
  /** Appends and waits for the checkpoint and the fold. */
  publish(entry: Uint8Array): Promise<number>;
  findTile(tile: Tile): Promise<Uint8Array | undefined>;
  close(): Promise<void>;
};

/** Opens the log and folds it; from then on each state is folded as it is signed. */
export async function openLedger(options: LogOptions, projections: string): Promise<Ledger> {
  const log = await Log.open(options);
  const { tree } = log;
  const signed = {
    ...log.head,
    readBundle: (index: number, width: number) => tree.readCheckedBundle(index, width),
  };
  const projection = await Projection.open(projections, signed, (size) => tree.rootAt(size));
  log.follow((entries) => projection.apply(entries));

  return {
    log,
    projection,
    fold: projection.fold,
    append: (entry) => log.append(entry),
    appendAdmitted: (entry) => log.appendAdmitted(entry),

    async publish(entry) {
      const index = await log.append(entry);
      await log.followed(index);
      return index;
    },

    async findTile(tile) {
      const { size } = log.head;
      const width = tileWidth(tile.level, tile.index, size);
      if (tile.width > width) return undefined;
      // A partial tile whose full one replaced it is gone; a client asks again for the full one (C2SP tlog-tiles).
      if (tile.width < width && width === TILE_WIDTH) return undefined;
      return tree.findTile(tile);
    },

    async close() {
      await log.close();
      await projection.save(log.head.root);
    },
  };
}
