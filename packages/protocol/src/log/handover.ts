/**
 * A handover: the note by which one key of a log gives way to the next. Both sign it, so whoever trusts either may trust the
 * other for the checkpoints that are its own (docs/spec/log.md, "Keys that change").
 */
import { utf8 } from "../bytes.ts";
import { Malformed } from "../cbor/bytes.ts";
import { HANDOVER_SIZE_BYTES } from "../limits.ts";
import { encodeNote, encodeNoteKey, type Note, type NoteKey, parseNote, parseNoteKey, verifyNote } from "./note.ts";

const HEADER = "tallystick/log-key/v1";

/** From checkpoints of more than `size` entries on, `to` signs in the place of `from`. Both are keys of one origin. */
export type Handover = { from: NoteKey; to: NoteKey; size: number; note: Note };

/** The text that both keys sign. */
export function handoverText({ from, to, size }: Omit<Handover, "note">): string {
  return `${HEADER}\n${encodeNoteKey(from)}\n${encodeNoteKey(to)}\n${size}\n`;
}

export function encodeHandover({ note }: Handover): Uint8Array {
  return utf8(encodeNote(note));
}

/** Takes a handover apart; nothing is verified yet. Throws Malformed. */
export function parseHandover(bytes: Uint8Array): Handover {
  if (bytes.length > HANDOVER_SIZE_BYTES) throw new Malformed(`is a handover of ${bytes.length} bytes`);
  const note = parseNote(bytes);
  const [header, from = "", to = "", size = "", end, ...rest] = note.text.split("\n");
  if (header !== HEADER || end !== "" || rest.length > 0 || !/^(0|[1-9][0-9]{0,15})$/.test(size))
    throw new Malformed(`is not a ${HEADER} of four lines: header, old key, new key, size`);
  const handover = { from: parseNoteKey(from), to: parseNoteKey(to), size: Number(size), note };
  if (!Number.isSafeInteger(handover.size)) throw new Malformed("is a handover at a size that cannot be counted");
  const isOfOneLog = handover.from.name === handover.to.name && handover.from.type === "ed25519";
  if (!isOfOneLog || handover.to.type !== "ed25519" || from === to)
    throw new Malformed("is not a handover from one Ed25519 key of an origin to another");
  return handover;
}

/** Whether both keys signed it. */
export async function verifyHandover({ from, to, note }: Handover): Promise<boolean> {
  const signatures = (await verifyNote(note, [from, to])) ?? [];
  return [from, to].every((key) => signatures.some((signature) => signature.key === key));
}
