/** Accounts, their API keys and the openings kept for them: the gateway's control state, in SQLite. */
import { createCipheriv, createDecipheriv, createHash } from "node:crypto";
import { concat, hex } from "@tallystick/protocol";
import { type Database, emptyJournal, transact } from "../platform/database.ts";
import type { Report } from "../platform/http.ts";
import type { Random } from "../platform/random.ts";

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS accounts (payer_tag TEXT PRIMARY KEY, name TEXT NOT NULL, created_seconds INTEGER NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS api_keys (key_hash TEXT PRIMARY KEY, payer_tag TEXT NOT NULL REFERENCES accounts) STRICT;
  CREATE TABLE IF NOT EXISTS openings (
    receipt_id TEXT PRIMARY KEY, payer_tag TEXT NOT NULL, sealed BLOB NOT NULL, expires_seconds INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX IF NOT EXISTS openings_by_expiry ON openings (expires_seconds);
`;

/** Who calls with an API key. The payer tag stands for the account in the log; the name never leaves the gateway. */
export type Account = { payerTag: string; name: string };

/** The salts under a receipt's commitments. With them and the content, which its requester has, a commitment opens. */
export type Salts = { request: Uint8Array; response?: Uint8Array };

/** How long an opening is kept unless it is destroyed before. */
const OPENING_KEPT_SECONDS = 30 * 86_400;
const KEYS_CACHED = 10_000;
/** Openings are written together this often: what a crash may cost, while the receipts themselves are in the log. */
const FLUSH_MS = 20;
/** Openings that wait for a disk which refuses them; past that the oldest are let go of. */
const UNWRITTEN_KEPT = 100_000;

export type Accounts = {
  /** Makes an account and its API key, which only its hash is kept of. */
  create(name: string, nowSeconds: number): { account: Account; apiKey: string };
  /** The account of an API key. */
  find(apiKey: string): Account | undefined;
  /** Keeps the salts for the account alone, sealed; written with others within a moment. The content is never kept. */
  keepOpening(receiptId: string, payerTag: string, salts: Salts, nowSeconds: number): void;
  findOpening(receiptId: string, payerTag: string, nowSeconds: number): Salts | undefined;
  /** Erasure: without its salts, a commitment opens to nothing. Whether there was one. */
  destroyOpening(receiptId: string, payerTag: string): boolean;
  /** Writes what is not written yet. */
  flush(): void;
};

export type AccountsParts = {
  database: Database.Database;
  /** 32 bytes, kept elsewhere: the database alone opens nothing. */
  sealingKey: Uint8Array;
  random: Random;
  report: Report;
};

export function createAccounts({ database, sealingKey, random, report }: AccountsParts): Accounts {
  database.exec(SCHEMA);
  const cache = new Map<string, Account>();
  const unwritten = new Map<string, { payerTag: string; salts: Salts; nowSeconds: number }>();
  let flushing: NodeJS.Timeout | undefined;
  const one = (sql: string) => {
    const statement = database.prepare(sql);
    // Parameters go in an array: the driver takes a lone Buffer for a record of named ones.
    return (...values: unknown[]) => statement.get([values].flat()) as Record<string, unknown> | undefined;
  };
  const insertAccount = database.prepare("INSERT INTO accounts VALUES (?, ?, ?)");
  const insertKey = database.prepare("INSERT INTO api_keys VALUES (?, ?)");
  const insertOpening = database.prepare("INSERT OR IGNORE INTO openings VALUES (?, ?, ?, ?)");
  const deleteOpening = database.prepare("DELETE FROM openings WHERE receipt_id = ? AND payer_tag = ?");
  const deleteExpired = database.prepare("DELETE FROM openings WHERE expires_seconds < ?");
  const selectKey = one(
    "SELECT a.payer_tag, a.name FROM api_keys k JOIN accounts a USING (payer_tag) WHERE key_hash = ?",
  );
  const selectOpening = one(
    "SELECT sealed FROM openings WHERE receipt_id = ? AND payer_tag = ? AND expires_seconds >= ?",
  );

  function flush(): void {
    clearTimeout(flushing);
    flushing = undefined;
    const [[, first] = []] = unwritten;
    if (first === undefined) return;
    transact(database, () => {
      for (const [receiptId, { payerTag, salts, nowSeconds }] of unwritten) {
        const sealed = seal(salts, sealingKey, receiptId, random);
        insertOpening.run([receiptId, payerTag, sealed, nowSeconds + OPENING_KEPT_SECONDS]);
      }
      deleteExpired.run([first.nowSeconds]);
    });
    unwritten.clear();
  }

  /** Openings that the disk refuses are served from memory, and written with the next. */
  function flushOrKeep(): void {
    try {
      flush();
    } catch (error) {
      report("openings are not written", { count: unwritten.size, error: String(error) });
      for (const receiptId of unwritten.keys()) {
        if (unwritten.size <= UNWRITTEN_KEPT) break;
        unwritten.delete(receiptId);
      }
    }
  }

  return {
    create(name, nowSeconds) {
      const account = { payerTag: hex(random(16)), name };
      const apiKey = `tally-${Buffer.from(random(24)).toString("base64url")}`;
      transact(database, () => {
        insertAccount.run([account.payerTag, name, nowSeconds]);
        insertKey.run([hashOf(apiKey), account.payerTag]);
      });
      return { account, apiKey };
    },

    find(apiKey) {
      const known = cache.get(apiKey);
      if (known !== undefined) return known;
      const row = selectKey(hashOf(apiKey));
      if (row === undefined) return undefined;
      const account = { payerTag: String(row.payer_tag), name: String(row.name) };
      if (cache.size >= KEYS_CACHED) cache.delete(cache.keys().next().value ?? "");
      cache.set(apiKey, account);
      return account;
    },

    keepOpening(receiptId, payerTag, salts, nowSeconds) {
      unwritten.set(receiptId, { payerTag, salts, nowSeconds });
      flushing ??= setTimeout(flushOrKeep, FLUSH_MS);
    },

    findOpening(receiptId, payerTag, nowSeconds) {
      const waiting = unwritten.get(receiptId);
      if (waiting !== undefined) return waiting.payerTag === payerTag ? waiting.salts : undefined;
      const sealed = selectOpening(receiptId, payerTag, nowSeconds)?.sealed;
      return Buffer.isBuffer(sealed) ? unseal(sealed, sealingKey, receiptId) : undefined;
    },

    destroyOpening(receiptId, payerTag) {
      const wasWaiting = unwritten.get(receiptId)?.payerTag === payerTag && unwritten.delete(receiptId);
      let wasWritten = false;
      transact(database, () => {
        wasWritten = deleteOpening.run([receiptId, payerTag]).changes > 0;
      });
      if (wasWritten) emptyJournal(database);
      return wasWaiting || wasWritten;
    },

    flush,
  };
}

function hashOf(apiKey: string): string {
  return createHash("sha256").update(apiKey).digest("hex");
}

/** AES-256-GCM: nonce ‖ tag ‖ ciphertext of the salts, one after the other, bound to the receipt's id. */
function seal({ request, response }: Salts, key: Uint8Array, receiptId: string, random: Random): Buffer {
  const nonce = random(12);
  const cipher = createCipheriv("aes-256-gcm", key, nonce).setAAD(Buffer.from(receiptId));
  const sealed = Buffer.concat([cipher.update(concat(request, response ?? new Uint8Array(0))), cipher.final()]);
  return Buffer.concat([nonce, cipher.getAuthTag(), sealed]);
}

function unseal(sealed: Buffer, key: Uint8Array, receiptId: string): Salts {
  const decipher = createDecipheriv("aes-256-gcm", key, sealed.subarray(0, 12)).setAAD(Buffer.from(receiptId));
  decipher.setAuthTag(sealed.subarray(12, 28));
  const salts = new Uint8Array(Buffer.concat([decipher.update(sealed.subarray(28)), decipher.final()]));
  return { request: salts.subarray(0, 32), ...(salts.length > 32 ? { response: salts.subarray(32) } : {}) };
}
