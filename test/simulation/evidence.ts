/** All that a run has promised and signed, and what must then be true whatever happened. */
import {
  base64,
  encodeBundle,
  Frontier,
  hex,
  leafHash,
  type Note,
  parseBase64,
  parseBundle,
  parseCheckpoint,
  rootOf,
  TILE_WIDTH,
  tilePath,
  tileWidth,
} from "@tallystick/protocol";
import type { Image } from "./disk.ts";

/** What must never be was. */
export class Violation extends Error {
  override name = "Violation";
}

const equal = (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, b) === 0;

export function must(isTrue: boolean, otherwise: string): void {
  if (!isTrue) throw new Violation(otherwise);
}

type State = { by: string; origin: string; size: number; root: string };

export class Evidence {
  /** The leaf hash of each entry that was acknowledged, by the index that was given. */
  readonly acknowledged = new Map<number, string>();
  readonly #states: State[] = [];
  /** While a fork is made on purpose, what is signed does not count. */
  isPaused = false;

  acknowledge(index: number, entry: Uint8Array): void {
    must(!this.acknowledged.has(index), `index ${index} is given to two entries`);
    this.acknowledged.set(index, hex(leafHash(entry)));
  }

  /** Every signature over a state of a log is told here, as it is made. */
  sign(by: string, message: string): void {
    if (this.isPaused) return;
    const text = message.startsWith("cosignature/v1\n") ? message.split("\n").slice(2).join("\n") : message;
    const [origin = "", size = "", root = ""] = text.split("\n");
    must(parseBase64(root)?.length === 32, `${by} signs what is no state: ${message}`);
    this.#states.push({ by, origin, size: Number(size), root });
  }

  get signatureCount(): number {
    return this.#states.length;
  }

  /** Holds what is on disk to what was promised: each acknowledged entry is there. */
  checkAcknowledged(leaves: readonly Uint8Array[]): void {
    for (const [index, leaf] of this.acknowledged) {
      const found = leaves[index];
      must(found !== undefined, `the log of ${leaves.length} entries lost entry ${index}, which was acknowledged`);
      must(found !== undefined && hex(found) === leaf, `entry ${index} is another than was acknowledged`);
    }
  }

  /** Holds every state that anybody ever signed to the entries as they are in the end. */
  checkStates(origin: string, leaves: readonly Uint8Array[]): void {
    const frontier = new Frontier();
    const roots = [base64(frontier.root())];
    for (const leaf of leaves) {
      frontier.push(leaf);
      roots.push(base64(frontier.root()));
    }
    const sizes = new Map<string, number>();
    for (const state of this.#states.filter((one) => one.origin === origin)) {
      const { by, size, root } = state;
      must(roots[size] === root, `${by} signed a fork at size ${size}, of ${leaves.length}`);
      const isWitness = by !== "log";
      must(!isWitness || size >= (sizes.get(by) ?? 0), `${by} cosigned ${size} entries after more than that`);
      sizes.set(by, size);
    }
  }
}

/** The checkpoint in `folder` and the leaf hashes under it, where every tile and bundle that it needs is there and right. */
export function readFolder(image: Image, folder: string): { note: Note; leaves: Uint8Array[] } | undefined {
  const bytes = image.get(`${folder}/tiles/checkpoint`);
  if (bytes === undefined) return undefined;
  const { size, root, note } = parseCheckpoint(bytes);
  const hasRead = (level: number | "entries", index: number): Uint8Array => {
    const width = tileWidth(level, index, size);
    const partial = image.get(`${folder}/tiles/${tilePath({ level, index, width })}`);
    const full = image.get(`${folder}/tiles/${tilePath({ level, index, width: TILE_WIDTH })}`);
    const found = full ?? partial;
    if (found === undefined)
      throw new Violation(`tile ${level}/${index} of width ${width} is not there at size ${size}`);
    if (level === "entries") {
      const parsed = parseBundle(found, full === undefined ? width : TILE_WIDTH).slice(0, width);
      const cut = encodeBundle(parsed);
      must(
        partial === undefined || equal(partial, cut),
        `bundle ${index} of width ${width} is another than its full one`,
      );
      return cut;
    }
    must(
      partial === undefined || equal(partial, found.subarray(0, 32 * width)),
      `tile ${level}/${index} contradicts itself`,
    );
    return found.subarray(0, 32 * width);
  };
  const leaves: Uint8Array[] = [];
  for (let index = 0; tileWidth("entries", index, size) > 0; index++)
    leaves.push(...parseBundle(hasRead("entries", index), tileWidth("entries", index, size)).map(leafHash));
  must(equal(rootOf(leaves), root), `the entries of ${folder} do not hash to its checkpoint of ${size}`);
  let hashes = leaves;
  for (let level = 0; hashes.length > 0; level++) {
    for (let index = 0; tileWidth(level, index, size) > 0; index++) {
      const row = hashes.slice(index * TILE_WIDTH, (index + 1) * TILE_WIDTH);
      must(equal(hasRead(level, index), Buffer.concat(row)), `tile ${level}/${index} is wrong at size ${size}`);
    }
    hashes = Array.from({ length: Math.floor(hashes.length / TILE_WIDTH) }, (_, i) =>
      rootOf(hashes.slice(i * TILE_WIDTH, (i + 1) * TILE_WIDTH)),
    );
  }
  return { note, leaves };
}
