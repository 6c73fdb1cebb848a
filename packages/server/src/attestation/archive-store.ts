/**
 * The evidence that appraisals in the log name, by its digest: public, so that anybody appraises it again. And the keys by which
 * nodes end TLS, as their evidence says.
 */
import { keyOf } from "@tallystick/protocol";
import type { Database } from "../platform/database.ts";
import { transact } from "../platform/database.ts";

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS attestation_evidence (
    number INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, bytes BLOB NOT NULL
  ) STRICT;
  CREATE TABLE IF NOT EXISTS attestation_tls (
    node BLOB PRIMARY KEY, tls_key BLOB NOT NULL, expiry INTEGER NOT NULL
  ) STRICT;
`;
/** The newest that are kept: of a hundred nodes that attest each two hours, some two weeks. */
const KEPT_COUNT = 20_000;

export type EvidenceArchive = {
  keep(digest: Uint8Array, bytes: Uint8Array): void;
  find(digest: Uint8Array): Uint8Array | undefined;
  /** From here to `expiry` a node ends TLS by this key alone, the SHA-256 of its SubjectPublicKeyInfo; by any, where there is none. */
  holdTls(node: Uint8Array, tlsKey: Uint8Array | undefined, expirySeconds: number): void;
  findTlsKey(node: Uint8Array, nowSeconds: number): Uint8Array | undefined;
};

export function createEvidenceArchive(database: Database.Database, keptCount: number = KEPT_COUNT): EvidenceArchive {
  database.exec(SCHEMA);
  const insert = database.prepare("INSERT OR IGNORE INTO attestation_evidence (digest, bytes) VALUES (?, ?)");
  const trim = database.prepare(
    "DELETE FROM attestation_evidence WHERE number <= (SELECT max(number) FROM attestation_evidence) - ?",
  );
  const select = database.prepare("SELECT bytes FROM attestation_evidence WHERE digest = ?");
  const upsertTls = database.prepare("INSERT OR REPLACE INTO attestation_tls VALUES (?, ?, ?)");
  const deleteTls = database.prepare("DELETE FROM attestation_tls WHERE node = ?");
  const selectTls = database.prepare("SELECT node, tls_key, expiry FROM attestation_tls");
  type TlsRow = { node: ArrayBuffer; tls_key: ArrayBuffer; expiry: number };
  /** By node: asked for at every call. */
  const held = new Map<string, { tlsKey: Uint8Array; expirySeconds: number }>(
    (selectTls.all([]) as TlsRow[]).map((row) => [
      keyOf(new Uint8Array(row.node)),
      { tlsKey: new Uint8Array(row.tls_key), expirySeconds: Number(row.expiry) },
    ]),
  );

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

    holdTls(node, tlsKey, expirySeconds) {
      transact(database, () => {
        if (tlsKey === undefined) deleteTls.run([Buffer.from(node)]);
        else upsertTls.run([Buffer.from(node), Buffer.from(tlsKey), expirySeconds]);
      });
      if (tlsKey === undefined) held.delete(keyOf(node));
      else held.set(keyOf(node), { tlsKey: tlsKey.slice(), expirySeconds });
    },

    findTlsKey(node, nowSeconds) {
      const found = held.get(keyOf(node));
      return found !== undefined && nowSeconds <= found.expirySeconds ? found.tlsKey : undefined;
    },
  };
}
