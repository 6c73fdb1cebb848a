/** What a witness does with a request for its cosignature (C2SP tlog-witness, "add-checkpoint"). Pure. */
import {
  type AddCheckpoint,
  EMPTY_ROOT,
  equal,
  Malformed,
  type Note,
  type NoteKey,
  type NoteSignature,
  parseAddCheckpoint,
  verifyConsistency,
  verifyNote,
} from "@tallystick/protocol";

/** What a witness knows of a log: the keys it trusts for it, and the latest tree that it cosigned. */
export type KnownLog = { keys: readonly NoteKey[]; latest: { size: number; root: Uint8Array } | undefined };

export type Refusal = { kind: "refuse"; status: 400 | 403 | 404 | 422; message: string };

export type Decision =
  /** The tree extends the latest one: cosign and record it. `signatures` are the log's, which hold, one a key. */
  | { kind: "cosign"; signatures: NoteSignature[] }
  /** The proof begins at another size than that of the latest tree. */
  | { kind: "conflict"; size: number }
  /** The log has signed two trees of one size. */
  | { kind: "fork" }
  | Refusal;

/** Reads a request. Of which log it is, and whether that signed it, is yet to be seen. */
export function readRequest(body: Uint8Array): { kind: "read"; request: AddCheckpoint } | Refusal {
  try {
    return { kind: "read", request: parseAddCheckpoint(body) };
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    return refuse(400, `the body ${error.message}`);
  }
}

/** Decides a request for a log's checkpoint, in the order of the specification. `log` is undefined where it is unknown. */
export async function decide(
  { oldSize, proof, checkpoint }: AddCheckpoint,
  log: KnownLog | undefined,
): Promise<Decision> {
  if (log === undefined) return refuse(404, "this witness does not know a log of this origin");
  const verified = await verifyNote(checkpoint.note, log.keys);
  if (verified === undefined) return refuse(403, "a signature under the name and id of the log's key does not hold");
  if (verified.length === 0) return refuse(403, "no signature is by a key that this witness trusts for the log");
  const { size, root, note } = checkpoint;
  if (oldSize > size) return refuse(400, `the old size ${oldSize} is greater than the checkpoint's, ${size}`);
  const latest = log.latest ?? { size: 0, root: EMPTY_ROOT };
  if (oldSize !== latest.size) return { kind: "conflict", size: latest.size };
  if (size === 0 && !equal(root, EMPTY_ROOT)) return refuse(422, "the root is not that of an empty tree");
  if (size === latest.size && !equal(root, latest.root)) return { kind: "fork" };
  if (!extendsTree(latest, { size, root }, proof))
    return refuse(422, `the proof does not lead from the tree of ${oldSize} entries to that of ${size}`);
  return {
    kind: "cosign",
    signatures: [...new Set(verified.map(({ key }) => key))].flatMap((key) => findSignature(note, key) ?? []),
  };
}

type Tree = { size: number; root: Uint8Array };

/** Whether `proof` shows that `next` extends `latest`. Every tree extends the empty one, and that takes no proof. */
function extendsTree(latest: Tree, next: Tree, proof: readonly Uint8Array[]): boolean {
  if (latest.size === 0) return proof.length === 0;
  return verifyConsistency(latest.size, next.size, latest.root, next.root, proof);
}

/** The first line of `note` under the name and id of `key`. */
export function findSignature({ signatures }: Note, key: NoteKey): NoteSignature | undefined {
  return signatures.find(({ name, id }) => name === key.name && equal(id, key.id));
}

function refuse(status: Refusal["status"], message: string): Refusal {
  return { kind: "refuse", status, message };
}
