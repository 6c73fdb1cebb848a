/** Whom a verifier trusts for a log: its keys, each for the sizes that are its own, and the witnesses that have to agree. */
import { equal } from "../bytes.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { type Handover, verifyHandover } from "./handover.ts";
import { createNoteKey, type NoteKey, type VerifiedSignature, verifyNote } from "./note.ts";
import { isQuorum, type Policy } from "./policy.ts";

/** A key of a log, and the least and greatest size of a checkpoint that it may have signed. */
export type LogKeyTerm = { key: NoteKey; firstSize: number; lastSize: number };

export type LogTrust = {
  origin: string;
  /** At least one. */
  keys: readonly LogKeyTerm[];
  /** Whose cosignatures say when, and how many it takes. Without it the log's own key stands in for a witness. */
  policy: Policy | undefined;
};

/** The trust that a log's vkey alone gives. */
export function trustInLog(key: NoteKey, policy?: Policy): LogTrust {
  return { origin: key.name, keys: [{ key, firstSize: 0, lastSize: Number.MAX_SAFE_INTEGER }], policy };
}

/**
 * The same trust, carried over to the keys that `handovers` join to those of `trust`, before and after. A handover that
 * does not hold, or that joins nothing, changes nothing; nor does a second one from or to the same key.
 */
export async function followHandovers(trust: LogTrust, handovers: readonly Handover[]): Promise<LogTrust> {
  const held = await Promise.all(
    handovers.map(async (handover) => handover.from.name === trust.origin && (await verifyHandover(handover))),
  );
  const open = handovers.filter((_, i) => held[i]);
  let keys = [...trust.keys];
  for (let joined = true; joined; ) {
    joined = false;
    for (const handover of open) {
      const next = join(keys, handover);
      joined ||= next !== keys;
      keys = next;
    }
  }
  return { ...trust, keys };
}

const isKey = (key: NoteKey) => (term: LogKeyTerm) => equal(term.key.publicKey, key.publicKey);

/** `keys` with the one that `handover` adds; the very same where it adds none. */
function join(keys: LogKeyTerm[], { from, to, size }: Handover): LogKeyTerm[] {
  const before = keys.find(isKey(from));
  const after = keys.find(isKey(to));
  if ((before === undefined) === (after === undefined)) return keys;
  if (before !== undefined) {
    if (size < before.firstSize || size > before.lastSize || before.lastSize < Number.MAX_SAFE_INTEGER) return keys;
    const ended = keys.map((term) => (term === before ? { ...term, lastSize: size } : term));
    return [...ended, { key: to, firstSize: size, lastSize: Number.MAX_SAFE_INTEGER }];
  }
  if (after === undefined || size > after.lastSize || after.firstSize > 0) return keys;
  const begun = keys.map((term) => (term === after ? { ...term, firstSize: size } : term));
  return [...begun, { key: from, firstSize: 0, lastSize: size }];
}

export type CheckpointFailure = "wrong_origin" | "bad_signature" | "unsigned" | "not_cosigned";

/** Whether the log signed `checkpoint`, and the lower median of the times its cosigners give. */
export async function verifyCheckpoint(
  checkpoint: Checkpoint,
  { origin, keys, policy }: LogTrust,
): Promise<{ ok: true; timeSeconds: number } | { ok: false; failure: CheckpointFailure }> {
  if (checkpoint.origin !== origin) return { ok: false, failure: "wrong_origin" };
  const standIn = ({ key }: LogKeyTerm) => createNoteKey(key.name, "cosignature", key.publicKey);
  const isSigner = ({ firstSize, lastSize }: LogKeyTerm) => firstSize <= checkpoint.size && checkpoint.size <= lastSize;
  const standIns = keys.filter(isSigner).map(standIn); // The time is not another key's to say, though it was the log's.
  const others = keys.filter((term) => !isSigner(term)).map(standIn);
  const witnesses = policy?.witnesses.map(({ key }) => key) ?? [];
  const known = [...keys.map(({ key }) => key), ...standIns, ...others, ...witnesses];
  const signatures = await verifyNote(checkpoint.note, known);
  if (signatures === undefined) return { ok: false, failure: "bad_signature" };
  if (!keys.some((term) => isSigner(term) && signatures.some(({ key }) => key === term.key)))
    return { ok: false, failure: "unsigned" };
  const asked = policy === undefined || policy.quorum.kind === "none" ? standIns : witnesses;
  const cosigned = timesOf(signatures, asked);
  if (policy !== undefined && !isQuorum(policy.quorum, (key) => cosigned.has(key)))
    return { ok: false, failure: "not_cosigned" };
  const timeSeconds = lowerMedian([...cosigned.values()]);
  return timeSeconds === undefined ? { ok: false, failure: "not_cosigned" } : { ok: true, timeSeconds };
}

/** The last time that each of `keys` gave. */
function timesOf(signatures: readonly VerifiedSignature[], keys: readonly NoteKey[]): Map<NoteKey, number> {
  return new Map(
    signatures.flatMap(({ key, timeSeconds }) =>
      timeSeconds === undefined || !keys.includes(key) ? [] : [[key, timeSeconds]],
    ),
  );
}

/** The lower of the two in the middle, where there are two; undefined of none. */
export function lowerMedian(times: readonly number[]): number | undefined {
  const sorted = times.toSorted((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)];
}
