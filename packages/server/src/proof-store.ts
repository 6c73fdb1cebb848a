/**
 * What is asked to be proved, and what came of it: each call from before its receipt is signed until its proof is made, each
 * proof until it is checked and its requester has had time to fetch it. Sealed, since both show answers.
 */
import { createCipheriv, createDecipheriv } from "node:crypto";
import { OPENING_KEPT_SECONDS } from "./gateway/openings.ts";
import { type Database, emptyJournal, transact } from "./platform/database.ts";
import type { Random } from "./platform/random.ts";

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS proofs (
    number INTEGER PRIMARY KEY, receipt BLOB NOT NULL UNIQUE, state TEXT NOT NULL, attempts INTEGER NOT NULL,
    is_checked INTEGER NOT NULL, expires_seconds INTEGER NOT NULL, sealed BLOB NOT NULL
  ) STRICT;
  CREATE INDEX IF NOT EXISTS proofs_by_state ON proofs (state, is_checked);
  CREATE INDEX IF NOT EXISTS proofs_by_expiry ON proofs (expires_seconds);
`;

/** An answer, under the salt of its commitment. */
export type SaltedAnswer = { bytes: Uint8Array; salt: Uint8Array };

/** A call to be proved: its bytes, the salt of the requester's commitment, and what was answered. */
export type ProofJob = { call: Uint8Array; salt: Uint8Array; answer: SaltedAnswer };

/** What came of a call: nothing yet; its proof; or why there is none. */
export type ProofState =
  | { state: "waiting"; job: ProofJob; attempts: number }
  | { state: "made"; evidence: Uint8Array; answer: SaltedAnswer }
  | { state: "failed"; reason: string };

export type ProofStore = {
  readonly waitingCount: number;
  /** Durable when it returns: it is there, or proved, after a crash. Throws unavailable where the disk refuses. */
  keep(receiptId: Uint8Array, job: ProofJob): void;
  /** What does not unseal, being damaged or of another key, is as good as not proved. */
  find(receiptId: Uint8Array): ProofState | undefined;
  /** The receipts whose calls wait, and those of which nobody has checked what came of them: the oldest first. */
  listWaiting(): Uint8Array[];
  listUnchecked(): Uint8Array[];
  /** Notes that a call is about to be proved, so that one that ends the process is not tried for ever; or that it was not. */
  noteAttempt(receiptId: Uint8Array, change: 1 | -1): void;
  /** Puts what came of a call in its place. */
  conclude(receiptId: Uint8Array, outcome: Exclude<ProofState, { state: "waiting" }>, nowSeconds: number): void;
  noteChecked(receiptId: Uint8Array): void;
  /** Overwrites what is kept of a receipt. Whether there was something. */
  destroy(receiptId: Uint8Array): boolean;
  /** The same with what came of calls, once its time is over, and with the oldest of more than are kept. */
  sweep(nowSeconds: number): void;
};

/** Proofs that are kept: some 100 MB. */
const KEPT_MOST = 10_000;

/** The driver gives a blob as an ArrayBuffer where it gives several rows. */
type Row = { state: string; attempts: number; sealed: ArrayBuffer };

export type ProofStoreParts = {
  /** Synced with each commit. */
  database: Database.Database;
  /** 32 bytes, kept elsewhere: the database alone opens nothing. */
  sealingKey: Uint8Array;
  random: Random;
};

export function createProofStore({ database, sealingKey, random }: ProofStoreParts): ProofStore {
  database.exec(SCHEMA);
  const insert = database.prepare(
    "INSERT INTO proofs (receipt, state, attempts, is_checked, expires_seconds, sealed) VALUES (?, 'waiting', 0, 0, 0, ?)",
  );
  const select = database.prepare("SELECT state, attempts, sealed FROM proofs WHERE receipt = ?");
  const count = database.prepare("SELECT count(*) AS count FROM proofs WHERE state = 'waiting'");
  const waiting = database.prepare("SELECT receipt FROM proofs WHERE state = 'waiting' ORDER BY number");
  const unchecked = database.prepare(
    "SELECT receipt FROM proofs WHERE state <> 'waiting' AND is_checked = 0 ORDER BY number",
  );
  const attempt = database.prepare("UPDATE proofs SET attempts = attempts + ? WHERE receipt = ?");
  const update = database.prepare("UPDATE proofs SET state = ?, expires_seconds = ?, sealed = ? WHERE receipt = ?");
  const check = database.prepare("UPDATE proofs SET is_checked = 1 WHERE receipt = ?");
  const remove = database.prepare("DELETE FROM proofs WHERE receipt = ?");
  const outdated = database.prepare(
    "SELECT receipt FROM proofs WHERE state <> 'waiting' AND (expires_seconds < ? OR number <= (SELECT max(number) FROM proofs) - ?)",
  );

  const listed = (rows: unknown[]) => (rows as { receipt: ArrayBuffer }[]).map((row) => new Uint8Array(row.receipt));

  /** AES-256-GCM: nonce ‖ tag ‖ ciphertext of the parts, each after its length in four bytes; bound to the receipt and the state. */
  function seal(receiptId: Uint8Array, state: string, parts: readonly Uint8Array[]): Buffer {
    const nonce = random(12);
    const cipher = createCipheriv("aes-256-gcm", sealingKey, nonce).setAAD(aad(receiptId, state));
    const plain = parts.flatMap((part) => {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(part.length);
      return [length, part];
    });
    const sealed = cipher.update(Buffer.concat(plain));
    cipher.final();
    return Buffer.concat([nonce, cipher.getAuthTag(), sealed]);
  }

  function unseal(receiptId: Uint8Array, { state, sealed }: Row): Uint8Array[] {
    const bytes = Buffer.from(sealed);
    const decipher = createDecipheriv("aes-256-gcm", sealingKey, bytes.subarray(0, 12)).setAAD(aad(receiptId, state));
    decipher.setAuthTag(bytes.subarray(12, 28));
    const plain = decipher.update(bytes.subarray(28));
    decipher.final(); // Throws where a byte was changed.
    const parts: Uint8Array[] = [];
    for (let at = 0; at < plain.length; at += 4 + plain.readUInt32BE(at))
      parts.push(new Uint8Array(plain.subarray(at + 4, at + 4 + plain.readUInt32BE(at))));
    return parts;
  }

  function findUnsealed(receiptId: Uint8Array, row: Row): ProofState {
    const [first = NONE, second = NONE, third = NONE, fourth = NONE] = unseal(receiptId, row);
    if (row.state === "made") return { state: "made", evidence: first, answer: { bytes: second, salt: third } };
    if (row.state === "failed") return { state: "failed", reason: new TextDecoder().decode(first) };
    const job = { call: first, salt: second, answer: { bytes: third, salt: fourth } };
    return { state: "waiting", job, attempts: row.attempts };
  }

  function destroy(receiptIds: readonly Uint8Array[]): boolean {
    let isGone = false;
    transact(database, () => {
      for (const id of receiptIds) isGone = remove.run([Buffer.from(id)]).changes > 0 || isGone;
    });
    if (isGone) emptyJournal(database);
    return isGone;
  }

  return {
    get waitingCount() {
      return (count.get([]) as { count: number }).count;
    },

    keep(receiptId, { call, salt, answer }) {
      const sealed = seal(receiptId, "waiting", [call, salt, answer.bytes, answer.salt]);
      transact(database, () => {
        insert.run([Buffer.from(receiptId), sealed]);
      });
    },

    find(receiptId) {
      const row = select.get([Buffer.from(receiptId)]) as Row | undefined;
      if (row === undefined) return undefined;
      try {
        return findUnsealed(receiptId, row);
      } catch {
        return { state: "failed", reason: "what was kept of it does not unseal" };
      }
    },

    listWaiting: () => listed(waiting.all([])),
    listUnchecked: () => listed(unchecked.all([])),

    noteAttempt(receiptId, change) {
      transact(database, () => void attempt.run([change, Buffer.from(receiptId)]));
    },

    conclude(receiptId, outcome, nowSeconds) {
      const parts =
        outcome.state === "made"
          ? [outcome.evidence, outcome.answer.bytes, outcome.answer.salt]
          : [new TextEncoder().encode(outcome.reason)];
      const sealed = seal(receiptId, outcome.state, parts);
      const expiresSeconds = nowSeconds + OPENING_KEPT_SECONDS;
      transact(database, () => {
        update.run([outcome.state, expiresSeconds, sealed, Buffer.from(receiptId)]);
      });
      emptyJournal(database); // The call was in there.
    },

    noteChecked(receiptId) {
      transact(database, () => void check.run([Buffer.from(receiptId)]));
    },

    destroy: (receiptId) => destroy([receiptId]),

    sweep(nowSeconds) {
      const gone = listed(outdated.all([nowSeconds, KEPT_MOST]));
      if (gone.length > 0) destroy(gone);
    },
  };
}

const NONE = new Uint8Array(0);

function aad(receiptId: Uint8Array, state: string): Buffer {
  return Buffer.concat([Buffer.from(`tallystick proof ${state} `), receiptId]);
}
