/** What a log did that it must not do, with what shows it. */
import { base64, type Checkpoint, concat, equal, utf8 } from "@tallystick/protocol";
import type { WrongTileError } from "../errors.ts";
import type { LogTree } from "./tree.ts";

/**
 * `signature`: a checkpoint that is not to be believed. `shrunk`: a smaller log than before. `fork`: two trees of which
 * neither is a prefix of the other. `tiles`, `entries`: files that are not of the tree that the checkpoint signs.
 * `split`: a witness was shown another tree. `stale`: no newer checkpoint than one of long ago.
 */
export type AlarmKind = "signature" | "shrunk" | "fork" | "tiles" | "entries" | "split" | "stale";

export type Alarm = {
  kind: AlarmKind;
  detail: string;
  /** Bytes by the name of the file that they are kept in. */
  evidence: ReadonlyMap<string, Uint8Array>;
};

/** What contradicts `earlier` in `tree`, a later state of the same log as `served` signs it; undefined where nothing does. */
export async function contradictionOf(
  earlier: SignedCheckpoint,
  served: SignedCheckpoint,
  tree: LogTree,
): Promise<Alarm | undefined> {
  const [before, after] = [earlier.checkpoint, served.checkpoint];
  if (after.size < before.size) return shrunk(earlier, served);
  const verdict = await tree.extends(before);
  if (verdict.ok) return undefined;
  const { kind, detail, evidence } = forked(earlier, served);
  const proof = consistencyRequest(before.size, verdict.proof, served.bytes);
  return { kind, detail, evidence: new Map([...evidence, ["consistency-proof", proof]]) };
}

/** The alarm over a log whose entries do not begin with those that it had. */
export function forked(earlier: SignedCheckpoint, served: SignedCheckpoint): Alarm {
  const [before, after] = [earlier.checkpoint, served.checkpoint];
  const detail =
    before.size === after.size
      ? `two checkpoints of ${after.size} entries have two roots`
      : `the log of ${after.size} entries does not begin with the ${before.size} that it had`;
  return { kind: "fork", detail, evidence: evidenceOf(earlier, served) };
}

function evidenceOf(earlier: SignedCheckpoint, served: SignedCheckpoint): Map<string, Uint8Array> {
  return new Map([
    ["checkpoint-earlier", earlier.bytes],
    ["checkpoint-served", served.bytes],
  ]);
}

export type SignedCheckpoint = { checkpoint: Checkpoint; bytes: Uint8Array };

/** The alarm over a log that serves fewer entries than it had. */
export function shrunk(earlier: SignedCheckpoint, served: SignedCheckpoint): Alarm {
  const detail = `the log has ${served.checkpoint.size} entries, and had ${earlier.checkpoint.size}`;
  return { kind: "shrunk", detail, evidence: evidenceOf(earlier, served) };
}

/** The alarm over a file of `served` that is not of its tree. */
export function wrongTile({ message, path, found }: WrongTileError, served: SignedCheckpoint): Alarm {
  const [bytes = new Uint8Array(0), hashes] = found;
  const evidence = new Map([
    ["checkpoint-served", served.bytes],
    [path.replaceAll("/", "-"), bytes],
  ]);
  if (hashes !== undefined) evidence.set("hashes-due", hashes);
  return { kind: path.startsWith("tile/entries/") ? "entries" : "tiles", detail: message, evidence };
}

/** A consistency proof in a file: the body of C2SP tlog-witness's add-checkpoint, which any witness would refuse. */
export function consistencyRequest(oldSize: number, proof: readonly Uint8Array[], checkpoint: Uint8Array): Uint8Array {
  return concat(utf8(`old ${oldSize}\n${proof.map((hash) => `${base64(hash)}\n`).join("")}\n`), checkpoint);
}

export function isSameTree(a: Checkpoint, b: Checkpoint): boolean {
  return a.size === b.size && equal(a.root, b.root);
}
