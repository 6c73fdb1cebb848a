/** Sealed contents of calls, in SQLite, each with the salt without which nothing unseals it. */
import { type Database, emptyJournal, transact } from "../platform/database.ts";

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS contents (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, payer_tag TEXT NOT NULL, salt BLOB NOT NULL,
    sealed BLOB NOT NULL, expires_seconds INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX IF NOT EXISTS contents_by_payer ON contents (payer_tag, number);
  CREATE INDEX IF NOT EXISTS contents_by_expiry ON contents (expires_seconds);
`;

export type SealedContent = {
  id: string;
  payerTag: string;
  salt: Uint8Array;
  sealed: Uint8Array;
  expiresSeconds: number;
};

export type ContentsStore = {
  /** Writes a content, and before it overwrites what has expired. */
  put(content: SealedContent, nowSeconds: number): void;
  find(id: string, payerTag: string): SealedContent | undefined;
  /** Overwrites a content and its salt, in the journal as well. Whether there was one. */
  remove(id: string, payerTag: string): boolean;
  /** Overwrites the oldest content of an account. Whether there was one. */
  removeOldest(payerTag: string): boolean;
  /** The bytes of all sealed contents, and of those of an account. */
  sizeBytes(): number;
  sizeBytesOf(payerTag: string): number;
};

type Row = { salt: ArrayBuffer; sealed: ArrayBuffer; expires_seconds: number };
type SizeRow = { payer_tag: string; size_bytes: number };

export function createContentsStore(database: Database.Database): ContentsStore {
  database.exec(SCHEMA);
  const insert = database.prepare(
    "INSERT INTO contents (id, payer_tag, salt, sealed, expires_seconds) VALUES (?, ?, ?, ?, ?)",
  );
  const select = database.prepare("SELECT salt, sealed, expires_seconds FROM contents WHERE id = ? AND payer_tag = ?");
  const removing = (where: string) =>
    database.prepare(`DELETE FROM contents WHERE ${where} RETURNING payer_tag, length(sealed) AS size_bytes`);
  const remove = removing("id = ? AND payer_tag = ?");
  const removeFirst = removing("number = (SELECT min(number) FROM contents WHERE payer_tag = ?)");
  const removeExpired = removing("expires_seconds < ?");
  const selectSizes = database.prepare(
    "SELECT payer_tag, sum(length(sealed)) AS size_bytes FROM contents GROUP BY payer_tag",
  );
  const sizes = new Map<string, number>();
  for (const row of selectSizes.all([]) as SizeRow[]) sizes.set(row.payer_tag, row.size_bytes);

  /** Removes what `statement` names, and says whether there was any. */
  function removed(statement: typeof remove, of: unknown[]): boolean {
    let gone: SizeRow[] = [];
    transact(database, () => {
      gone = statement.all(of) as SizeRow[];
    });
    for (const { payer_tag: payerTag, size_bytes: sizeBytes } of gone) grow(payerTag, -sizeBytes);
    return gone.length > 0;
  }

  function grow(payerTag: string, byBytes: number): void {
    const sizeBytes = (sizes.get(payerTag) ?? 0) + byBytes;
    if (sizeBytes > 0) sizes.set(payerTag, sizeBytes);
    else sizes.delete(payerTag);
  }

  return {
    put({ id, payerTag, salt, sealed, expiresSeconds }, nowSeconds) {
      removed(removeExpired, [nowSeconds]);
      transact(database, () => insert.run([id, payerTag, salt, sealed, expiresSeconds]));
      grow(payerTag, sealed.length);
    },

    find(id, payerTag) {
      const [row] = select.all([id, payerTag]) as Row[];
      if (row === undefined) return undefined;
      const { salt, sealed, expires_seconds: expiresSeconds } = row;
      return { id, payerTag, salt: new Uint8Array(salt), sealed: new Uint8Array(sealed), expiresSeconds };
    },

    remove(id, payerTag) {
      const wasThere = removed(remove, [id, payerTag]);
      if (wasThere) emptyJournal(database);
      return wasThere;
    },

    removeOldest: (payerTag) => removed(removeFirst, [payerTag]),
    sizeBytes: () => [...sizes.values()].reduce((sum, sizeBytes) => sum + sizeBytes, 0),
    sizeBytesOf: (payerTag) => sizes.get(payerTag) ?? 0,
  };
}
