/** Checkpoints (C2SP tlog-checkpoint): a note whose text is origin, size and root. */
import { base64, parseBase64, utf8 } from "../bytes.ts";
import { Malformed } from "../cbor/bytes.ts";
import { type Note, parseNote } from "./note.ts";

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
