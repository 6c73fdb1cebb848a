/** Which idempotency keys were used, for a day, in SQLite: written before the work begins, so that a crash doubles nothing. */
import { type Database, transact } from "../platform/database.ts";

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS idempotency_keys (
    number INTEGER PRIMARY KEY AUTOINCREMENT, name BLOB NOT NULL UNIQUE, request BLOB NOT NULL, receipt_id TEXT,
    expires_seconds INTEGER NOT NULL
  ) STRICT;
`;

/** How long a key is remembered, and how many at most: past that the oldest are forgotten. */
const KEPT_SECONDS = 86_400;
const MARKS_KEPT = 1_000_000;
/** Marks that have expired, or are too many, are looked for once in so many. */
const SWEPT_EVERY = 256;

/** That a key was used: for which request, and the receipt that came of it. Without one its outcome is not known. */
export type Mark = { request: Uint8Array; receiptId: string | undefined };

export type IdempotencyStore = {
  find(name: Uint8Array, nowSeconds: number): Mark | undefined;
  /** Marks a key as used. */
  put(name: Uint8Array, request: Uint8Array, nowSeconds: number): void;
  settle(name: Uint8Array, receiptId: string): void;
  /** Forgets a key of which nothing came. */
  remove(name: Uint8Array): void;
};

type Row = { request: ArrayBuffer; receipt_id: string | null; expires_seconds: number };

export function createIdempotencyStore(database: Database.Database): IdempotencyStore {
  database.exec(SCHEMA);
  const select = database.prepare("SELECT request, receipt_id, expires_seconds FROM idempotency_keys WHERE name = ?");
  const insert = database.prepare(
    "INSERT OR REPLACE INTO idempotency_keys (name, request, expires_seconds) VALUES (?, ?, ?)",
  );
  const update = database.prepare("UPDATE idempotency_keys SET receipt_id = ? WHERE name = ?");
  const remove = database.prepare("DELETE FROM idempotency_keys WHERE name = ?");
  const removeExpired = database.prepare("DELETE FROM idempotency_keys WHERE expires_seconds < ?");
  const removeOldest = database.prepare(
    `DELETE FROM idempotency_keys WHERE number <= (SELECT max(number) FROM idempotency_keys) - ${MARKS_KEPT}`,
  );
  let putCount = 0;

  return {
    find(name, nowSeconds) {
      const row = select.get([name]) as Row | undefined;
      if (row === undefined || row.expires_seconds < nowSeconds) return undefined;
      return { request: new Uint8Array(row.request), receiptId: row.receipt_id ?? undefined };
    },

    put(name, request, nowSeconds) {
      transact(database, () => {
        if (putCount++ % SWEPT_EVERY === 0) {
          removeExpired.run([nowSeconds]);
          removeOldest.run([]);
        }
        insert.run([name, request, nowSeconds + KEPT_SECONDS]);
      });
    },

    settle(name, receiptId) {
      transact(database, () => update.run([receiptId, name]));
    },

    remove(name) {
      transact(database, () => remove.run([name]));
    },
  };
}
