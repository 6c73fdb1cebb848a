/** Signed notes (C2SP signed-note): a text and lines of signatures, `— <name> <base64(key id ‖ signature)>`. */
import { sha256, verifyEd25519 } from "#platform";
import { base64, concat, equal, hex, parseBase64, parseHex, parseUtf8, utf8 } from "../bytes.ts";
import { Malformed } from "../cbor/bytes.ts";
import { NOTE_SIGNATURES, NOTE_SIZE_BYTES, TIME_SECONDS } from "../limits.ts";

/** Signature types: Ed25519, and timestamped cosignatures by Ed25519 and by ML-DSA-44 (C2SP tlog-cosignature). */
export const NOTE_KEY = { ed25519: 0x01, cosignature: 0x04, "ml-dsa-44": 0x06 } as const;
export type NoteKeyType = keyof typeof NOTE_KEY;

const PUBLIC_KEY_SIZE_BYTES = { ed25519: 32, cosignature: 32, "ml-dsa-44": 1312 } as const satisfies Record<
  NoteKeyType,
  number
>;

/** A key of a note's signer. One of ML-DSA-44 is known by name and id only: see `verifyNote`. */
export type NoteKey = { name: string; id: Uint8Array; type: NoteKeyType; publicKey: Uint8Array };

export type NoteSignature = { name: string; id: Uint8Array; signature: Uint8Array };
/** A note taken apart; nothing is verified yet. `text` ends with a newline. */
export type Note = { text: string; signatures: NoteSignature[] };

/** No Unicode space and no plus; `\s` is another set: it lacks U+0085 and has U+FEFF. */
const KEY_NAME = /^[^\p{White_Space}+]+$/u;

/** SHA-256(name ‖ 0x0A ‖ type ‖ public key), first four bytes. */
export function noteKeyId(name: string, type: NoteKeyType, publicKey: Uint8Array): Uint8Array {
  return sha256(utf8(`${name}\n`), Uint8Array.of(NOTE_KEY[type]), publicKey).subarray(0, 4);
}

export function createNoteKey(name: string, type: NoteKeyType, publicKey: Uint8Array): NoteKey {
  if (!KEY_NAME.test(name)) throw new Malformed(`is a key name with a space or a plus: ${JSON.stringify(name)}`);
  if (publicKey.length !== PUBLIC_KEY_SIZE_BYTES[type])
    throw new Malformed(`is a key of ${publicKey.length} bytes; one of ${type} has ${PUBLIC_KEY_SIZE_BYTES[type]}`);
  return { name, type, publicKey, id: noteKeyId(name, type, publicKey) };
}

/** `name+hex(key id)+base64(type ‖ public key)`. */
export function encodeNoteKey({ name, id, type, publicKey }: NoteKey): string {
  return `${name}+${hex(id)}+${base64(concat(Uint8Array.of(NOTE_KEY[type]), publicKey))}`;
}

/** Reads a vkey. Throws Malformed. */
export function parseNoteKey(vkey: string): NoteKey {
  const [name = "", id = "", ...rest] = vkey.split("+"); // base64 may itself contain a plus.
  const key = parseBase64(rest.join("+"));
  const type = (Object.keys(NOTE_KEY) as NoteKeyType[]).find((known) => NOTE_KEY[known] === key?.[0]);
  if (key === undefined || type === undefined)
    throw new Malformed("is not a vkey of Ed25519 or ML-DSA-44: name+hash+key");
  const parsed = createNoteKey(name, type, key.subarray(1));
  if (!equal(parsed.id, parseHex(id) ?? new Uint8Array(0)))
    throw new Malformed("is a vkey whose hash is not that of its name and key");
  return parsed;
}

/** One signature line, newline included. */
export function signatureLine({ name, id, signature }: NoteSignature): string {
  return `— ${name} ${base64(concat(id, signature))}\n`;
}

/** The note's whole text. */
export function encodeNote({ text, signatures }: Note): string {
  return `${text}\n${signatures.map(signatureLine).join("")}`;
}

/** Takes a note apart at its last empty line. Throws Malformed. */
export function parseNote(bytes: Uint8Array): Note {
  if (bytes.length > NOTE_SIZE_BYTES)
    throw new Malformed(`is a note of ${bytes.length} bytes; at most ${NOTE_SIZE_BYTES} are allowed`);
  const whole = parseUtf8(bytes);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the format forbids exactly these.
  if (whole === undefined || /[\u0000-\u0009\u000b-\u001f]/.test(whole))
    throw new Malformed("is a note that is not plain UTF-8 text");
  const end = whole.lastIndexOf("\n\n");
  if (end < 0 || !whole.endsWith("\n")) throw new Malformed("is a note without an empty line before its signatures");
  const lines = whole.slice(end + 2, -1).split("\n");
  if (lines.length > NOTE_SIGNATURES)
    throw new Malformed(`is a note with ${lines.length} signatures; at most ${NOTE_SIGNATURES} are allowed`);
  return { text: whole.slice(0, end + 1), signatures: lines.map(parseSignatureLine) };
}

function parseSignatureLine(line: string): NoteSignature {
  const match = /^— ([^ ]+) ([^ ]+)$/u.exec(line);
  const blob = match === null ? undefined : parseBase64(match[2] ?? "");
  if (match?.[1] === undefined || !KEY_NAME.test(match[1]) || blob === undefined || blob.length < 5)
    throw new Malformed("is a note with a line that is not a signature");
  return { name: match[1], id: blob.subarray(0, 4), signature: blob.subarray(4) };
}

/** What a signature of `key` is over: the text itself, or a cosignature's time and the text. */
function signedMessage(
  key: NoteKey,
  text: string,
  signature: Uint8Array,
): { message: Uint8Array; raw: Uint8Array; timeSeconds?: bigint } {
  if (key.type === "ed25519") return { message: utf8(text), raw: signature };
  const timeSeconds = timeOf(signature);
  return { message: cosignatureMessage(timeSeconds, text), raw: signature.subarray(8), timeSeconds };
}

/** The times of the cosignatures under `name`, Unix seconds. Whether they hold is `verifyNote`'s to say. */
export function cosignatureTimes({ signatures }: Note, name: string): number[] {
  const under = signatures.filter((line) => line.name === name && line.signature.length === 72);
  return under
    .map(({ signature }) => timeOf(signature))
    .flatMap((time) => (time <= TIME_SECONDS ? [Number(time)] : []));
}

function timeOf(cosignature: Uint8Array): bigint {
  return new DataView(cosignature.buffer, cosignature.byteOffset, cosignature.byteLength).getBigUint64(0);
}

/** What a cosigner signs: `cosignature/v1`, the time in Unix seconds, the checkpoint's text (C2SP tlog-cosignature). */
export function cosignatureMessage(timeSeconds: number | bigint, text: string): Uint8Array {
  return utf8(`cosignature/v1\ntime ${timeSeconds}\n${text}`);
}

/** The bytes of a cosignature in its line: the time in 64 bits, big-endian, then the signature. */
export function encodeCosignature(timeSeconds: number | bigint, signature: Uint8Array): Uint8Array {
  const time = new Uint8Array(8);
  new DataView(time.buffer).setBigUint64(0, BigInt(timeSeconds));
  return concat(time, signature);
}

/** The last time of a cosignature (C2SP tlog-cosignature). */
const COSIGNATURE_TIME_SECONDS = 2n ** 63n - 1n;

/** A signature that holds, and for a cosignature its time, unless that is past the last one of Tallystick. */
export type VerifiedSignature = { key: NoteKey; timeSeconds?: number };

/**
 * The signatures by known keys. Unknown keys are ignored; one signature by a known key that does not hold
 * refuses the whole note: undefined (C2SP signed-note, "Signatures"). An empty list is no reason to trust the note.
 * No platform here verifies ML-DSA-44: a line by such a key is as one by an unknown key, ignored and never counted.
 */
export async function verifyNote(note: Note, keys: readonly NoteKey[]): Promise<VerifiedSignature[] | undefined> {
  const verified: VerifiedSignature[] = [];
  for (const { name, id, signature } of note.signatures) {
    const key = keys.find((known) => known.type !== "ml-dsa-44" && known.name === name && equal(known.id, id));
    if (key === undefined) continue;
    if (signature.length !== (key.type === "ed25519" ? 64 : 72)) return undefined;
    const { message, raw, timeSeconds } = signedMessage(key, note.text, signature);
    if (timeSeconds !== undefined && timeSeconds > COSIGNATURE_TIME_SECONDS) return undefined;
    if (!(await verifyEd25519(key.publicKey, message, raw))) return undefined;
    const hasTime = timeSeconds !== undefined && timeSeconds <= TIME_SECONDS;
    verified.push(hasTime ? { key, timeSeconds: Number(timeSeconds) } : { key });
  }
  return verified;
}
