/** The projection that everything is read from: the fold of the published log, kept on disk so that a start is quick. */
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { deserialize, serialize } from "node:v8";
import {
  applyEntry,
  applyToRows,
  createFold,
  createRowFold,
  equal,
  type Figures,
  type FoldState,
  figuresOf,
  hex,
  KEPT_RULES,
  METRICS_VERSION,
  parseEntry,
  ROWS_VERSION,
  type RowFold,
  RULES,
  rulesDigest,
  sha256,
  TILE_WIDTH,
  type WashRules,
} from "@tallystick/protocol";
import { systemCode } from "../platform/errors.ts";
import { writeDurably } from "../platform/files.ts";
import type { DayDocuments, Replay } from "./day-documents.ts";

/** A part of the log that is published. */
export type PublishedLog = {
  size: number;
  root: Uint8Array;
  readBundle(index: number, width: number): Promise<Uint8Array[]>;
};

/** Folds `log` anew, and shows the fold whenever days have closed, up to its end or until it is told to stop. */
export async function replayDays(
  { size, readBundle }: PublishedLog,
  rules: readonly WashRules[],
  ...[onClosed, signal]: Parameters<Replay>
): Promise<void> {
  const fold = createFold(rules);
  for (let bundle = 0; fold.size < size && !signal.aborted; bundle++) {
    for (const entry of await readBundle(bundle, Math.min(TILE_WIDTH, size - fold.size))) {
      const closed = fold.closedDays.size;
      applyEntry(fold, parseEntry(entry));
      if (fold.closedDays.size > closed) await onClosed(fold);
    }
    await setImmediate(); // Calls are answered meanwhile.
  }
}

/** The layout of what is kept; another layout is another version, and is replayed. */
const LAYOUT = [
  RULES,
  METRICS_VERSION,
  ...KEPT_RULES.map((rules) => hex(rulesDigest(rules))),
  Object.keys(createFold()),
];
const SNAPSHOT_VERSION = `${LAYOUT.join(" ")} ${ROWS_VERSION} 9`;
type Snapshot = { version: string; size: number; root: Uint8Array; rows: RowFold };

export class Projection {
  /** The fold, and how the days that it closes stood: as far as entries come by `apply`. */
  readonly rows: RowFold;
  readonly #path: string;
  /** Where the documents of days go as these close; who serves none keeps none. */
  readonly #documents: DayDocuments | undefined;
  #figures: Figures | undefined;

  private constructor(rows: RowFold, path: string, documents: DayDocuments | undefined) {
    this.rows = rows;
    this.#path = path;
    this.#documents = documents;
  }

  get fold(): FoldState {
    return this.rows.fold;
  }

  /**
   * The fold of `log`: from the snapshot in `folder` where that is of a prefix of this log, else from the first entry.
   * The snapshot need not be trusted to be there; who can write it can falsify what is shown, and an audit tells.
   */
  static async open(
    folder: string,
    log: PublishedLog,
    rootAt: (size: number) => Promise<Uint8Array>,
    documents?: DayDocuments,
  ): Promise<Projection> {
    const projection = await Projection.resume(folder, { size: log.size, rootAt }, documents);
    await projection.#replay(log);
    return projection;
  }

  /** The fold as it was kept in `folder`, where that is of a prefix of the log, else an empty one: what came since is to be applied. */
  static async resume(
    folder: string,
    log: { size: number; rootAt(size: number): Promise<Uint8Array> },
    documents?: DayDocuments,
  ): Promise<Projection> {
    const path = join(folder, "fold");
    const snapshot = await readSnapshot(path);
    const fits =
      snapshot !== undefined &&
      snapshot.size <= log.size &&
      Buffer.from(await log.rootAt(snapshot.size)).equals(snapshot.root);
    return new Projection(fits ? snapshot.rows : createRowFold(), path, documents);
  }

  async #replay(log: PublishedLog): Promise<void> {
    while (this.fold.size < log.size) {
      const bundle = Math.floor(this.fold.size / TILE_WIDTH);
      const width = Math.min(TILE_WIDTH, log.size - bundle * TILE_WIDTH);
      const entries = await log.readBundle(bundle, width);
      this.apply(entries.slice(this.fold.size % TILE_WIDTH, width));
      await this.#documents?.written();
    }
  }

  /** Takes in the next entries of the log. */
  apply(entries: readonly Uint8Array[]): void {
    for (const entry of entries) {
      const closed = this.fold.closedDays.size;
      applyToRows(this.rows, parseEntry(entry));
      if (this.fold.closedDays.size > closed) this.#documents?.take(this.fold);
    }
    this.#figures = undefined;
  }

  /** The figures of the published log; computed once for each size that is asked about. */
  figures(): Figures {
    this.#figures ??= figuresOf(this.fold);
    return this.#figures;
  }

  /** Keeps the fold, with the root that it is the fold of; before it what it does not have of its days any more. */
  async save(root: Uint8Array): Promise<void> {
    await this.#documents?.written();
    const snapshot: Snapshot = { version: SNAPSHOT_VERSION, size: this.fold.size, root, rows: this.rows };
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
