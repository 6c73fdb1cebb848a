/**
 * What verification keeps beside the log: evidence by its digest, where the log says something about a receipt, and, sealed
 * until the referee has decided, the openings that came with disputes.
 */
import { createCipheriv, createDecipheriv } from "node:crypto";
import { encodeLotOpening, type LotOpening, parseLotOpening } from "@tallystick/protocol";
import { type Database, emptyJournal, transact } from "../platform/database.ts";
import { ServiceError } from "../platform/errors.ts";
import type { Random } from "../platform/random.ts";

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS evidence (
    number INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, bytes BLOB NOT NULL
  ) STRICT;
  CREATE TABLE IF NOT EXISTS statements (
    entry_index INTEGER PRIMARY KEY, receipt BLOB NOT NULL
  ) STRICT;
  CREATE INDEX IF NOT EXISTS statements_by_receipt ON statements (receipt);
  CREATE TABLE IF NOT EXISTS disputed_openings (
    dispute BLOB PRIMARY KEY, disputer BLOB NOT NULL, sealed BLOB NOT NULL
  ) STRICT;
  CREATE TABLE IF NOT EXISTS noted (one INTEGER PRIMARY KEY CHECK (one = 1), log_size INTEGER NOT NULL) STRICT;
`;

export type ArchiveLimits = {
  /** Pieces of evidence that are kept, the newest. */
  evidenceCount: number;
  /** Openings that wait for the referee: all of them together, and those of one disputer. */
  openingBytes: number;
  openingsOfOne: number;
};

export const ARCHIVE_LIMITS: ArchiveLimits = {
  evidenceCount: 1_000_000,
  openingBytes: 512 * 1024 * 1024,
  openingsOfOne: 16,
};

export type Archive = {
  keepEvidence(digest: Uint8Array, bytes: Uint8Array): void;
  findEvidence(digest: Uint8Array): Uint8Array | undefined;
  /** How far the log was gone through for statements. */
  readonly notedSize: number;
  /** Notes where the log speaks of which receipt, and that it was gone through so far. */
  note(statements: readonly { index: number; receipt: Uint8Array }[], logSize: number): void;
  /** The indexes of the statements about a receipt, in order. */
  statementsOf(receipt: Uint8Array): number[];
  /** Keeps an opening for the referee alone: whether it was not there. Throws rate_limited where too many wait. */
  keepOpening(dispute: Uint8Array, disputer: Uint8Array, opening: LotOpening): boolean;
  findOpening(dispute: Uint8Array): LotOpening | undefined;
  /** The disputes whose openings are kept. */
  disputesOpened(): Uint8Array[];
  forgetOpening(dispute: Uint8Array): void;
};

export type ArchiveParts = {
  database: Database.Database;
  /** 32 bytes, kept elsewhere: the database alone opens nothing. */
  sealingKey: Uint8Array;
  random: Random;
  limits?: Partial<ArchiveLimits>;
};

export function createArchive({ database, sealingKey, random, limits: given }: ArchiveParts): Archive {
  const limits = { ...ARCHIVE_LIMITS, ...given };
  database.exec(SCHEMA);
  const insertEvidence = database.prepare("INSERT OR IGNORE INTO evidence (digest, bytes) VALUES (?, ?)");
  const trimEvidence = database.prepare("DELETE FROM evidence WHERE number <= (SELECT max(number) FROM evidence) - ?");
  const selectEvidence = database.prepare("SELECT bytes FROM evidence WHERE digest = ?");
  const insertStatement = database.prepare("INSERT OR REPLACE INTO statements VALUES (?, ?)");
  const dropStatements = database.prepare("DELETE FROM statements WHERE entry_index >= ?");
  const selectStatements = database.prepare(
    "SELECT entry_index FROM statements WHERE receipt = ? ORDER BY entry_index",
  );
  const selectNoted = database.prepare("SELECT log_size FROM noted");
  const setNoted = database.prepare("INSERT OR REPLACE INTO noted VALUES (1, ?)");
  const insertOpening = database.prepare("INSERT INTO disputed_openings VALUES (?, ?, ?)");
  const selectOpening = database.prepare("SELECT sealed FROM disputed_openings WHERE dispute = ?");
  const selectDisputes = database.prepare("SELECT dispute FROM disputed_openings");
  const deleteOpening = database.prepare("DELETE FROM disputed_openings WHERE dispute = ?");
  const sumOpenings = database.prepare(
    "SELECT coalesce(sum(length(sealed)), 0) AS bytes, coalesce(sum(disputer = ?), 0) AS own FROM disputed_openings",
  );

  const notedSize = () => Number((selectNoted.get([]) as { log_size: number } | undefined)?.log_size ?? 0);

  return {
    keepEvidence(digest, bytes) {
      transact(database, () => {
        insertEvidence.run([Buffer.from(digest), Buffer.from(bytes)]);
        trimEvidence.run([limits.evidenceCount]);
      });
    },

    findEvidence(digest) {
      const row = selectEvidence.get([Buffer.from(digest)]) as { bytes: ArrayBuffer } | undefined;
      return row && new Uint8Array(row.bytes);
    },

    get notedSize() {
      return notedSize();
    },

    note(statements, logSize) {
      transact(database, () => {
        // A log that was restored from a backup uses indexes again.
        if (logSize < notedSize()) dropStatements.run([logSize]);
        for (const { index, receipt } of statements) insertStatement.run([index, Buffer.from(receipt)]);
        setNoted.run([logSize]);
      });
    },

    statementsOf(receipt) {
      const rows = selectStatements.all([Buffer.from(receipt)]) as { entry_index: number }[];
      return rows.map((row) => row.entry_index);
    },

    keepOpening(dispute, disputer, opening) {
      if (selectOpening.get([Buffer.from(dispute)]) !== undefined) return false;
      const plain = encodeLotOpening(opening);
      const { bytes, own } = sumOpenings.get([Buffer.from(disputer)]) as { bytes: number; own: number };
      if (own >= limits.openingsOfOne || bytes + plain.length > limits.openingBytes) {
        const which = own >= limits.openingsOfOne ? `${own} disputes of this key` : "too many disputes";
        throw new ServiceError("rate_limited", `${which} wait for the referee: send it again once one is decided`);
      }
      const nonce = random(12);
      const cipher = createCipheriv("aes-256-gcm", sealingKey, nonce).setAAD(dispute);
      const sealed = cipher.update(plain);
      cipher.final();
      const row = Buffer.concat([nonce, cipher.getAuthTag(), sealed]);
      transact(database, () => void insertOpening.run([Buffer.from(dispute), Buffer.from(disputer), row]));
      return true;
    },

    disputesOpened() {
      return (selectDisputes.all([]) as { dispute: ArrayBuffer }[]).map((row) => new Uint8Array(row.dispute));
    },

    findOpening(dispute) {
      const row = selectOpening.get([Buffer.from(dispute)]) as { sealed: ArrayBuffer } | undefined;
      if (row === undefined) return undefined;
      const sealed = Buffer.from(row.sealed);
      const decipher = createDecipheriv("aes-256-gcm", sealingKey, sealed.subarray(0, 12)).setAAD(dispute);
      decipher.setAuthTag(sealed.subarray(12, 28));
      const plain = decipher.update(sealed.subarray(28));
      decipher.final(); // Throws where a byte was changed.
      return parseLotOpening(new Uint8Array(plain));
    },

    forgetOpening(dispute) {
      transact(database, () => void deleteOpening.run([Buffer.from(dispute)]));
      emptyJournal(database);
    },
  };
}
