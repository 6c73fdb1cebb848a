/**
 * A check of every file of a log: tiles of all levels and the root are computed again from the entries, bundle by bundle,
 * and held to the files there are. Where two files disagree, the tile above them, and at last the signed root, says which
 * of them is damaged; so memory does not grow with the log, and one damaged file is one finding.
 */
import {
  type Checkpoint,
  createNoteKey,
  equal,
  type LogTrust,
  Malformed,
  type NoteSignature,
  type Policy,
  parseBundle,
  parseEntry,
  parsePolicy,
  parseSigned,
  TILE_WIDTH,
  type Tile,
  tilePath,
  tileWidth,
  verifyNote,
} from "@tallystick/protocol";
import { firstStray, leavesOf } from "../audit/bundles.ts";
import { findTile, type LogSource } from "../audit/source.ts";
import { UnverifiedError } from "../errors.ts";
import { type Damage, Damages } from "./damage.ts";
import {
  edgeTiles,
  firstDifference,
  firstEntryUnder,
  HASH_SIZE_BYTES,
  type HashTile,
  hashAt,
  hashOfTile,
  rootOfEdge,
} from "./edge.ts";
import { type Extras, listExtras } from "./extras.ts";
import { readCheckpoint } from "./head.ts";
import { inOrder } from "./in-order.ts";

export type Fsck = {
  /** Of the checkpoint; undefined where it is not one that the log signed, and then no file was held to it. */
  origin?: string;
  size: number;
  fileCount: number;
  findings: Damage[];
  /** What is no damage, but worth knowing. */
  notes: string[];
};

export type FsckOptions = { trust: LogTrust; onProgress?: (done: number, total: number) => void };

/** Bundles that are read at once, each with its tile. */
const AT_ONCE = 8;
const POLICY = "application/vnd.tallystick.policy+cbor";

/** Checks every file of the log in `source`. Throws UnreachableError where it cannot be read, never for what it holds. */
export async function fsckLog(source: LogSource, { trust, onProgress }: FsckOptions): Promise<Fsck> {
  const damages = new Damages();
  const checkpoint = await findHead(source, trust, damages);
  if (checkpoint === undefined) {
    const notes = ["without a checkpoint that the log signed, no other file can be checked"];
    return { size: 0, fileCount: 1, findings: damages.inOrder(), notes };
  }
  const extras = await listExtras(source, checkpoint.size, damages);
  const walk = new Walk(source, checkpoint, extras, damages);
  const { size } = checkpoint;
  const read = (index: number) => walk.readPair(index);
  for await (const pair of inOrder(0, Math.ceil(size / TILE_WIDTH), AT_ONCE, read)) {
    await walk.take(pair);
    onProgress?.(Math.min(size, (pair.index + 1) * TILE_WIDTH), size);
  }
  await walk.end();
  await checkLines(checkpoint, trust, walk.policy, damages);
  const { origin } = checkpoint;
  return { origin, size, fileCount: 1 + walk.fileCount, findings: damages.inOrder(), notes: extras.notes };
}

async function findHead(source: LogSource, trust: LogTrust, damages: Damages): Promise<Checkpoint | undefined> {
  try {
    return (await readCheckpoint(source, trust)).checkpoint;
  } catch (error) {
    if (!(error instanceof UnverifiedError)) throw error;
    damages.add("checkpoint", error.message);
    return undefined;
  }
}

/**
 * Where the log itself says who cosigns it, no line of its checkpoint is by anybody else, and each of theirs holds: a byte that
 * changed in one would else be a stranger's line, which is nobody's concern.
 */
async function checkLines(
  checkpoint: Checkpoint,
  trust: LogTrust,
  policy: Policy | undefined,
  damages: Damages,
): Promise<void> {
  if (policy === undefined) return;
  const logKeys = trust.keys.map(({ key }) => key);
  const standIns = logKeys.map(({ name, publicKey }) => createNoteKey(name, "cosignature", publicKey));
  const known = [...logKeys, ...standIns, ...policy.witnesses.map(({ key }) => key)];
  const verified = await verifyNote(checkpoint.note, known);
  const isKnown = ({ name, id }: NoteSignature) => known.some((key) => key.name === name && equal(key.id, id));
  if (verified === undefined) damages.add("checkpoint", "has a cosignature of a witness that does not hold");
  else if (!checkpoint.note.signatures.every(isKnown))
    damages.add("checkpoint", "has a line by a key that is neither the log's nor one of its witnesses'");
}

/** The entries of a bundle; none where it is damaged, which is told elsewhere. */
function entriesOf(bundle: Uint8Array, width: number): Uint8Array[] {
  try {
    return parseBundle(bundle, width);
  } catch (error) {
    if (error instanceof Malformed) return [];
    throw error;
  }
}

/** The policy that `entry` logs; undefined for any other entry, of whatever log. */
function policyIn(entry: Uint8Array): Policy | undefined {
  try {
    if (parseSigned(entry).contentType !== POLICY) return undefined;
    const parsed = parseEntry(entry);
    return parsed.kind === "policy" ? parsePolicy(parsed.says.policy) : undefined;
  } catch (error) {
    if (error instanceof Malformed) return undefined;
    throw error;
  }
}

/** A bundle and the tile over it, as they are served. */
type Pair = { index: number; width: number; bundle: Uint8Array | undefined; tile: Uint8Array | undefined };

/** What the entries, or the tiles below, come to; and what is served in its place. Undefined where there is none of it. */
type Candidates = { computed: Uint8Array | undefined; served: Uint8Array | undefined };

class Walk {
  readonly #source: LogSource;
  readonly #checkpoint: Checkpoint;
  readonly #extras: Extras;
  readonly #damages: Damages;
  /** By level: the hashes of its last tile so far. */
  readonly #rows: { hashes: Uint8Array; count: number }[] = [];
  /** By level: the tile served last, which what is below it is held to. */
  readonly #above = new Map<number, { index: number; bytes: Uint8Array | undefined }>();
  #lastPair: Pair | undefined;
  fileCount = 0;
  /** The last policy that the log itself has. */
  policy: Policy | undefined;

  constructor(source: LogSource, checkpoint: Checkpoint, extras: Extras, damages: Damages) {
    this.#source = source;
    this.#checkpoint = checkpoint;
    this.#extras = extras;
    this.#damages = damages;
  }

  async readPair(index: number): Promise<Pair> {
    const width = tileWidth(0, index, this.#checkpoint.size);
    const both = [this.#find({ level: "entries", index, width }), this.#find({ level: 0, index, width })] as const;
    const [bundle, tile] = await Promise.all(both);
    return { index, width, bundle, tile };
  }

  async #find(tile: Tile): Promise<Uint8Array | undefined> {
    const bytes = await findTile(this.#source, tile);
    if (bytes !== undefined) this.fileCount++;
    return bytes;
  }

  /** The served tile at `level` and `index`, read once. */
  async #servedAbove(level: number, index: number): Promise<Uint8Array | undefined> {
    const kept = this.#above.get(level);
    if (kept?.index === index) return kept.bytes;
    const width = tileWidth(level, index, this.#checkpoint.size);
    const bytes = width === 0 ? undefined : fit(await this.#find({ level, index, width }), width);
    this.#above.set(level, { index, bytes });
    return bytes;
  }

  /** Only where somebody beside the log signed the checkpoint does it matter who may. */
  #findPolicy({ bundle, width }: Pair): void {
    const { note, origin } = this.#checkpoint;
    if (bundle === undefined || note.signatures.every(({ name }) => name === origin)) return;
    for (const entry of entriesOf(bundle, width)) this.policy = policyIn(entry) ?? this.policy;
  }

  /** Takes the next bundle and its tile in. */
  async take(pair: Pair): Promise<void> {
    this.#lastPair = pair;
    this.#findPolicy(pair);
    const { index, width, bundle, tile } = pair;
    const computed = bundle === undefined ? undefined : leavesOf(bundle, width);
    const candidates = { computed, served: fit(tile, width) };
    if (width < TILE_WIDTH) {
      this.#rows[0] = { hashes: computed ?? new Uint8Array(0), count: width };
      return; // Of the right edge the root decides, at the end.
    }
    await this.#settle({ level: 0, index, width }, candidates);
  }

  /** Decides what a full tile is, says what is damaged, and hands its hash to the tile above. */
  async #settle(tile: HashTile, { computed, served }: Candidates): Promise<void> {
    const above = await this.#servedAbove(tile.level + 1, Math.floor(tile.index / TILE_WIDTH));
    const due = above === undefined ? undefined : hashAt(above, tile.index % TILE_WIDTH);
    const [ofComputed, ofServed] = [computed, served].map((bytes) => bytes && hashOfTile(bytes));
    const isSame = computed !== undefined && served !== undefined && equal(computed, served);
    const servedHolds = due !== undefined && ofServed !== undefined && equal(ofServed, due);
    const computedHolds = due !== undefined && ofComputed !== undefined && equal(ofComputed, due);
    if (!isSame) {
      if (!computedHolds && (computed === undefined || servedHolds)) this.#blameBelow(tile, { computed, served });
      if (!servedHolds && (served === undefined || computedHolds)) this.#blameTile(tile, { computed, served });
      if (!servedHolds && !computedHolds && computed !== undefined && served !== undefined)
        this.#blameEither(tile, { computed, served });
    }
    const believed = servedHolds ? served : (computed ?? served);
    await this.#extras.hold(tile, believed, this.#source, this.#damages);
    await this.#push(tile.level + 1, (believed && hashOfTile(believed)) ?? due ?? new Uint8Array(HASH_SIZE_BYTES));
  }

  async #push(level: number, hash: Uint8Array): Promise<void> {
    const row = this.#rows[level] ?? { hashes: new Uint8Array(TILE_WIDTH * HASH_SIZE_BYTES), count: 0 };
    this.#rows[level] = row;
    row.hashes.set(hash, (row.count++ % TILE_WIDTH) * HASH_SIZE_BYTES);
    if (row.count % TILE_WIDTH !== 0) return;
    const index = row.count / TILE_WIDTH - 1;
    const served = await this.#servedAbove(level, index);
    await this.#settle({ level, index, width: TILE_WIDTH }, { computed: row.hashes.slice(), served });
  }

  /** Decides what the partial tiles are: those that hash to the signed root. */
  async end(): Promise<void> {
    const { size, root } = this.#checkpoint;
    const edge: { tile: HashTile; candidates: Candidates }[] = [];
    for (const tile of edgeTiles(size)) {
      const row = this.#rows[tile.level];
      const whole = row?.hashes.subarray(0, tile.width * HASH_SIZE_BYTES);
      const served =
        tile.level === 0 ? fit(this.#lastPair?.tile, tile.width) : await this.#servedAbove(tile.level, tile.index);
      edge.push({ tile, candidates: { computed: whole?.length ? whole.slice() : undefined, served } });
    }
    const chosen = findEdge(
      size,
      root,
      edge.map(({ candidates }) => candidates),
      edge.map(({ tile }) => tile.level),
    );
    if (chosen === undefined) this.#damages.add("checkpoint", "the entries do not hash to its root");
    for (const [i, { tile, candidates }] of edge.entries()) {
      const { computed, served } = candidates;
      const believed = chosen?.[i];
      if (believed === undefined) this.#blameEither(tile, candidates);
      else {
        if (computed === undefined || !equal(computed, believed))
          this.#blameBelow(tile, { computed, served: believed });
        if (served === undefined || !equal(served, believed)) this.#blameTile(tile, { computed: believed, served });
      }
      await this.#extras.hold(tile, believed ?? computed ?? served, this.#source, this.#damages);
    }
  }

  /** What is under `tile` is not what `served`, which holds, says: a bundle, or the tile of one of its hashes. */
  #blameBelow(tile: HashTile, { computed, served }: Candidates): void {
    const { level, index, width } = tile;
    if (level === 0) {
      const bundle = this.#lastPair?.bundle;
      const path = tilePath({ ...tile, level: "entries" });
      if (bundle === undefined) this.#damages.add(path, "is missing", index * TILE_WIDTH);
      else {
        const stray = served === undefined ? 0 : firstStray(bundle, served, width);
        this.#damages.add(
          path,
          computed === undefined ? "is no bundle" : "is not of the log's entries",
          index * TILE_WIDTH + stray,
        );
      }
      return;
    }
    const place = firstDifference(computed, served);
    const below = { level: level - 1, index: index * TILE_WIDTH + place, width: TILE_WIDTH };
    this.#damages.add(
      tilePath(below),
      `and what is under it are not of ${tilePath(tile)}, which holds`,
      firstEntryUnder(tile, place),
    );
  }

  #blameTile(tile: HashTile, { computed, served }: Candidates): void {
    const problem = served === undefined ? "is missing, or not of its length" : "is not what the log's entries hash to";
    this.#damages.add(tilePath(tile), problem, firstEntryUnder(tile, firstDifference(computed, served)));
  }

  /** Neither is what the tree above says; so that may be damaged, too. */
  #blameEither(tile: HashTile, candidates: Candidates): void {
    const { computed, served } = candidates;
    if (computed !== undefined && served !== undefined && equal(computed, served)) return;
    if (tile.level === 0) this.#blameBelow(tile, candidates);
    this.#blameTile(tile, candidates);
  }
}

/** The bytes of a tile of `width` hashes; undefined where they are not as many. */
function fit(bytes: Uint8Array | undefined, width: number): Uint8Array | undefined {
  return bytes?.length === width * HASH_SIZE_BYTES ? bytes : undefined;
}

/** Of the computed and the served partial tiles, the ones that together hash to `root`. */
function findEdge(
  size: number,
  root: Uint8Array,
  edge: readonly Candidates[],
  levels: readonly number[],
): Uint8Array[] | undefined {
  const choices = edge.map(({ computed, served }) => [computed, served].filter((bytes) => bytes !== undefined));
  if (choices.some(({ length }) => length === 0)) return undefined;
  for (let mask = 0; mask < 2 ** edge.length; mask++) {
    const chosen = choices.flatMap((bytes, i) => bytes[mask & (2 ** i) ? bytes.length - 1 : 0] ?? []);
    if (equal(rootOfEdge(size, new Map(chosen.map((bytes, i) => [levels[i] ?? 0, bytes]))), root)) return chosen;
  }
  return undefined;
}
