/** What API keys have spent, in SQLite: the log does not say which key of an account asked. */
import { type Database, transact } from "../platform/database.ts";

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS key_spending (
    key_id TEXT NOT NULL, day INTEGER NOT NULL, spent_atomic TEXT NOT NULL, PRIMARY KEY (key_id, day)
  ) STRICT, WITHOUT ROWID;
`;
/** The day under which all of a key's days are kept together. */
const ALL_DAYS = -1;

export type Spending = { totalAtomic: bigint; dayAtomic: bigint };

export type SpendingStore = {
  find(keyId: string, day: number): Spending;
  /** Keeps what a key has spent in all and on a day, and forgets the days before. */
  put(keyId: string, day: number, spending: Spending): void;
};

export function createSpendingStore(database: Database.Database): SpendingStore {
  database.exec(SCHEMA);
  const select = database.prepare("SELECT spent_atomic FROM key_spending WHERE key_id = ? AND day = ?");
  const insert = database.prepare("INSERT OR REPLACE INTO key_spending VALUES (?, ?, ?)");
  const removeDays = database.prepare("DELETE FROM key_spending WHERE key_id = ? AND day >= 0 AND day < ?");
  const read = (keyId: string, day: number) =>
    BigInt((select.get([keyId, day]) as { spent_atomic: string } | undefined)?.spent_atomic ?? 0);

  return {
    find: (keyId, day) => ({ totalAtomic: read(keyId, ALL_DAYS), dayAtomic: read(keyId, day) }),

    put(keyId, day, { totalAtomic, dayAtomic }) {
      transact(database, () => {
        insert.run([keyId, ALL_DAYS, String(totalAtomic)]);
        insert.run([keyId, day, String(dayAtomic)]);
        removeDays.run([keyId, day]);
      });
    },
  };
}
