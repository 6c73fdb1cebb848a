/** The tiles of a growing tree: the right edge in memory, everything else in files that never change. */
import { basename, dirname, join } from "node:path";
import {
  consistencyRanges,
  encodeBundle,
  equal,
  hashAmong,
  hashesOfTile,
  inclusionRanges,
  joinSubtrees,
  leafHash,
  Malformed,
  nodeHash,
  parseBundle,
  type Range,
  subtrees,
  TILE_WIDTH,
  type Tile,
  tileOf,
  tilePath,
  tileWidth,
} from "@tallystick/protocol";
import type { Disk, FileToWrite } from "../platform/disk.ts";
import { OperatorError } from "../platform/errors.ts";
import type { Sequenced } from "./wal.ts";

/** What a tile or a bundle of one width holds never changes, so it may be kept; this many files are. */
const FILES_CACHED = 256;

/** The hashes of a tile that is not full yet, from the left, by level; and the entries of the open bundle. */
type Edge = { hashes: Uint8Array[][]; entries: Uint8Array[] };

export class Tree {
  readonly #disk: Disk;
  readonly #folder: string;
  /** Files by path, from when they are first asked for: what many proofs ask for at once is read once. */
  readonly #cache = new Map<string, Promise<Uint8Array | undefined>>();
  /** What follows from tiles that are kept, as long as they are. */
  readonly #hashes = new WeakMap<Uint8Array, Uint8Array[]>();
  #edge: Edge = { hashes: [], entries: [] };
  #size = 0;
  /** The size that the files on disk are of, and of each level how wide its partial tile there is. */
  #writtenSize = 0;
  #writtenWidths: number[] = [];

  constructor(disk: Disk, folder: string) {
    this.#disk = disk;
    this.#folder = folder;
  }

  get size(): number {
    return this.#size;
  }

  /**
   * Reads the right edge of a tree of `size` back from its tiles. Where those are missing or are not that tree, it is made
   * again from the tiles below and from `kept`, entries up to `size` that were kept elsewhere: the root says whether it is
   * the same tree, so nothing is guessed. Resolves with whether that was needed. Throws an OperatorError.
   */
  async open(size: number, root: Uint8Array, kept: readonly Sequenced[] = []): Promise<{ repaired: boolean }> {
    const damage = await this.#readEdge(size, root).then(() => undefined, asDamage);
    if (damage === undefined) return { repaired: false };
    if (await this.#rebuild(size, root, kept)) return { repaired: true };
    throw damage;
  }

  async #readEdge(size: number, root: Uint8Array): Promise<void> {
    const hashes: Uint8Array[][] = [];
    for (let level = 0; tileWidth(level, 0, size) > 0; level++) {
      const count = Math.floor(size / TILE_WIDTH ** level);
      const width = count % TILE_WIDTH;
      const tile =
        width === 0 ? new Uint8Array(0) : await this.readTile({ level, index: Math.floor(count / TILE_WIDTH), width });
      hashes[level] = hashesIn(tile, width);
    }
    const open = size % TILE_WIDTH;
    const entries = open === 0 ? [] : await this.#readOpenBundle(size);
    this.#take({ hashes, entries }, size);
    this.#writtenWidths = hashes.map(({ length }) => length);
    if (!equal(this.root(), root))
      throw this.#damaged(`its tiles do not hash to the root of its checkpoint at size ${size}`);
    // What is written next repeats these entries.
    const leaves = hashes[0] ?? [];
    if (!entries.every((entry, i) => equal(leafHash(entry), leaves[i] ?? root)))
      throw this.#damaged("its open bundle does not hash to its tiles");
    // The last full bundle was written with the checkpoint, or just before it: it too may be what a disk has lost.
    if (size >= TILE_WIDTH) await this.readCheckedBundle(Math.floor(size / TILE_WIDTH) - 1, TILE_WIDTH);
  }

  async #readOpenBundle(size: number): Promise<Uint8Array[]> {
    const open = size % TILE_WIDTH;
    const entries = await this.readBundle(Math.floor(size / TILE_WIDTH), open).catch((cause: unknown) => {
      throw cause instanceof Malformed ? this.#damaged(`its open bundle ${cause.message}`, cause) : cause;
    });
    return entries.slice(0, open).map((entry) => entry.slice());
  }

  #take(edge: Edge, size: number): void {
    this.#edge = edge;
    this.#size = size;
    this.#writtenSize = size;
    this.#writtenWidths = [];
    this.#cache.clear();
  }

  /** Whether the tree could be made again: full tiles up to a bundle's beginning, and from there on the entries themselves. */
  async #rebuild(size: number, root: Uint8Array, kept: readonly Sequenced[]): Promise<boolean> {
    const open = Math.floor(size / TILE_WIDTH) * TILE_WIDTH;
    const firstKept = Math.ceil((kept[0]?.index ?? size) / TILE_WIDTH) * TILE_WIDTH;
    const lastFull = Math.max(0, open - TILE_WIDTH);
    for (const start of new Set([open, lastFull, Math.min(lastFull, firstKept)])) {
      const entries = await this.#entriesFrom(start, size, kept);
      const edge = entries === undefined ? undefined : await this.#edgeFromFullTiles(start);
      if (entries === undefined || edge === undefined) continue;
      this.#take({ hashes: edge, entries: [] }, start);
      const files = await this.#grow(entries);
      if (!equal(this.root(), root) || !(await this.#hasLastFull(start))) continue;
      await this.#disk.write(files);
      this.#writtenSize = size;
      return true;
    }
    return false;
  }

  /** Whether the last full bundle before `start`, which is not written again, is there and right. */
  async #hasLastFull(start: number): Promise<boolean> {
    if (start === 0) return true;
    const damage = await this.readCheckedBundle(start / TILE_WIDTH - 1, TILE_WIDTH).then(() => undefined, asDamage);
    this.#cache.clear();
    return damage === undefined;
  }

  /** The entries from `start`, the beginning of a bundle, up to `size`: from `kept`, and before that from bundles. */
  async #entriesFrom(start: number, size: number, kept: readonly Sequenced[]): Promise<Sequenced[] | undefined> {
    const firstKept = kept[0]?.index ?? size;
    const entries: Sequenced[] = [];
    for (let at = start; at < Math.min(size, firstKept); at += TILE_WIDTH) {
      const bundle = await this.#longestBundle(at / TILE_WIDTH, Math.min(size, firstKept) - at);
      entries.push(...bundle.map((entry, i) => ({ index: at + i, entry, leaf: leafHash(entry) })));
      if (bundle.length < Math.min(TILE_WIDTH, firstKept - at, size - at)) return undefined;
    }
    return [...entries, ...kept.slice(Math.max(0, start - firstKept))];
  }

  /** What can be read of a bundle, at most `most` of it: from its full file or from the widest partial one that is whole. */
  async #longestBundle(index: number, most: number): Promise<Uint8Array[]> {
    const path = tilePath({ level: "entries", index, width: TILE_WIDTH });
    const widths = (await this.#disk.list(join(this.#folder, `${path}.p`))).map(Number).filter(Number.isInteger);
    for (const width of [TILE_WIDTH, ...widths.sort((a, b) => b - a)]) {
      const bytes = await this.#read(tilePath({ level: "entries", index, width }));
      if (bytes === undefined) continue;
      try {
        return parseBundle(bytes, width).slice(0, Math.min(most, TILE_WIDTH));
      } catch (error) {
        if (!(error instanceof Malformed)) throw error;
      }
    }
    return [];
  }

  /** The right edge of a tree of `size`, a whole number of bundles, from full tiles alone; undefined where one is not there. */
  async #edgeFromFullTiles(size: number): Promise<Uint8Array[][] | undefined> {
    const edge: Uint8Array[][] = [[]];
    for (let level = 1; tileWidth(level, 0, size) > 0; level++) {
      const count = Math.floor(size / TILE_WIDTH ** level);
      const hashes: Uint8Array[] = [];
      for (let index = count - (count % TILE_WIDTH); index < count; index++) {
        const tile = await this.#readKept(tilePath({ level: level - 1, index, width: TILE_WIDTH }));
        if (tile?.length !== TILE_WIDTH * 32) return undefined;
        hashes.push(...hashesOfParts(hashesIn(tile, TILE_WIDTH)));
      }
      edge[level] = hashes;
    }
    return edge;
  }

  #damaged(what: string, cause?: unknown): OperatorError {
    return new OperatorError(`${this.#folder} is damaged: ${what}. Restore the log's folder from a backup`, { cause });
  }

  /** MTH of the whole tree. */
  root(): Uint8Array {
    const parts = this.#edge.hashes.toReversed().flatMap((hashes) => hashesOfParts(hashes));
    return joinSubtrees(parts);
  }

  /** Adds `batch` and writes every tile and bundle that a checkpoint of the new size needs. Durable when it resolves. */
  async integrate(batch: readonly Sequenced[]): Promise<void> {
    await this.#disk.write(await this.#grow(batch));
    this.#writtenSize = this.#size;
  }

  /** Adds `batch` in memory, and gives the files that a checkpoint of the new size needs and that are not on disk. */
  async #grow(batch: readonly Sequenced[]): Promise<FileToWrite[]> {
    const files: FileToWrite[] = [];
    const write: Write = (tile, bytes) => files.push({ path: join(this.#folder, tilePath(tile)), bytes });
    for (const { entry, leaf } of batch) {
      this.#edge.entries.push(entry);
      this.#size++;
      this.#push(0, leaf, write);
      if (this.#edge.entries.length < TILE_WIDTH) continue;
      const index = this.#size / TILE_WIDTH - 1;
      write({ level: "entries", index, width: TILE_WIDTH }, encodeBundle(this.#edge.entries));
      this.#edge.entries = [];
      await new Promise((turn) => setImmediate(turn)); // Appends go on while a large batch is hashed.
    }
    for (const [level, hashes] of this.#edge.hashes.entries()) this.#writePartial(level, hashes, write);
    const { entries } = this.#edge;
    const index = Math.floor(this.#size / TILE_WIDTH);
    if (entries.length > 0) write({ level: "entries", index, width: entries.length }, encodeBundle(entries));
    return files;
  }

  #push(level: number, hash: Uint8Array, write: Write): void {
    const hashes = this.#edge.hashes[level] ?? [];
    this.#edge.hashes[level] = hashes;
    hashes.push(hash);
    if (hashes.length < TILE_WIDTH) return;
    const index = Math.floor(this.#size / TILE_WIDTH ** (level + 1)) - 1;
    write({ level, index, width: TILE_WIDTH }, Buffer.concat(hashes));
    this.#edge.hashes[level] = [];
    this.#writtenWidths[level] = 0;
    const [parent = hash] = hashesOfParts(hashes);
    this.#push(level + 1, parent, write);
  }

  #writePartial(level: number, hashes: readonly Uint8Array[], write: Write): void {
    if (hashes.length === (this.#writtenWidths[level] ?? 0)) return;
    const index = Math.floor(this.#size / TILE_WIDTH ** (level + 1));
    write({ level, index, width: hashes.length }, Buffer.concat(hashes));
    this.#writtenWidths[level] = hashes.length;
  }

  /** Removes the partial tiles that full ones have replaced between two sizes (C2SP tlog-tiles, "Partial tiles"). */
  async dropPartials(from: number, to: number): Promise<void> {
    for (let level = 0; TILE_WIDTH ** level <= to; level++) {
      const [first = 0, last = 0] = [from, to].map((size) => Math.floor(size / TILE_WIDTH ** (level + 1)));
      await this.#dropPartialsOf(level, first, last);
      if (level === 0) await this.#dropPartialsOf("entries", first, last);
    }
  }

  async #dropPartialsOf(level: Tile["level"], first: number, last: number): Promise<void> {
    const partials = Array.from({ length: last - first }, (_, i) =>
      join(this.#folder, `${tilePath({ level, index: first + i, width: TILE_WIDTH })}.p`),
    );
    // Most tiles were never partial on disk: a look at the folders finds those that were.
    for (const folder of new Set(partials.map(dirname))) {
      const names = new Set(await this.#disk.list(folder));
      for (const path of partials)
        if (dirname(path) === folder && names.has(basename(path))) await this.#disk.remove(path);
    }
  }

  /** MTH(D[size]) of an earlier or the present size. */
  rootAt(size: number): Promise<Uint8Array> {
    return this.#rangeHash({ start: 0, end: size }, size);
  }

  /** PROOF(first, D[second]) from tiles, for 0 < first < second; nothing to prove for 0 and for equal sizes. */
  async consistencyProof(first: number, second: number): Promise<Uint8Array[]> {
    if (first === 0 || first === second) return [];
    return Promise.all(consistencyRanges(first, second).map((range) => this.#rangeHash(range, second)));
  }

  /** PATH(index, D[size]) from tiles. */
  async inclusionProof(index: number, size: number): Promise<Uint8Array[]> {
    return Promise.all(inclusionRanges(index, size).map((range) => this.#rangeHash(range, size)));
  }

  async #rangeHash(range: Range, size: number): Promise<Uint8Array> {
    const parts = subtrees(range).map(async (subtree) => {
      const tile = await this.readTile(tileOf(subtree, size));
      const hashes = this.#hashes.get(tile) ?? hashesOfTile(tile);
      this.#hashes.set(tile, hashes);
      return hashAmong(subtree, hashes);
    });
    return joinSubtrees(await Promise.all(parts));
  }

  /** The bytes of a tile, or of a wider one that begins with it. */
  async readTile(tile: Tile): Promise<Uint8Array> {
    const own = tilePath(tile);
    const full = tilePath({ ...tile, width: TILE_WIDTH });
    const kept = this.#cache.get(full) ?? this.#cache.get(own);
    // A partial tile may give way to the full one between the first look and the second.
    const paths = tile.width < TILE_WIDTH ? [full, own, full] : [full];
    let bytes = await kept;
    for (const path of paths) bytes ??= await this.#readKept(path);
    if (bytes === undefined) throw this.#damaged(`${own} is missing`);
    return bytes;
  }

  #readKept(path: string): Promise<Uint8Array | undefined> {
    const kept = this.#cache.get(path);
    if (kept !== undefined) return kept;
    if (this.#cache.size >= FILES_CACHED) this.#cache.delete(this.#cache.keys().next().value ?? "");
    const reading = this.#read(path);
    this.#cache.set(path, reading);
    const forget = () => {
      if (this.#cache.get(path) === reading) this.#cache.delete(path);
    };
    reading.then((bytes) => bytes ?? forget(), forget);
    return reading;
  }

  /** The bytes of exactly this tile, as they lie on disk. */
  findTile(tile: Tile): Promise<Uint8Array | undefined> {
    return this.#read(tilePath(tile));
  }

  #read(path: string): Promise<Uint8Array | undefined> {
    return this.#disk.read(join(this.#folder, path));
  }

  /** The entries of bundle `index`, at least `width` of them. */
  async readBundle(index: number, width: number): Promise<Uint8Array[]> {
    const bytes = await this.readTile({ level: "entries", index, width });
    try {
      return parseBundle(bytes, width);
    } catch (error) {
      if (error instanceof Malformed && width < TILE_WIDTH) return parseBundle(bytes, TILE_WIDTH);
      throw error;
    }
  }

  /** The entries of bundle `index`, each held to its hash. Throws an OperatorError where one is another. */
  async readCheckedBundle(index: number, width: number): Promise<Uint8Array[]> {
    const hashes = await this.readTile({ level: 0, index, width });
    const entries = await this.readBundle(index, width).catch((cause: unknown) => {
      const path = tilePath({ level: "entries", index, width });
      throw cause instanceof Malformed ? this.#damaged(`${path} ${cause.message}`, cause) : cause;
    });
    const changed = entries.findIndex((entry, i) => !equal(leafHash(entry), hashes.subarray(32 * i, 32 * (i + 1))));
    if (changed < 0) return entries;
    throw this.#damaged(`entry ${index * TILE_WIDTH + changed} does not hash to its tile`);
  }

  /** One entry of the tree. */
  async readEntry(index: number): Promise<Uint8Array> {
    const bundle = Math.floor(index / TILE_WIDTH);
    const open = bundle === Math.floor(this.#size / TILE_WIDTH) ? this.#edge.entries : undefined;
    // While a batch is integrated, the files are still those of the size before it.
    const entries = open ?? (await this.readBundle(bundle, tileWidth("entries", bundle, this.#writtenSize)));
    const entry = entries[index % TILE_WIDTH];
    if (entry === undefined) throw new Error(`the log has no entry ${index}`);
    return entry;
  }
}

type Write = (tile: Tile, bytes: Uint8Array) => void;

/** An error that says what is wrong with files; any other is thrown on. */
function asDamage(error: unknown): OperatorError {
  if (error instanceof OperatorError) return error;
  throw error;
}

/** The first `width` hashes of a tile. */
function hashesIn(tile: Uint8Array, width: number): Uint8Array[] {
  return Array.from({ length: width }, (_, i) => tile.slice(32 * i, 32 * (i + 1)));
}

/** The hashes of the full subtrees that `hashes`, at most a tile of them, make up: from the left. */
function hashesOfParts(hashes: readonly Uint8Array[]): Uint8Array[] {
  return subtrees({ start: 0, end: hashes.length }).map(({ level, index }) => {
    let row = hashes.slice(index * 2 ** level, (index + 1) * 2 ** level);
    while (row.length > 1)
      row = Array.from({ length: row.length / 2 }, (_, i) => nodeHash(row[2 * i]!, row[2 * i + 1]!));
    return row[0]!;
  });
}
