/** The evidence that appraisals in the log name, by its digest: public, so that anybody appraises it again. */
import type { Database } from "../platform/database.ts";
import { transact } from "../platform/database.ts";

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS attestation_evidence (
    number INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, bytes BLOB NOT NULL
  ) STRICT;
`;
/** The newest that are kept: of a hundred nodes that attest each two hours, some two weeks. */
const KEPT_COUNT = 20_000;

export type EvidenceArchive = {
  keep(digest: Uint8Array, bytes: Uint8Array): void;
  find(digest: Uint8Array): Uint8Array | undefined;
};

export function createEvidenceArchive(database: Database.Database, keptCount: number = KEPT_COUNT): EvidenceArchive {
  database.exec(SCHEMA);
  const insert = database.prepare("INSERT OR IGNORE INTO attestation_evidence (digest, bytes) VALUES (?, ?)");
  const trim = database.prepare(
    "DELETE FROM attestation_evidence WHERE number <= (SELECT max(number) FROM attestation_evidence) - ?",
  );
  const select = database.prepare("SELECT bytes FROM attestation_evidence WHERE digest = ?");
  return {
    keep(digest, bytes) {
      transact(database, () => {
        insert.run([Buffer.from(digest), Buffer.from(bytes)]);
        trim.run([keptCount]);
      });
    },
    find(digest) {
      const row = select.get([Buffer.from(digest)]) as { bytes: ArrayBuffer } | undefined;
      return row && new Uint8Array(row.bytes);
    },
  };
}
