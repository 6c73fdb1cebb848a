/**
 * The log: append → sequence → integrate → publish.
 *
 * append     an entry waits in a bounded queue
 * sequence   a batch gets its indexes and is written and synced to the write-ahead segment: now it is durable, and acknowledged
 * integrate  tiles and bundles are written and synced
 * publish    a checkpoint of the new size is signed and replaces the last; followers are told
 */
import assert from "node:assert";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import {
  type Checkpoint,
  checkpointText,
  cosignatureMessage,
  createNoteKey,
  ENTRY_SIZE_BYTES,
  encodeCosignature,
  encodeNote,
  leafHash,
  Malformed,
  type Note,
  parseCheckpoint,
  trustInLog,
  utf8,
  verifyCheckpoint,
} from "@tallystick/protocol";
import { type Clock, nowSeconds } from "../platform/clock.ts";
import { OperatorError, ServiceError, systemCode } from "../platform/errors.ts";
import { writeDurably } from "../platform/files.ts";
import type { Report } from "../platform/http.ts";
import type { NoteSigner } from "../platform/keys.ts";
import { Tree } from "./tree.ts";
import { openWal, type Sequenced, type Wal } from "./wal.ts";

export type LogOptions = {
  /** Holds `tiles/` (what is public) and `wal/`. */
  folder: string;
  signer: NoteSigner;
  clock: Clock;
  /** The least time between two checkpoints, and so the longest that an entry waits for one. */
  publishIntervalMs: number;
  /** Entries that may wait to be sequenced; one more is refused. */
  queueLength: number;
  report: Report;
};

/** A published state of the log. */
export type Published = { size: number; root: Uint8Array; note: Note; timeSeconds: number };

/** Told of each checkpoint and of the entries it is the first to cover, in order, one call at a time. */
export type Follower = (entries: readonly Uint8Array[], published: Published) => void | Promise<void>;

type Waiting = { entry: Uint8Array; resolve: (index: number) => void; reject: (error: unknown) => void };
type Unfollowed = { index: number; resolve: () => void; reject: (error: unknown) => void };

const BATCH_LENGTH = 1024;

export class Log {
  readonly #options: LogOptions;
  readonly #tree: Tree;
  readonly #wal: Wal;
  readonly #followers: Follower[] = [];
  #published: Published;
  #queue: Waiting[] = [];
  #unfollowed: Unfollowed[] = [];
  #sequenced: Sequenced[];
  #nextIndex: number;
  #sequencing: Promise<void> | undefined;
  #publishing: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #publishedMs = 0;
  #followedSize: number;
  #broken: Error | undefined;
  #closed = false;

  private constructor(options: LogOptions, tree: Tree, wal: Wal, published: Published, recovered: Sequenced[]) {
    this.#options = options;
    this.#tree = tree;
    this.#wal = wal;
    this.#published = published;
    this.#sequenced = recovered;
    this.#nextIndex = published.size + recovered.length;
    this.#followedSize = published.size;
  }

  /** Makes an empty log. Its folder must not hold one, unless that is as empty: made by a start that was cut short. */
  static async create(options: LogOptions): Promise<void> {
    const path = join(options.folder, "tiles", "checkpoint");
    const known = await readFile(path).catch(() => undefined);
    assert(known === undefined || parseCheckpoint(known).size === 0, `${path} is there already`);
    const empty = new Tree(join(options.folder, "tiles"));
    const note = signNote(options, 0, empty.root());
    await writeDurably(path, encodeNote(note));
  }

  /** Opens the log in its folder: checks its checkpoint and tiles, and takes in what was sequenced and not yet published. */
  static async open(options: LogOptions): Promise<Log> {
    const path = join(options.folder, "tiles", "checkpoint");
    const bytes = await readFile(path).catch((cause: unknown) => {
      if (systemCode(cause) !== "ENOENT") throw cause;
      throw new OperatorError(
        `${path} is missing: this log has lost its checkpoint. Restore the folder from a backup`,
        { cause },
      );
    });
    const checkpoint = readCheckpoint(bytes, path);
    const verified = await verifyCheckpoint(checkpoint, trustInLog(options.signer.key));
    if (!verified.ok)
      throw new OperatorError(
        `${path} is not signed by this log's key (${verified.failure}): are keys and log of one network?`,
      );
    const tree = new Tree(join(options.folder, "tiles"));
    await tree.open(checkpoint.size, checkpoint.root);
    const { wal, recovered } = await openWal(join(options.folder, "wal"), checkpoint.size);
    const { size, root, note } = checkpoint;
    const log = new Log(options, tree, wal, { size, root, note, timeSeconds: verified.timeSeconds }, recovered);
    await log.#publish();
    return log;
  }

  get published(): Published {
    return this.#published;
  }

  get tree(): Tree {
    return this.#tree;
  }

  /** Whether entries are taken: no write has failed, and it is not closing. */
  get canWrite(): boolean {
    return this.#broken === undefined && !this.#closed;
  }

  /** Follows what will be published from here on. What was published before is read from the tree. */
  follow(follower: Follower): void {
    this.#followers.push(follower);
  }

  /** Appends `entry` and gives its index once it is durable. Refuses when too many wait. */
  append(entry: Uint8Array): Promise<number> {
    assert(entry.length <= ENTRY_SIZE_BYTES, "an entry is at most 65,535 bytes");
    if (this.#broken !== undefined || this.#closed) return Promise.reject(this.#unavailable());
    if (this.#queue.length >= this.#options.queueLength)
      return Promise.reject(
        new ServiceError("unavailable", "the log has more to write than it can take: try again in a second"),
      );
    return new Promise((resolve, reject) => {
      this.#queue.push({ entry, resolve, reject });
      this.#sequencing ??= this.#sequence();
    });
  }

  /** Resolves once every follower knows entry `index`. Refuses where the log can publish no more. */
  async followed(index: number): Promise<void> {
    if (index < this.#followedSize) return;
    if (this.#broken !== undefined) throw this.#unavailable();
    await new Promise<void>((resolve, reject) => this.#unfollowed.push({ index, resolve, reject }));
  }

  #unavailable(): ServiceError {
    return new ServiceError(
      "unavailable",
      this.#closed ? "the log is closing" : "the log cannot write: its operator must look at the disk",
      {
        cause: this.#broken,
      },
    );
  }

  async #sequence(): Promise<void> {
    await new Promise((turn) => setImmediate(turn)); // What arrives in the same turn shares one sync.
    while (this.#queue.length > 0) {
      const batch = this.#queue.splice(0, BATCH_LENGTH);
      const sequenced = batch.map(({ entry }, i) => ({ index: this.#nextIndex + i, entry, leaf: leafHash(entry) }));
      try {
        await this.#wal.write(sequenced);
      } catch (error) {
        this.#break(error, batch);
        break;
      }
      this.#nextIndex += batch.length;
      this.#sequenced.push(...sequenced);
      for (const [i, { resolve }] of batch.entries()) resolve(sequenced[i]!.index);
      this.#schedule();
    }
    this.#sequencing = undefined;
  }

  /** After a failed write nothing about the file is known (a failed sync may have dropped pages): only a restart reads it back. */
  #break(error: unknown, batch: readonly Waiting[]): void {
    this.#broken = error instanceof Error ? error : new Error(String(error));
    this.#options.report("the log cannot write", { error: String(error), published: this.#published.size });
    for (const { reject } of [...batch, ...this.#queue, ...this.#unfollowed]) reject(this.#unavailable());
    this.#queue = [];
    this.#unfollowed = [];
  }

  #schedule(): void {
    if (
      this.#timer !== undefined ||
      this.#publishing !== undefined ||
      this.#broken !== undefined ||
      this.#sequenced.length === 0
    )
      return;
    const dueMs = this.#publishedMs + this.#options.publishIntervalMs - this.#options.clock.nowMs();
    // A clock that was set back must not put the next checkpoint off.
    const delayMs = Math.min(Math.max(0, dueMs), this.#options.publishIntervalMs);
    this.#timer = setTimeout(() => void this.#startPublishing(), delayMs);
  }

  #startPublishing(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#publishing = this.#publish()
      .catch((error: unknown) => this.#break(error, []))
      .finally(() => {
        this.#publishing = undefined;
        this.#schedule();
      });
    return this.#publishing;
  }

  /** Publishes what was appended without waiting for its turn. Resolves once followers have it, or the log is broken. */
  async flush(): Promise<void> {
    await this.#sequencing;
    await this.#publishing;
    while (this.#sequenced.length > 0 && this.#broken === undefined)
      await (this.#publishing ?? this.#startPublishing());
  }

  async #publish(): Promise<void> {
    const batch = this.#sequenced;
    if (batch.length === 0) return;
    this.#sequenced = [];
    const before = this.#published.size;
    assert(batch[0]?.index === before, "integration goes on where the last checkpoint ended");
    await this.#tree.integrate(batch);
    const { size } = this.#tree;
    assert(size === before + batch.length, "a tree grows by what was integrated");
    const root = this.#tree.root();
    const note = signNote(this.#options, size, root);
    await writeDurably(join(this.#options.folder, "tiles", "checkpoint"), encodeNote(note));
    this.#published = { size, root, note, timeSeconds: nowSeconds(this.#options.clock) };
    this.#publishedMs = this.#options.clock.nowMs();
    // Followers come first: who asks for a checkpoint and for what follows from it shall get both of one size.
    const entries = batch.map(({ entry }) => entry);
    for (const follower of this.#followers) await follower(entries, this.#published);
    this.#followedSize = size;
    for (const { resolve } of this.#unfollowed.filter(({ index }) => index < size)) resolve();
    this.#unfollowed = this.#unfollowed.filter(({ index }) => index >= size);
    await this.#wal.trim(size);
    await this.#tree.dropPartials(before, size);
  }

  /** Publishes what is sequenced and lets go of the files. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#sequencing;
    clearTimeout(this.#timer);
    await this.#publishing;
    clearTimeout(this.#timer);
    if (this.#broken === undefined) await this.#publish();
    await this.#wal.close();
  }
}

function readCheckpoint(bytes: Uint8Array, path: string): Checkpoint {
  try {
    return parseCheckpoint(bytes);
  } catch (cause) {
    if (!(cause instanceof Malformed)) throw cause;
    throw new OperatorError(`${path} ${cause.message}: restore the log's folder from a backup`, { cause });
  }
}

/** A checkpoint of `size` and `root`, signed by the log and, standing in for a witness, cosigned with its time. */
function signNote({ signer, clock }: LogOptions, size: number, root: Uint8Array): Note {
  const { key } = signer;
  const text = checkpointText({ origin: key.name, size, root });
  const timeSeconds = nowSeconds(clock);
  const cosigner = createNoteKey(key.name, "cosignature", key.publicKey);
  const cosignature = encodeCosignature(timeSeconds, signer.sign(cosignatureMessage(timeSeconds, text)));
  return {
    text,
    signatures: [
      { name: key.name, id: key.id, signature: signer.sign(utf8(text)) },
      { name: cosigner.name, id: cosigner.id, signature: cosignature },
    ],
  };
}
