/** Proofs that an entry is in a log, made from its tiles and checked before they are given (C2SP tlog-proof). */
import { encodeLogProof, parseBundle, parseLogProof, proves, TILE_WIDTH, tileWidth } from "@tallystick/protocol";
import { UnverifiedError } from "../errors.ts";
import type { VerifiedCheckpoint } from "./head.ts";
import type { LogTree } from "./tree.ts";

/** The text of a proof that entry `index` is in the tree of `checkpoint`, which may be an earlier one of `tree`'s log. */
export async function proveEntry(tree: LogTree, index: number, { checkpoint }: VerifiedCheckpoint): Promise<string> {
  const text = encodeLogProof(index, await tree.inclusionProof(index, checkpoint.size), checkpoint.note);
  const entry = await readEntry(tree, index);
  if (!proves(parseLogProof(text), entry))
    throw new UnverifiedError(
      `the checkpoint of ${checkpoint.size} entries is of another tree than the log serves: entry ${index} cannot be proved`,
    );
  return text;
}

/** Entry `index`, which hashes to its tile. */
export async function readEntry(tree: LogTree, index: number): Promise<Uint8Array> {
  const bundle = Math.floor(index / TILE_WIDTH);
  const width = tileWidth("entries", bundle, tree.head.size);
  const entry = parseBundle(await tree.bundle(bundle), width)[index % TILE_WIDTH];
  if (entry === undefined) throw new RangeError(`the log has no entry ${index}`);
  return entry;
}
