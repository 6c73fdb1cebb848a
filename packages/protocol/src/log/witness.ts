/** What a log and a witness say to each other (C2SP tlog-witness): a request for a cosignature, and its answers. */
import { base64, parseBase64, parseUtf8, utf8 } from "../bytes.ts";
import { Malformed } from "../cbor/bytes.ts";
import { ADD_CHECKPOINT_SIZE_BYTES, PROOF_HASHES } from "../limits.ts";
import { type Checkpoint, parseForeignCheckpoint } from "./checkpoint.ts";
import { encodeNote, type Note, type NoteSignature, parseSignatureLines, signatureLine } from "./note.ts";

/** The type of the body that says which size a witness has cosigned last. */
export const TLOG_SIZE_TYPE = "text/x.tlog.size";

/** A checkpoint to be cosigned, and the proof that it extends the one of `oldSize`. Nothing is verified yet. */
export type AddCheckpoint = { oldSize: number; proof: Uint8Array[]; checkpoint: Checkpoint };

/** The body of a request for a cosignature of `note`. */
export function encodeAddCheckpoint({
  oldSize,
  proof,
  note,
}: {
  oldSize: number;
  proof: readonly Uint8Array[];
  note: Note;
}): Uint8Array {
  return utf8([`old ${oldSize}`, ...proof.map(base64), "", encodeNote(note)].join("\n"));
}

/** Takes a request for a cosignature apart, whichever log it is of. Throws Malformed. */
export function parseAddCheckpoint(bytes: Uint8Array): AddCheckpoint {
  if (bytes.length > ADD_CHECKPOINT_SIZE_BYTES)
    throw new Malformed(`is a request of ${bytes.length} bytes; at most ${ADD_CHECKPOINT_SIZE_BYTES} are allowed`);
  const end = bytes.findIndex((byte, i) => byte === 0x0a && bytes[i + 1] === 0x0a);
  const [first = "", ...lines] = (end < 0 ? undefined : parseUtf8(bytes.subarray(0, end)))?.split("\n") ?? [];
  const oldSize = first.startsWith("old ") ? sizeOf(first.slice("old ".length)) : undefined;
  if (oldSize === undefined) throw new Malformed("is a request that does not begin with an old size and a proof");
  if (lines.length > PROOF_HASHES)
    throw new Malformed(`is a request with a proof of ${lines.length} hashes; at most ${PROOF_HASHES} are allowed`);
  const proof = lines.map((line) => {
    const hash = parseBase64(line);
    if (hash?.length !== 32) throw new Malformed("is a request with a line of the proof that is not a hash");
    return hash;
  });
  return { oldSize, proof, checkpoint: parseForeignCheckpoint(bytes.subarray(end + 2)) };
}

/** The body of a witness's consent: its cosignatures, a line each. */
export function encodeCosignatures(signatures: readonly NoteSignature[]): string {
  return signatures.map(signatureLine).join("");
}

/** Reads a witness's consent. Whose the lines are, and whether they hold, is for `verifyNote` to say. Throws Malformed. */
export function parseCosignatures(bytes: Uint8Array): NoteSignature[] {
  return parseSignatureLines(bytes);
}

/** The body that says which size a witness has cosigned last, where the old size was another. */
export function encodeCosignedSize(size: number): string {
  return `${size}\n`;
}

/** Reads which size a witness has cosigned last. Throws Malformed. */
export function parseCosignedSize(bytes: Uint8Array): number {
  const text = bytes.length <= 17 ? parseUtf8(bytes) : undefined;
  const size = text?.endsWith("\n") ? sizeOf(text.slice(0, -1)) : undefined;
  if (size === undefined) throw new Malformed("is not a size in decimal on a line of its own");
  return size;
}

/** A size in decimal without a leading zero; undefined for any other text, and for more than can be counted. */
function sizeOf(text: string): number | undefined {
  const size = /^(0|[1-9][0-9]{0,15})$/.test(text) ? Number(text) : Number.NaN;
  return Number.isSafeInteger(size) ? size : undefined;
}
