/** How a log starts: what its folder holds is checked, mended where that is safe, and held against what witnesses have seen. */
import { join } from "node:path";
import {
  type Checkpoint,
  createNoteKey,
  equal,
  Malformed,
  type NoteKey,
  parseCheckpoint,
  verifyNote,
} from "@tallystick/protocol";
import type { Disk } from "../platform/disk.ts";
import { OperatorError } from "../platform/errors.ts";
import type { Report } from "../platform/http.ts";
import type { NoteSigner } from "../platform/keys.ts";
import { Tree } from "./tree.ts";
import { openWal, type Wal } from "./wal.ts";
import type { Witnessing } from "./witnesses.ts";

export type FolderParts = {
  folder: string;
  disk: Disk;
  signer: NoteSigner;
  /** Keys that the log had before, whose checkpoints it still starts from. */
  formerKeys: readonly NoteKey[];
  witnessing: Witnessing;
  /**
   * Whether the folder was restored from a backup: then every witness has to say that it has seen nothing newer, and one
   * at least that it has seen the log, unless its operator says that those which had are lost.
   */
  restored: boolean | "witnesses lost";
  report: Report;
};

/** A log's folder, opened: its public state, and a tree that has all that was acknowledged. Nothing new is signed yet. */
export type OpenFolder = {
  tree: Tree;
  wal: Wal;
  published: Checkpoint;
  /** Whether another key than the log's present one signed that. */
  isOfFormerKey: boolean;
};

/** Entries whose tiles are written together. */
export const INTEGRATED_TOGETHER = 16_384;

/** Throws an OperatorError where the folder is damaged beyond what can be proved to be mended, or is an older copy. */
export async function openFolder(parts: FolderParts): Promise<OpenFolder> {
  const { folder, disk, report } = parts;
  const { checkpoint: published, isOfFormerKey } = await readPublished(parts);
  const { size, root } = published;
  const { wal, kept, recovered } = await openWal(disk, join(folder, "wal"), size);
  const tree = new Tree(disk, join(folder, "tiles"));
  const { repaired } = await tree.open(size, root, kept);
  if (repaired) report("lost tiles were made again", { size, from: "tiles below and the write-ahead segments" });
  for (let at = 0; at < recovered.length; at += INTEGRATED_TOGETHER)
    await tree.integrate(recovered.slice(at, at + INTEGRATED_TOGETHER));
  await hearWitnesses(parts, tree);
  return { tree, wal, published, isOfFormerKey };
}

async function readPublished({
  folder,
  disk,
  signer,
  formerKeys,
}: FolderParts): Promise<{ checkpoint: Checkpoint; isOfFormerKey: boolean }> {
  const path = join(folder, "tiles", "checkpoint");
  const bytes = await disk.read(path);
  if (bytes === undefined)
    throw new OperatorError(`${path} is missing: this log has lost its checkpoint. Restore the folder from a backup`);
  const checkpoint = readCheckpoint(bytes, path);
  const keys = [signer.key, ...formerKeys];
  const cosigners = keys.map(({ name, publicKey }) => createNoteKey(name, "cosignature", publicKey));
  const signatures = await verifyNote(checkpoint.note, [...keys, ...cosigners]);
  const signed = keys.filter((key) => signatures?.some((signature) => signature.key === key));
  if (checkpoint.origin === signer.key.name && signed.length > 0)
    return { checkpoint, isOfFormerKey: !signed.includes(signer.key) };
  const failure = signatures === undefined ? "bad_signature" : "unsigned";
  throw new OperatorError(`${path} is not signed by this log's key (${failure}): are keys and log of one network?`);
}

function readCheckpoint(bytes: Uint8Array, path: string): Checkpoint {
  try {
    return parseCheckpoint(bytes);
  } catch (cause) {
    if (!(cause instanceof Malformed)) throw cause;
    throw new OperatorError(`${path} ${cause.message}: restore the log's folder from a backup`, { cause });
  }
}

/** Nothing is signed that contradicts what a witness has cosigned: an older copy of the log would give its indexes out twice. */
async function hearWitnesses({ signer, witnessing, restored, report }: FolderParts, tree: Tree): Promise<void> {
  const heard = await witnessing.hear(signer.key.name);
  if (restored === true && tree.size > 0 && heard.every(({ last }) => last === "nothing"))
    throw new OperatorError(
      "no witness knows this log, and it was restored from a backup: nobody can say whether it is the newest copy. If its witnesses are lost, and no newer copy is anywhere, start it once with --new-witnesses",
    );
  for (const { key, last } of heard) {
    const { name } = key;
    if (last === "nothing") continue;
    if (last === "unreached") {
      if (restored !== false)
        throw new OperatorError(
          `the witness ${name} is not reached, and this log was restored from a backup: start it when every witness can say what it has seen`,
        );
      report("a witness is not reached", { witness: name });
      continue;
    }
    if (last.size > tree.size)
      throw new OperatorError(
        `the witness ${name} has cosigned ${last.size} entries and this folder has ${tree.size}: it is an older copy of the log. Take the newest copy, or start a new network`,
      );
    if (!equal(await tree.rootAt(last.size), last.root))
      throw new OperatorError(
        `the witness ${name} has cosigned another tree of ${last.size} entries: this folder is not the log that it has seen. Take the right copy, or start a new network`,
      );
  }
}
