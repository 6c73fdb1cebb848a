/** Proofs of inclusion that stand alone (C2SP tlog-proof): index, hashes, and the checkpoint they lead to. */
import { base64, parseBase64, utf8 } from "../bytes.ts";
import { Malformed } from "../cbor/bytes.ts";
import { LOG_PROOF_SIZE_BYTES, PROOF_HASHES } from "../limits.ts";
import { type Checkpoint, parseCheckpoint } from "./checkpoint.ts";
import { leafHash, verifyInclusion } from "./merkle.ts";
import { encodeNote, type Note } from "./note.ts";

const HEADER = "c2sp.org/tlog-proof@v1";

export type LogProof = { index: number; hashes: Uint8Array[]; checkpoint: Checkpoint };

/** The text of a proof. */
export function encodeLogProof(index: number, hashes: readonly Uint8Array[], checkpoint: Note): string {
  return [HEADER, `index ${index}`, ...hashes.map(base64), "", encodeNote(checkpoint)].join("\n");
}

/**
 * Reads a proof from our own log. Stricter than C2SP: the `extra` line is refused, since nobody signs it and it could
 * change unnoticed; so are a checkpoint's extension lines, more than 63 hashes and an index over 2^53 - 1. Throws Malformed.
 * `known` are the checkpoints that were read before, by their texts.
 */
export function parseLogProof(text: string, known: Map<string, Checkpoint> = new Map()): LogProof {
  if (text.length > LOG_PROOF_SIZE_BYTES)
    throw new Malformed(`is a proof of ${text.length} characters; at most ${LOG_PROOF_SIZE_BYTES} are allowed`);
  const end = text.indexOf("\n\n");
  const [header, indexLine = "", ...lines] = text.slice(0, end).split("\n");
  const index = /^index (0|[1-9][0-9]{0,15})$/.exec(indexLine)?.[1];
  if (end < 0 || header !== HEADER || index === undefined || !Number.isSafeInteger(Number(index)))
    throw new Malformed(`is not a ${HEADER}`);
  if (lines.length > PROOF_HASHES)
    throw new Malformed(`is a proof of ${lines.length} hashes; at most ${PROOF_HASHES} are allowed`);
  const hashes = lines.map((line) => {
    const hash = parseBase64(line);
    if (hash?.length !== 32) throw new Malformed("is a proof with a line that is not a hash");
    return hash;
  });
  const checkpointText = text.slice(end + 2);
  const checkpoint = known.get(checkpointText) ?? parseCheckpoint(utf8(checkpointText));
  known.set(checkpointText, checkpoint);
  return { index: Number(index), hashes, checkpoint };
}

/** Whether `entry` is in the tree of the proof's checkpoint. Says nothing about who signed that. */
export function proves({ index, hashes, checkpoint }: LogProof, entry: Uint8Array): boolean {
  return verifyInclusion(leafHash(entry), index, checkpoint.size, hashes, checkpoint.root);
}
