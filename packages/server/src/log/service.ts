/**
 * The log: append → sequence → integrate → publish.
 *
 * append     an entry waits in a bounded queue
 * sequence   a batch gets its indexes and is written and synced to the write-ahead segment: now it is durable, and acknowledged
 * integrate  tiles and bundles are written and synced, a checkpoint is signed, followers are told: now it is served
 * publish    witnesses are asked, and the checkpoint with what they signed becomes the public one
 */
import assert from "node:assert";
import { join } from "node:path";
import {
  checkpointText,
  cosignatureMessage,
  createNoteKey,
  ENTRY_SIZE_BYTES,
  encodeCosignature,
  encodeNote,
  equal,
  leafHash,
  type Note,
  type NoteKey,
  type NoteSignature,
  TILE_WIDTH,
  type Tile,
  tileWidth,
  utf8,
} from "@tallystick/protocol";
import { type Clock, nowSeconds } from "../platform/clock.ts";
import { ServiceError } from "../platform/errors.ts";
import { type FolderParts, INTEGRATED_TOGETHER, openFolder } from "./opening.ts";
import { Recurring } from "./recurring.ts";
import { Tree } from "./tree.ts";
import { frame, type Sequenced, type Wal } from "./wal.ts";

/** `folder` holds `tiles/` (what is public) and `wal/`. */
export type LogOptions = FolderParts & {
  clock: Clock;
  /** The least time between two signed states, and so the longest that an entry waits to be served. */
  integrateIntervalMs: number;
  /** The least time between two public checkpoints, for each of which the witnesses are asked. */
  publishIntervalMs: number;
  /** Entries that may wait to be sequenced; one more is refused. */
  queueLength: number;
};

/** A state of the log that it has signed. */
export type Signed = { size: number; root: Uint8Array; note: Note };

/** Told of each signed state and of the entries it is the first to cover, in order, one call at a time. */
export type Follower = (entries: readonly Uint8Array[], head: Signed) => void | Promise<void>;

type Waiting = { entry: Uint8Array; resolve: (index: number) => void; reject: (error: unknown) => void };
type Unfollowed = { index: number; resolve: () => void; reject: (error: unknown) => void };

/** Entries and bytes in one write. */
const BATCH_LENGTH = 1_024;
const BATCH_SIZE_BYTES = 4 * 1024 * 1024;
/** Sequenced entries that may wait for their tiles before sequencing waits too. */
const UNINTEGRATED_LENGTH = 65_536;

export class Log {
  readonly #options: LogOptions;
  readonly #tree: Tree;
  readonly #wal: Wal;
  readonly #followers: Follower[] = [];
  readonly #publicationFollowers: (() => void)[] = [];
  #head: Signed;
  #published: Signed;
  /** The state that is published, as it was before witnesses cosigned it. */
  #publishedHead: Signed;
  #witnessed: Signed | undefined;
  #queue: Waiting[] = [];
  #unfollowed: Unfollowed[] = [];
  #sequenced: Sequenced[] = [];
  #nextIndex: number;
  #acknowledgedSize: number;
  #sequencing: Promise<void> | undefined;
  readonly #integration: Recurring;
  readonly #publication: Recurring;
  #followedSize: number;
  #broken: Error | undefined;
  #closed = false;

  private constructor(options: LogOptions, tree: Tree, wal: Wal, head: Signed, published: Signed) {
    this.#options = options;
    this.#tree = tree;
    this.#wal = wal;
    this.#head = head;
    this.#published = published;
    this.#publishedHead = published;
    this.#nextIndex = head.size;
    this.#acknowledgedSize = head.size;
    this.#followedSize = head.size;
    const { clock, integrateIntervalMs, publishIntervalMs } = options;
    const guarded = (work: () => Promise<void>) => () => work().catch((error: unknown) => this.#break(error, []));
    this.#integration = new Recurring({
      clock,
      intervalMs: integrateIntervalMs,
      isDue: () => this.#broken === undefined && this.#sequenced.length > 0,
      work: guarded(() => this.#integrate()),
    });
    this.#publication = new Recurring({
      clock,
      intervalMs: publishIntervalMs,
      isDue: () => this.#broken === undefined && (this.#isUnpublished() || this.#isUnwitnessed()),
      work: guarded(() => this.#publish()),
    });
  }

  /** Makes an empty log. Its folder must not hold one, unless that is as empty: made by a start that was cut short. */
  static async create(options: LogOptions): Promise<void> {
    const { disk, folder } = options;
    const path = join(folder, "tiles", "checkpoint");
    const known = await disk.read(path);
    const empty = encodeNote(signState(options, 0, new Tree(disk, join(folder, "tiles")).root()).note);
    const [text = ""] = empty.split("\n\n");
    assert(known === undefined || new TextDecoder().decode(known).startsWith(text), `${path} is there already`);
    await disk.write([{ path, bytes: utf8(empty) }]);
  }

  /**
   * Opens the log in its folder: checks its checkpoint and tiles, takes in what was sequenced and not yet integrated, hears
   * the witnesses, and only then signs anything. Throws an OperatorError where it is damaged or an older copy.
   */
  static async open(options: LogOptions): Promise<Log> {
    const { tree, wal, published, isOfFormerKey } = await openFolder(options);
    const isSigned = tree.size === published.size && !isOfFormerKey;
    const head = isSigned ? ownWords(published) : signState(options, tree.size, tree.root());
    const log = new Log(options, tree, wal, head, published);
    if (isSigned) log.#publishedHead = head;
    await log.#publish();
    log.#publication.schedule();
    return log;
  }

  /** The newest signed state: what is served is of it. */
  get head(): Signed {
    return this.#head;
  }

  /** The state that `/checkpoint` gives. */
  get published(): Signed {
    return this.#published;
  }

  /** The newest state that a quorum of witnesses has cosigned; with a policy that asks for none, the newest signed one. */
  get witnessed(): Signed | undefined {
    return this.#options.witnessing.asksNobody ? this.#head : this.#witnessed;
  }

  /** What signs it. */
  get signer(): LogOptions["signer"] {
    return this.#options.signer;
  }

  get tree(): Tree {
    return this.#tree;
  }

  /** Entries that wait to be sequenced. */
  get queueLength(): number {
    return this.#queue.length;
  }

  /** Whether entries can be appended. */
  get canWrite(): boolean {
    return this.#broken === undefined && !this.#closed;
  }

  /** Follows what will be integrated from here on. What was before is read from the tree. */
  follow(follower: Follower): void {
    this.#followers.push(follower);
  }

  /** Tells of each new public checkpoint. */
  followPublications(follower: () => void): void {
    this.#publicationFollowers.push(follower);
  }

  /** Throws where an entry more would be refused: asked before work is done whose entry must not be refused. */
  checkRoom(): void {
    if (!this.canWrite) throw this.#unavailable();
    if (this.#queue.length >= this.#options.queueLength)
      throw new ServiceError("unavailable", "the log has more to write than it can take: try again in a second");
  }

  /** Appends `entry` and gives its index once it is durable. Refuses when too many wait. */
  append(entry: Uint8Array): Promise<number> {
    try {
      this.checkRoom();
    } catch (error) {
      return Promise.reject(error);
    }
    return this.appendAdmitted(entry);
  }

  /** Appends an entry for which `checkRoom` was asked before: however many wait by then, it is taken. */
  appendAdmitted(entry: Uint8Array): Promise<number> {
    assert(entry.length <= ENTRY_SIZE_BYTES, "an entry is at most 65,535 bytes");
    if (!this.canWrite) return Promise.reject(this.#unavailable());
    return new Promise((resolve, reject) => {
      this.#queue.push({ entry, resolve, reject });
      this.#sequencing ??= this.#sequence();
    });
  }

  /** Resolves once every follower knows entry `index`. Refuses where the log can integrate no more. */
  async followed(index: number): Promise<void> {
    if (index < this.#followedSize) return;
    if (this.#broken !== undefined) throw this.#unavailable();
    await new Promise<void>((resolve, reject) => this.#unfollowed.push({ index, resolve, reject }));
  }

  /** Resolves once every follower knows all that was acknowledged before. */
  caughtUp(): Promise<void> {
    return this.followed(this.#acknowledgedSize - 1);
  }

  /** The bytes of exactly this tile of the newest signed state; undefined where there is none. */
  async findTile(tile: Tile): Promise<Uint8Array | undefined> {
    const width = tileWidth(tile.level, tile.index, this.#head.size);
    // A partial tile whose full one replaced it is gone; a client asks again for the full one (C2SP tlog-tiles).
    const isReplaced = tile.width < width && width === TILE_WIDTH;
    return tile.width > width || isReplaced ? undefined : this.#tree.findTile(tile);
  }

  #unavailable(): ServiceError {
    return new ServiceError(
      "unavailable",
      this.#closed ? "the log is closing" : "the log cannot write: its operator must look at the disk",
      { cause: this.#broken },
    );
  }

  /** Writes what waits, batch after batch. While one is on its way to the disk the next is made ready, if it is a whole one. */
  async #sequence(): Promise<void> {
    await new Promise((turn) => setImmediate(turn)); // What arrives in the same turn shares one sync.
    let batch = this.#takeBatch();
    while (batch !== undefined) {
      const { sequenced, waiting, frames } = batch;
      const written = this.#wal.write(sequenced[0]!.index, frames);
      const next = this.#queue.length >= BATCH_LENGTH ? this.#takeBatch() : undefined;
      try {
        await written;
      } catch (error) {
        this.#break(error, [...waiting, ...(next?.waiting ?? [])]);
        break;
      }
      this.#sequenced.push(...sequenced);
      this.#acknowledgedSize += sequenced.length;
      for (const [i, { resolve }] of waiting.entries()) resolve(sequenced[i]!.index);
      this.#integration.schedule();
      while (this.#sequenced.length >= UNINTEGRATED_LENGTH && this.#broken === undefined) await this.#integration.run();
      if (this.#broken !== undefined) {
        this.#refuse(next?.waiting ?? []);
        break;
      }
      batch = next ?? this.#takeBatch();
    }
    this.#sequencing = undefined;
  }

  /** The next entries of the queue, with their indexes, as they are to be written. */
  #takeBatch(): { waiting: Waiting[]; sequenced: Sequenced[]; frames: Uint8Array } | undefined {
    let [length, sizeBytes] = [0, 0];
    while (length < Math.min(BATCH_LENGTH, this.#queue.length) && sizeBytes < BATCH_SIZE_BYTES)
      sizeBytes += this.#queue[length++]?.entry.length ?? 0;
    if (length === 0) return undefined;
    const waiting = this.#queue.splice(0, length);
    const first = this.#nextIndex;
    this.#nextIndex += length;
    const sequenced = waiting.map(({ entry }, i) => ({ index: first + i, entry, leaf: leafHash(entry) }));
    return { waiting, sequenced, frames: frame(sequenced) };
  }

  #refuse(waiting: readonly Waiting[]): void {
    for (const { reject } of waiting) reject(this.#unavailable());
  }

  /** After a failed write nothing about the file is known (a failed sync may have dropped pages): only a restart reads it back. */
  #break(error: unknown, waiting: readonly Waiting[]): void {
    this.#broken ??= error instanceof Error ? error : new Error(String(error));
    this.#options.report("the log cannot write", { error: String(error), published: this.#published.size });
    this.#refuse([...waiting, ...this.#queue]);
    for (const { reject } of this.#unfollowed) reject(this.#unavailable());
    this.#queue = [];
    this.#unfollowed = [];
  }

  #isUnpublished(): boolean {
    return this.#head !== this.#publishedHead;
  }

  /** Whether the public checkpoint still lacks a quorum: its witnesses may be back. */
  #isUnwitnessed(): boolean {
    return !this.#options.witnessing.asksNobody && (this.#witnessed?.size ?? -1) < this.#published.size;
  }

  /**
   * Integrates and publishes what was appended by then, without waiting for its turn. Resolves once that is so, whatever is
   * appended meanwhile, or the log is broken.
   */
  async flush(): Promise<void> {
    const due = this.#nextIndex + this.#queue.length;
    // Where more and more is appended, sequencing does not end; then integration has its turns without being asked.
    if (due > 0) await Promise.race([this.#sequencing, this.followed(due - 1).catch(() => {})]);
    while (this.#head.size < due && this.#broken === undefined) await this.#integration.run();
    while (this.#isUnpublished() && this.#published.size < due && this.#broken === undefined)
      await this.#publication.run();
  }

  async #integrate(): Promise<void> {
    const batch = this.#sequenced.splice(0, INTEGRATED_TOGETHER);
    if (batch.length === 0) return;
    const before = this.#head.size;
    assert(batch[0]?.index === before, "integration goes on where it ended");
    await this.#tree.integrate(batch);
    const { size } = this.#tree;
    assert(size === before + batch.length, "a tree grows by what was integrated");
    this.#head = signState(this.#options, size, this.#tree.root());
    const entries = batch.map(({ entry }) => entry);
    for (const follower of this.#followers) await follower(entries, this.#head);
    this.#followedSize = size;
    for (const { resolve } of this.#unfollowed.filter(({ index }) => index < size)) resolve();
    this.#unfollowed = this.#unfollowed.filter(({ index }) => index >= size);
    this.#publication.schedule();
  }

  /** Asks the witnesses about the newest state and makes it the public one, whoever answered. */
  async #publish(): Promise<void> {
    const head = this.#head;
    const before = this.#published;
    const { disk, folder, signer, witnessing } = this.#options;
    const proof = (from: number) => this.#tree.consistencyProof(from, head.size);
    const { signatures, timeSeconds } = await witnessing.cosign({ size: head.size, note: head.note, proof });
    // What witnesses said of this very tree before stays, where they say nothing now.
    const isSame = head.note.text === before.note.text && isSignedBy(before.note, signer.key);
    const note = withLines(isSame ? before.note : head.note, signatures);
    const isWritten = encodeNote(note) !== encodeNote(before.note);
    if (isWritten) {
      await disk.write([{ path: join(folder, "tiles", "checkpoint"), bytes: utf8(encodeNote(note)) }]);
      this.#published = { ...head, note };
    }
    this.#publishedHead = head;
    if (timeSeconds !== undefined) this.#witnessed = this.#published;
    for (const follower of this.#publicationFollowers) follower();
    if (!isWritten) return; // A checkpoint that was found may not be on the disk to stay: what was before it may be needed.
    await this.#wal.trim(head.size);
    await this.#tree.dropPartials(before.size, head.size);
  }

  /** Publishes what is sequenced and lets go of the files. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#integration.stop();
    await this.#publication.stop();
    await this.flush();
    await this.#wal.close();
  }
}

/** A state as the log signed it, without what witnesses added. */
function ownWords({ size, root, note: { text, signatures } }: Signed): Signed {
  const [origin] = text.split("\n");
  return { size, root, note: { text, signatures: signatures.filter(({ name }) => name === origin) } };
}

function isSignedBy({ signatures }: Note, { name, id }: NoteKey): boolean {
  return signatures.some((line) => line.name === name && equal(line.id, id));
}

/** `note` with `lines`, each in the place of an older one by its key. */
function withLines({ text, signatures }: Note, lines: readonly NoteSignature[]): Note {
  const isReplaced = ({ name, id }: NoteSignature) => lines.some((line) => line.name === name && equal(line.id, id));
  return { text, signatures: [...signatures.filter((line) => !isReplaced(line)), ...lines] };
}

/** The state of `size` and `root`, signed by the log and, standing in for a witness, cosigned with its time. */
function signState({ signer, clock }: Pick<LogOptions, "signer" | "clock">, size: number, root: Uint8Array): Signed {
  const { key } = signer;
  const text = checkpointText({ origin: key.name, size, root });
  const timeSeconds = nowSeconds(clock);
  const cosigner = createNoteKey(key.name, "cosignature", key.publicKey);
  const cosignature = encodeCosignature(timeSeconds, signer.sign(cosignatureMessage(timeSeconds, text)));
  const signatures = [
    { name: key.name, id: key.id, signature: signer.sign(utf8(text)) },
    { name: cosigner.name, id: cosigner.id, signature: cosignature },
  ];
  return { size, root, note: { text, signatures } };
}
