/**
 * The tree of a log from its tiles (C2SP tlog-tiles). Each tile is held to the checkpoint's root before it is used: the
 * partial ones together hash to it, and each full one to its place in the tile above.
 */
import {
  consistencyRanges,
  EMPTY_ROOT,
  equal,
  hashInTile,
  inclusionRanges,
  joinSubtrees,
  type Range,
  subtrees,
  TILE_WIDTH,
  type Tile,
  type TreeHead,
  tileOf,
  tilePath,
  tileWidth,
  verifyConsistency,
} from "@tallystick/protocol";
import { firstStray, leavesOf } from "../audit/bundles.ts";
import { findTile, type LogSource } from "../audit/source.ts";
import { IncompleteLogError, WrongTileError } from "../errors.ts";
import { edgeTiles, HASH_SIZE_BYTES, type HashTile, hashAt, hashOfTile, rootOfEdge } from "./edge.ts";

/** Full tiles kept at hand: those above what is read in order, and the path of a proof. */
const TILES_KEPT = 256;

export type FindTile = (tile: Tile) => Promise<Uint8Array | undefined>;

/** Opens the tree of `head`, a verified checkpoint, from the tiles in `source`. Throws WrongTileError where they are not of it. */
export function openTree(source: Pick<LogSource, "findTile">, head: TreeHead): Promise<LogTree> {
  return LogTree.open([(tile) => findTile(source, tile)], head);
}

export class LogTree {
  readonly head: TreeHead;
  readonly #places: readonly FindTile[];
  #edge: ReadonlyMap<number, Uint8Array> = new Map();
  readonly #full = new Map<string, Promise<Uint8Array>>();

  private constructor(places: readonly FindTile[], head: TreeHead) {
    this.#places = places;
    this.head = head;
  }

  /** Opens the tree of `head` from the first of `places` that has the right tile, for each tile. */
  static async open(places: readonly FindTile[], head: TreeHead): Promise<LogTree> {
    const tree = new LogTree(places, head);
    tree.#edge = await tree.#readEdge();
    return tree;
  }

  async #readEdge(): Promise<ReadonlyMap<number, Uint8Array>> {
    const { size, root } = this.head;
    const due = edgeTiles(size);
    let failure: Error | undefined;
    for (const find of this.#places) {
      const found = await Promise.all(due.map(find));
      const unfit = due.findIndex(({ width }, i) => found[i]?.length !== width * HASH_SIZE_BYTES);
      const edge = new Map(due.map(({ level }, i) => [level, found[i] ?? new Uint8Array(0)]));
      if (unfit < 0 && equal(rootOfEdge(size, edge), root)) return edge;
      failure = failureOf(due[unfit] ?? due[0], found[Math.max(unfit, 0)], unfit < 0, size);
    }
    throw failure ?? new RangeError("a tree is read from one place at least");
  }

  /** The bytes of the tile at `level` and `index`, as wide as it is in this tree. */
  async tile(level: number, index: number): Promise<Uint8Array> {
    const width = tileWidth(level, index, this.head.size);
    const edge = width < TILE_WIDTH ? this.#edge.get(level) : undefined;
    if (edge !== undefined) return edge;
    if (width === 0) throw new RangeError(`a tree of ${this.head.size} has no tile ${index} at level ${level}`);
    const name = `${level}/${index}`;
    const kept = this.#full.get(name) ?? this.#readFull({ level, index, width });
    this.#full.delete(name);
    this.#full.set(name, kept); // What was used last is dropped last.
    if (this.#full.size > TILES_KEPT) this.#full.delete(this.#full.keys().next().value ?? "");
    kept.catch(() => this.#full.delete(name));
    return kept;
  }

  async #readFull(tile: HashTile): Promise<Uint8Array> {
    const above = await this.tile(tile.level + 1, Math.floor(tile.index / TILE_WIDTH));
    const due = hashAt(above, tile.index % TILE_WIDTH);
    return this.#find(tile, (bytes) =>
      bytes.length === TILE_WIDTH * HASH_SIZE_BYTES && equal(hashOfTile(bytes), due)
        ? undefined
        : new WrongTileError(tilePath(tile), "does not hash to the tile above it", [bytes]),
    );
  }

  /** The bytes of the entry bundle `index`, whose entries hash to its tile. */
  async bundle(index: number): Promise<Uint8Array> {
    const hashes = await this.tile(0, index);
    const tile: Tile = { level: "entries", index, width: hashes.length / HASH_SIZE_BYTES };
    return this.#find(tile, (bytes) => {
      if (equal(leavesOf(bytes, tile.width) ?? EMPTY_ROOT, hashes)) return undefined;
      const stray = index * TILE_WIDTH + firstStray(bytes, hashes, tile.width);
      return new WrongTileError(tilePath(tile), `does not hash to its tile at entry ${stray}`, [bytes, hashes]);
    });
  }

  /** The bytes of `tile` from the first place where nothing is wrong with them. */
  async #find(tile: Tile, wrongWith: (bytes: Uint8Array) => WrongTileError | undefined): Promise<Uint8Array> {
    let wrong: WrongTileError | undefined;
    for (const find of this.#places) {
      const bytes = await find(tile);
      if (bytes === undefined) continue;
      wrong = wrongWith(bytes);
      if (wrong === undefined) return bytes;
    }
    throw wrong ?? new IncompleteLogError(tilePath(tile));
  }

  /** MTH(D[size]) of the first `size` entries. */
  rootAt(size: number): Promise<Uint8Array> {
    return this.#rangeHash({ start: 0, end: size });
  }

  /** PATH(index, D[size]) of RFC 6962 §2.1.1, of the whole tree or of its first `size` entries. */
  inclusionProof(index: number, size: number = this.head.size): Promise<Uint8Array[]> {
    if (index < 0 || index >= size || size > this.head.size) throw new RangeError(`no entry ${index} among ${size}`);
    return Promise.all(inclusionRanges(index, size).map((range) => this.#rangeHash(range)));
  }

  /** PROOF(first, D[second]) of RFC 6962 §2.1.2: that the tree of `first` entries is a prefix of that of `second`. */
  consistencyProof(first: number, second: number = this.head.size): Promise<Uint8Array[]> {
    if (first < 0 || first > second || second > this.head.size)
      throw new RangeError(`no tree of ${first} in ${second}`);
    if (first === 0 || first === second) return Promise.resolve([]);
    return Promise.all(consistencyRanges(first, second).map((range) => this.#rangeHash(range)));
  }

  async #rangeHash(range: Range): Promise<Uint8Array> {
    const hashes = subtrees(range).map(async (subtree) => {
      const { level, index } = tileOf(subtree, this.head.size);
      return hashInTile(subtree, await this.tile(Number(level), index));
    });
    return joinSubtrees(await Promise.all(hashes));
  }

  /** Whether `older`, a tree of no more entries, is a prefix of this one; else the proof of consistency that fails. */
  async extends(older: TreeHead): Promise<{ ok: true } | { ok: false; proof: Uint8Array[] }> {
    const { size, root } = this.head;
    const proof = await this.consistencyProof(older.size);
    const holds =
      older.size === 0 ? equal(older.root, EMPTY_ROOT) : verifyConsistency(older.size, size, older.root, root, proof);
    return holds ? { ok: true } : { ok: false, proof };
  }
}

/** Why the partial tiles of a tree are not to be had: `tile`, as it was `found`, is the one to name. */
function failureOf(tile: Tile | undefined, found: Uint8Array | undefined, isWhole: boolean, size: number): Error {
  if (tile === undefined) return new WrongTileError("checkpoint", "has another root than that of the empty tree", []);
  if (found === undefined) return new IncompleteLogError(tilePath(tile));
  const problem = isWhole
    ? `does not, with the partial tiles above it, hash to the checkpoint's root at ${size} entries`
    : `has ${found.length} bytes where ${tile.width} hashes are due`;
  return new WrongTileError(tilePath(tile), problem, [found]);
}
