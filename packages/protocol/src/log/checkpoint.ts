/** Checkpoints (C2SP tlog-checkpoint): a note whose text is origin, size and root. */
import { base64, parseBase64, utf8 } from "../bytes.ts";
import { Malformed } from "../cbor/bytes.ts";
import { createNoteKey, type Note, type NoteKey, parseNote, verifyNote } from "./note.ts";

export type TreeHead = { origin: string; size: number; root: Uint8Array };
/** A checkpoint taken apart; nothing is verified yet. */
export type Checkpoint = TreeHead & { note: Note };

/** The text that is signed. */
export function checkpointText({ origin, size, root }: TreeHead): string {
  return `${origin}\n${size}\n${base64(root)}\n`;
}

/** Takes a checkpoint of our own log apart. Extension lines are refused: a monitor cannot audit them. Throws Malformed. */
export function parseCheckpoint(bytes: Uint8Array): Checkpoint {
  const { extensions, ...checkpoint } = parseForeignCheckpoint(bytes);
  if (extensions.length > 0) throw new Malformed("is not a checkpoint of three lines: origin, size, root");
  return checkpoint;
}

/** A checkpoint of any log, with the lines after its root, which say nothing that we know. */
export type ForeignCheckpoint = Checkpoint & { extensions: string[] };

/**
 * Takes a checkpoint of any C2SP log apart, as a witness must. Who cosigns it signs the whole `note.text`,
 * extension lines too, and vouches for the first three lines alone. Throws Malformed.
 */
export function parseForeignCheckpoint(bytes: Uint8Array): ForeignCheckpoint {
  const note = parseNote(bytes);
  const [origin = "", size = "", root = "", ...extensions] = note.text.slice(0, -1).split("\n");
  const hash = parseBase64(root);
  if (origin === "" || !/^(0|[1-9][0-9]*)$/.test(size) || hash?.length !== 32)
    throw new Malformed("is not a checkpoint of three lines: origin, size, root");
  if (extensions.includes("")) throw new Malformed("is a checkpoint with an empty line in its text");
  if (!Number.isSafeInteger(Number(size))) throw new Malformed("is a checkpoint of more entries than can be counted");
  return { origin, size: Number(size), root: hash, note, extensions };
}

/** The bytes of a checkpoint file. */
export function encodeCheckpoint(text: string): Uint8Array {
  return utf8(text);
}

/** Who vouches for a checkpoint: the log's key, and whose cosignatures say when. */
export type LogTrust = { logKey: NoteKey; cosigners: NoteKey[] };

/** Until witnesses exist, the log's own key stands in for one: the trust that its vkey alone gives. */
export function trustInLog(logKey: NoteKey): LogTrust {
  return { logKey, cosigners: [createNoteKey(logKey.name, "cosignature", logKey.publicKey)] };
}

export type CheckpointFailure = "wrong_origin" | "bad_signature" | "unsigned" | "not_cosigned";

/** Whether the log signed `checkpoint`, and the lower median of the times its cosigners give. */
export async function verifyCheckpoint(
  checkpoint: Checkpoint,
  { logKey, cosigners }: LogTrust,
): Promise<{ ok: true; timeSeconds: number } | { ok: false; failure: CheckpointFailure }> {
  if (checkpoint.origin !== logKey.name) return { ok: false, failure: "wrong_origin" };
  const signatures = await verifyNote(checkpoint.note, [logKey, ...cosigners]);
  if (signatures === undefined) return { ok: false, failure: "bad_signature" };
  if (!signatures.some(({ key }) => key === logKey)) return { ok: false, failure: "unsigned" };
  const times = new Map(
    signatures.flatMap(({ key, timeSeconds }) => (timeSeconds === undefined ? [] : [[key, timeSeconds]])),
  );
  const sorted = [...times.values()].sort((a, b) => a - b);
  const timeSeconds = sorted[Math.floor((sorted.length - 1) / 2)];
  return timeSeconds === undefined ? { ok: false, failure: "not_cosigned" } : { ok: true, timeSeconds };
}
