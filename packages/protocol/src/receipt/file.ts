/**
 * A receipt file: everything that one receipt's verification needs, offline. JSON, as `GET /v1/receipts/{id}` serves it;
 * closed, so that no byte of it can change unnoticed but in signature lines of keys that nobody asks for. docs/spec/receipt.md.
 */
import { base64, hex, parseBase64, parseHex, parseUtf8, utf8 } from "../bytes.ts";
import { Malformed } from "../cbor/bytes.ts";
import { findJson } from "../json/canonical.ts";
import { HANDOVERS, RECEIPT_FILE_SIZE_BYTES } from "../limits.ts";
import type { Checkpoint } from "../log/checkpoint.ts";
import { type Handover, parseHandover } from "../log/handover.ts";
import { encodeNote } from "../log/note.ts";
import { type LogProof, parseLogProof } from "../log/proof.ts";

export const RECEIPT_FILE_FORMAT = "tallystick-receipt@v1";

/** The entries a receipt rests on, each by the part it plays. */
export const PARTS = ["receipt", "grant", "gateway", "node", "model", "publisher"] as const;
export type Part = (typeof PARTS)[number];

/** An entry with the proof that it is in the log; the proof is lacking until a checkpoint covers the entry. */
export type LoggedEntry = { bytes: Uint8Array; proofText?: string; proof?: LogProof };

/** The salts and bytes under a receipt's commitments: what only its requester should hold. */
export type Opening = {
  request: { salt: Uint8Array; bytes: Uint8Array };
  response?: { salt: Uint8Array; bytes: Uint8Array };
};

/** `handovers` are those of the log whose checkpoints these are: none while it has the key that it began with. */
export type ReceiptFile = {
  id: Uint8Array;
  parts: Record<Part, LoggedEntry>;
  handovers: readonly Handover[];
  opening?: Opening;
};

/** The text of a receipt file. */
export function encodeReceiptFile({ id, parts, handovers, opening }: ReceiptFile): string {
  const entries = PARTS.map((part) => {
    const { bytes, proofText } = parts[part];
    return [part, { entry: base64(bytes), ...(proofText === undefined ? {} : { proof: proofText }) }] as const;
  });
  return JSON.stringify({
    format: RECEIPT_FILE_FORMAT,
    id: hex(id),
    ...Object.fromEntries(entries),
    ...(handovers.length === 0 ? {} : { handovers: handovers.map(({ note }) => encodeNote(note)) }),
    ...(opening === undefined ? {} : { opening: encodeOpening(opening) }),
  });
}

export type OpeningJson = { request: SaltedJson; response?: SaltedJson };
type SaltedJson = { salt: string; bytes: string };

/** An opening as JSON. */
export function encodeOpening({ request, response }: Opening): OpeningJson {
  const salted = ({ salt, bytes }: { salt: Uint8Array; bytes: Uint8Array }) => ({
    salt: base64(salt),
    bytes: base64(bytes),
  });
  return { request: salted(request), ...(response === undefined ? {} : { response: salted(response) }) };
}

/** Reads a receipt file. Throws Malformed. */
export function parseReceiptFile(file: Uint8Array): ReceiptFile {
  if (file.length > RECEIPT_FILE_SIZE_BYTES)
    throw new Malformed(`is a receipt file of ${file.length} bytes; at most ${RECEIPT_FILE_SIZE_BYTES} are allowed`);
  const { format, id, handovers, opening, ...entries } = fields(
    parseJson(file),
    ["format", "id", ...PARTS],
    ["handovers", "opening"],
    "the receipt file",
  );
  if (format !== RECEIPT_FILE_FORMAT) throw new Malformed(`is not a ${RECEIPT_FILE_FORMAT}`);
  const idBytes = typeof id === "string" ? parseHex(id) : undefined;
  if (idBytes?.length !== 32) throw new Malformed("has an id that is not 64 digits of lower-case hex");
  const checkpoints = new Map<string, Checkpoint>(); // In most files it is the same one six times.
  const parts = Object.fromEntries(
    PARTS.map((part) => [part, parseLoggedEntry(entries[part], part, checkpoints)]),
  ) as Record<Part, LoggedEntry>;
  return {
    id: idBytes,
    parts,
    handovers: handovers === undefined ? [] : parseHandovers(handovers),
    ...(opening === undefined ? {} : { opening: parseOpening(opening) }),
  };
}

function parseHandovers(value: unknown): Handover[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > HANDOVERS)
    throw new Malformed(`has handovers that are no list of 1 to ${HANDOVERS}`);
  return value.map((text: unknown) => {
    if (typeof text !== "string") throw new Malformed("has a handover that is not a text");
    return parseHandover(utf8(text));
  });
}

function parseLoggedEntry(value: unknown, part: Part, checkpoints: Map<string, Checkpoint>): LoggedEntry {
  const { entry, proof } = fields(value, ["entry"], ["proof"], part);
  const bytes = bytesOf(entry, `${part}.entry`);
  if (proof === undefined) return { bytes };
  if (typeof proof !== "string") throw new Malformed(`has a ${part}.proof that is not a text`);
  return { bytes, proofText: proof, proof: parseLogProof(proof, checkpoints) };
}

/** Reads an opening. Throws Malformed. */
export function parseOpening(value: unknown): Opening {
  const { request, response } = fields(value, ["request"], ["response"], "opening");
  const salted = (part: unknown, name: string) => {
    const { salt, bytes } = fields(part, ["salt", "bytes"], [], name);
    return { salt: bytesOf(salt, `${name}.salt`), bytes: bytesOf(bytes, `${name}.bytes`) };
  };
  return {
    request: salted(request, "opening.request"),
    ...(response === undefined ? {} : { response: salted(response, "opening.response") }),
  };
}

function parseJson(file: Uint8Array): unknown {
  const text = parseUtf8(file);
  if (text === undefined) throw new Malformed("is not UTF-8 text");
  const value = findJson(text);
  if (value === undefined) throw new Malformed("is not JSON");
  return value;
}

function fields(
  value: unknown,
  needed: readonly string[],
  allowed: readonly string[],
  name: string,
): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new Malformed(`has no object at ${name}`);
  const record = value as Record<string, unknown>;
  const missing = needed.find((key) => !(key in record));
  if (missing !== undefined) throw new Malformed(`lacks ${missing} in ${name}`);
  const unknown = Object.keys(record).find((key) => !needed.includes(key) && !allowed.includes(key));
  if (unknown !== undefined) throw new Malformed(`has an unknown field in ${name}`);
  return record;
}

function bytesOf(value: unknown, name: string): Uint8Array {
  const bytes = typeof value === "string" ? parseBase64(value) : undefined;
  if (bytes === undefined) throw new Malformed(`has a ${name} that is not base64`);
  return bytes;
}
