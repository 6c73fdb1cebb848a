/** Where statements about receipts come in: each goes into the log, and what it names is kept beside it. */
import {
  type Entry,
  equal,
  type FoldState,
  hex,
  isJsonObject,
  keyOf,
  type LotOpening,
  Malformed,
  parseCanonicalJson,
  parseEntry,
  parseLotOpening,
  type Session,
  type Submission,
  sha256,
  signedId,
} from "@tallystick/protocol";
import { ServiceError } from "../platform/errors.ts";
import type { Archive } from "./archive-store.ts";
import { caseOf, claimOf } from "./cases.ts";

export type DeskParts = {
  fold: FoldState;
  archive: Archive;
  readEntry(index: number): Promise<Uint8Array>;
  /** Takes an entry in by the log's own door. */
  submit(entry: Uint8Array): Promise<Logged>;
  /** The same for a dispute, whose opening was checked. */
  submitOpened(entry: Uint8Array): Promise<Logged>;
};

export type Logged = { index: number; alreadyLogged: boolean };

export type Desk = {
  /** A verification or a resolution, or what a verifier says to the lot. */
  take(statement: Submission): Promise<Logged>;
  /** A dispute, whose opening is kept for the referee. Throws invalid_request where it does not open the receipt. */
  dispute(statement: Submission): Promise<Logged & { id: Uint8Array }>;
  /** Throws invalid_request where that does not open the receipt. */
  requireOpens(receipt: Uint8Array, opening: LotOpening): Promise<void>;
};

export function createDesk({ fold, archive, readEntry, submit, submitOpened }: DeskParts): Desk {
  async function requireOpens(receipt: Uint8Array, opening: LotOpening): Promise<void> {
    const { index } = getReceipt(fold, receipt);
    const opened = claimOf(caseOf(fold, receipt, await readEntry(index)), opening);
    if (!opened.ok) throw new ServiceError("invalid_request", `this does not open ${hex(receipt)}: ${opened.fault}`);
  }

  return {
    requireOpens,

    async take({ entry: bytes, evidence }) {
      const entry = orRefuse(() => parseEntry(bytes));
      const named = entry.kind === "verification" || entry.kind === "resolution" ? entry.says.evidence : undefined;
      if (named === undefined && entry.kind !== "lot")
        throw new ServiceError("invalid_request", `a ${entry.kind} entry is not taken here`);
      requireEvidence(named, evidence);
      const logged = await submit(bytes);
      if (named !== undefined && evidence !== undefined) archive.keepEvidence(named, evidence);
      return logged;
    },

    async dispute({ entry: bytes, evidence, opening: openingBytes }) {
      const entry: Entry = orRefuse(() => parseEntry(bytes));
      if (entry.kind !== "dispute" || openingBytes === undefined)
        throw new ServiceError("invalid_request", "a dispute is a dispute entry, with the opening of its receipt");
      const { receipt, evidence: named } = entry.says;
      requireEvidence(named, evidence);
      const opening = orRefuse(() => parseLotOpening(openingBytes));
      await requireOpens(receipt, opening);
      const [id, disputer] = [signedId(entry.signed), entry.signed.keyId];
      // First, so that no dispute is in the log that the referee cannot open; and only for a key that may dispute.
      const role = fold.keys.get(keyOf(disputer))?.role;
      const isKept = (role === "disputer" || role === "verifier") && archive.keepOpening(id, disputer, opening);
      try {
        const logged = await submitOpened(bytes);
        // A stranger's evidence may hold anything: what is shown to everybody is what the network's own roles say.
        if (role === "verifier" && evidence !== undefined) archive.keepEvidence(named, evidence);
        return { ...logged, id };
      } catch (error) {
        if (isKept) archive.forgetOpening(id); // Else it is of the same dispute as somebody sent before.
        throw error;
      }
    },
  };
}

/** A receipt that the fold knows, with the session it is of. Throws not_found. */
export function getReceipt(fold: FoldState, id: Uint8Array): { index: number; session: Session } {
  const receipt = fold.receipts.get(keyOf(id));
  const session = fold.sessions.get(receipt?.session ?? "");
  if (receipt === undefined || session === undefined)
    throw new ServiceError("not_found", `no published receipt ${hex(id)}: wait a second for the next checkpoint`);
  return { index: receipt.index, session };
}

function requireEvidence(digest: Uint8Array | undefined, evidence: Uint8Array | undefined): void {
  if (evidence === undefined) return;
  if (digest === undefined || !equal(sha256(evidence), digest))
    throw new ServiceError("invalid_request", "the evidence is not what the entry names by its SHA-256");
  if (!isJsonObject(orRefuse(() => parseCanonicalJson(evidence))))
    throw new ServiceError("invalid_request", "the evidence is no JSON object");
}

/** What `parse` makes of bytes from outside. Throws invalid_request. */
export function orRefuse<T>(parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    if (!(cause instanceof Malformed)) throw cause;
    throw new ServiceError("invalid_request", `what was sent ${cause.message}`, { cause });
  }
}
