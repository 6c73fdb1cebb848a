/** The projection that everything is read from: the fold of the published log, kept on disk so that a start is quick. */
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { deserialize, serialize } from "node:v8";
import {
  applyEntry,
  createFold,
  equal,
  type Figures,
  type FoldState,
  figuresOf,
  parseEntry,
  RULES,
  sha256,
  TILE_WIDTH,
} from "@tallystick/protocol";
import { systemCode } from "../platform/errors.ts";
import { writeDurably } from "../platform/files.ts";

/** A part of the log that is published. */
export type PublishedLog = {
  size: number;
  root: Uint8Array;
  readBundle(index: number, width: number): Promise<Uint8Array[]>;
};

/** The layout of what is kept; another layout is another version, and is replayed. */
const SNAPSHOT_VERSION = `${RULES} ${Object.keys(createFold())} 3`;
type Snapshot = { version: string; size: number; root: Uint8Array; fold: FoldState };

export class Projection {
  readonly fold: FoldState;
  readonly #path: string;
  #figures: Figures | undefined;

  private constructor(fold: FoldState, path: string) {
    this.fold = fold;
    this.#path = path;
  }

  /**
   * The fold of `log`: from the snapshot in `folder` where that is of a prefix of this log, else from the first entry.
   * The snapshot need not be trusted to be there; who can write it can falsify what is shown, and an audit tells.
   */
  static async open(
    folder: string,
    log: PublishedLog,
    rootAt: (size: number) => Promise<Uint8Array>,
  ): Promise<Projection> {
    const projection = await Projection.resume(folder, { size: log.size, rootAt });
    await projection.#replay(log);
    return projection;
  }

  /** The fold as it was kept in `folder`, where that is of a prefix of the log, else an empty one: what came since is to be applied. */
  static async resume(
    folder: string,
    log: { size: number; rootAt(size: number): Promise<Uint8Array> },
  ): Promise<Projection> {
    const path = join(folder, "fold");
    const snapshot = await readSnapshot(path);
    const fits =
      snapshot !== undefined &&
      snapshot.size <= log.size &&
      Buffer.from(await log.rootAt(snapshot.size)).equals(snapshot.root);
    return new Projection(fits ? snapshot.fold : createFold(), path);
  }

  async #replay(log: PublishedLog): Promise<void> {
    while (this.fold.size < log.size) {
      const bundle = Math.floor(this.fold.size / TILE_WIDTH);
      const width = Math.min(TILE_WIDTH, log.size - bundle * TILE_WIDTH);
      const entries = await log.readBundle(bundle, width);
      this.apply(entries.slice(this.fold.size % TILE_WIDTH, width));
    }
  }

  /** Takes in the next entries of the log. */
  apply(entries: readonly Uint8Array[]): void {
    for (const entry of entries) applyEntry(this.fold, parseEntry(entry));
    this.#figures = undefined;
  }

  /** The figures of the published log; computed once for each size that is asked about. */
  figures(): Figures {
    this.#figures ??= figuresOf(this.fold);
    return this.#figures;
  }

  /** Keeps the fold, with the root that it is the fold of. */
  async save(root: Uint8Array): Promise<void> {
    const snapshot: Snapshot = { version: SNAPSHOT_VERSION, size: this.fold.size, root, fold: this.fold };
    const bytes = serialize(snapshot);
    await writeDurably(this.#path, Buffer.concat([sha256(bytes), bytes]));
  }
}

async function readSnapshot(path: string): Promise<Snapshot | undefined> {
  const file = await readFile(path).catch((error: unknown) => {
    if (systemCode(error) === "ENOENT") return undefined;
    throw error;
  });
  if (file === undefined) return undefined;
  const bytes = file.subarray(32);
  if (equal(sha256(bytes), file.subarray(0, 32))) {
    const snapshot = deserialize(bytes) as Snapshot; // What we wrote ourselves: the hash says that it still is.
    if (snapshot.version === SNAPSHOT_VERSION) return snapshot;
  }
  await rm(path, { force: true }); // Damaged or of another version: replayed instead.
  return undefined;
}
