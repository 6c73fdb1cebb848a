/** The tiles of a growing tree: the right edge in memory, everything else in files that never change. */
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import {
  encodeBundle,
  equal,
  hashInTile,
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
import { OperatorError, systemCode } from "../platform/errors.ts";
import { writeDurably } from "../platform/files.ts";
import type { Sequenced } from "./wal.ts";

/** Full tiles and bundles never change, so they may be kept; this many are. */
const FILES_CACHED = 256;

/** The hashes of a tile that is not full yet, from the left, by level; and the entries of the open bundle. */
type Edge = { hashes: Uint8Array[][]; entries: Uint8Array[] };

export class Tree {
  readonly #folder: string;
  readonly #edge: Edge = { hashes: [], entries: [] };
  readonly #cache = new Map<string, Uint8Array>();
  #size = 0;
  /** The size that the files on disk are of. */
  #writtenSize = 0;

  constructor(folder: string) {
    this.#folder = folder;
  }

  get size(): number {
    return this.#size;
  }

  /** Reads the right edge of a tree of `size` back from its tiles. Throws an OperatorError where they are not that tree. */
  async open(size: number, root: Uint8Array): Promise<void> {
    await this.#readEdge(size).catch((cause: unknown) => {
      throw cause instanceof Malformed ? this.#damaged(`its open bundle ${cause.message}`, cause) : cause;
    });
    this.#size = size;
    this.#writtenSize = size;
    if (!equal(this.root(), root))
      throw this.#damaged(`its tiles do not hash to the root of its checkpoint at size ${size}`);
    // What is written next repeats these entries.
    const leaves = this.#edge.hashes[0] ?? [];
    if (!this.#edge.entries.every((entry, i) => equal(leafHash(entry), leaves[i] ?? root)))
      throw this.#damaged("its open bundle does not hash to its tiles");
  }

  async #readEdge(size: number): Promise<void> {
    for (let level = 0; tileWidth(level, 0, size) > 0; level++) {
      const hashes = Math.floor(size / TILE_WIDTH ** level);
      const width = hashes % TILE_WIDTH;
      const tile =
        width === 0 ? new Uint8Array(0) : await this.readTile({ level, index: Math.floor(hashes / TILE_WIDTH), width });
      this.#edge.hashes[level] = Array.from({ length: width }, (_, i) => tile.slice(32 * i, 32 * (i + 1)));
    }
    const open = size % TILE_WIDTH;
    if (open > 0)
      this.#edge.entries = (await this.readBundle(Math.floor(size / TILE_WIDTH), open))
        .slice(0, open)
        .map((entry) => entry.slice());
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
    const writes: Promise<void>[] = [];
    const write = (tile: Tile, bytes: Uint8Array) =>
      writes.push(writeDurably(join(this.#folder, tilePath(tile)), bytes));
    const touched = new Set<number>();
    for (const { entry, leaf } of batch) {
      this.#edge.entries.push(entry);
      this.#push(0, leaf, write, touched);
      this.#size++;
      if (this.#edge.entries.length < TILE_WIDTH) continue;
      write(
        { level: "entries", index: this.#size / TILE_WIDTH - 1, width: TILE_WIDTH },
        encodeBundle(this.#edge.entries),
      );
      this.#edge.entries = [];
    }
    for (const level of touched) this.#writePartial(level, this.#edge.hashes[level] ?? [], write);
    const { entries } = this.#edge;
    if (entries.length > 0)
      write(
        { level: "entries", index: Math.floor(this.#size / TILE_WIDTH), width: entries.length },
        encodeBundle(entries),
      );
    await Promise.all(writes);
    this.#writtenSize = this.#size;
  }

  #push(level: number, hash: Uint8Array, write: (tile: Tile, bytes: Uint8Array) => void, touched: Set<number>): void {
    const hashes = this.#edge.hashes[level] ?? [];
    this.#edge.hashes[level] = hashes;
    hashes.push(hash);
    touched.add(level);
    if (hashes.length < TILE_WIDTH) return;
    const index = Math.floor(this.#size / TILE_WIDTH ** (level + 1));
    write({ level, index, width: TILE_WIDTH }, Buffer.concat(hashes));
    this.#edge.hashes[level] = [];
    const [parent = hash] = hashesOfParts(hashes);
    this.#push(level + 1, parent, write, touched);
  }

  #writePartial(level: number, hashes: readonly Uint8Array[], write: (tile: Tile, bytes: Uint8Array) => void): void {
    if (hashes.length === 0) return;
    const index = Math.floor(this.#size / TILE_WIDTH ** (level + 1));
    write({ level, index, width: hashes.length }, Buffer.concat(hashes));
  }

  /** Removes the partial tiles that full ones have replaced between two sizes (C2SP tlog-tiles, "Partial tiles"). */
  async dropPartials(from: number, to: number): Promise<void> {
    for (let level = 0; TILE_WIDTH ** level <= to; level++) {
      const [first, last] = [from, to].map((size) => Math.floor(size / TILE_WIDTH ** (level + 1)));
      for (let index = first ?? 0; index < (last ?? 0); index++) {
        const full = tilePath({ level, index, width: TILE_WIDTH });
        await rm(join(this.#folder, `${full}.p`), { recursive: true, force: true });
        if (level > 0) continue;
        const bundle = tilePath({ level: "entries", index, width: TILE_WIDTH });
        await rm(join(this.#folder, `${bundle}.p`), { recursive: true, force: true });
      }
    }
  }

  /** MTH(D[size]) of an earlier or the present size. */
  rootAt(size: number): Promise<Uint8Array> {
    return this.#rangeHash({ start: 0, end: size }, size);
  }

  /** PATH(index, D[size]) from tiles. */
  async inclusionProof(index: number, size: number): Promise<Uint8Array[]> {
    return Promise.all(inclusionRanges(index, size).map((range) => this.#rangeHash(range, size)));
  }

  async #rangeHash(range: Range, size: number): Promise<Uint8Array> {
    const parts = subtrees(range).map(async (subtree) =>
      hashInTile(subtree, await this.readTile(tileOf(subtree, size))),
    );
    return joinSubtrees(await Promise.all(parts));
  }

  /** The bytes of a tile, or of a wider one that begins with it. */
  async readTile(tile: Tile): Promise<Uint8Array> {
    const full = tilePath({ ...tile, width: TILE_WIDTH });
    const cached = this.#cache.get(full);
    if (cached !== undefined) return cached;
    // A partial tile may give way to the full one between the first look and the second.
    const bytes =
      (await this.#readFull(full)) ??
      (tile.width < TILE_WIDTH ? ((await this.#read(tilePath(tile))) ?? (await this.#readFull(full))) : undefined);
    if (bytes === undefined) throw this.#damaged(`${tilePath(tile)} is missing`);
    return bytes;
  }

  async #readFull(path: string): Promise<Uint8Array | undefined> {
    const bytes = await this.#read(path);
    if (bytes === undefined) return undefined;
    if (this.#cache.size >= FILES_CACHED) this.#cache.delete(this.#cache.keys().next().value ?? "");
    this.#cache.set(path, bytes);
    return bytes;
  }

  /** The bytes of exactly this tile, as they lie on disk. */
  findTile(tile: Tile): Promise<Uint8Array | undefined> {
    return this.#read(tilePath(tile));
  }

  async #read(path: string): Promise<Uint8Array | undefined> {
    try {
      const file = await readFile(join(this.#folder, path));
      return new Uint8Array(file.buffer, file.byteOffset, file.length); // Of a Buffer, what is sliced would be no copy.
    } catch (error) {
      if (systemCode(error) === "ENOENT") return undefined;
      throw error;
    }
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

/** The hashes of the full subtrees that `hashes`, at most a tile of them, make up: from the left. */
function hashesOfParts(hashes: readonly Uint8Array[]): Uint8Array[] {
  return subtrees({ start: 0, end: hashes.length }).map(({ level, index }) => {
    let row = hashes.slice(index * 2 ** level, (index + 1) * 2 ** level);
    while (row.length > 1)
      row = Array.from({ length: row.length / 2 }, (_, i) => nodeHash(row[2 * i]!, row[2 * i + 1]!));
    return row[0]!;
  });
}
