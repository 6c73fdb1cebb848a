/** Accounts and their API keys, in SQLite. */
import { createHash } from "node:crypto";
import { hex } from "@tallystick/protocol";
import { type Database, transact } from "../platform/database.ts";
import type { Random } from "../platform/random.ts";

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS accounts (payer_tag TEXT PRIMARY KEY, name TEXT NOT NULL, created_seconds INTEGER NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS api_keys (key_hash TEXT PRIMARY KEY, payer_tag TEXT NOT NULL REFERENCES accounts) STRICT;
`;

/** Who calls with an API key. The payer tag stands for the account in the log; the name never leaves the gateway. */
export type Account = { payerTag: string; name: string };

const KEYS_CACHED = 10_000;

export type Accounts = {
  /** Makes an account and its API key, which only its hash is kept of. */
  create(name: string, nowSeconds: number): { account: Account; apiKey: string };
  /** The account of an API key. */
  find(apiKey: string): Account | undefined;
};

export function createAccounts(database: Database.Database, random: Random): Accounts {
  database.exec(SCHEMA);
  const cache = new Map<string, Account>();
  const insertAccount = database.prepare("INSERT INTO accounts VALUES (?, ?, ?)");
  const insertKey = database.prepare("INSERT INTO api_keys VALUES (?, ?)");
  const selectKey = database.prepare(
    "SELECT a.payer_tag, a.name FROM api_keys k JOIN accounts a USING (payer_tag) WHERE key_hash = ?",
  );

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
      const row = selectKey.get([hashOf(apiKey)]) as Record<string, unknown> | undefined;
      if (row === undefined) return undefined;
      const account = { payerTag: String(row.payer_tag), name: String(row.name) };
      if (cache.size >= KEYS_CACHED) cache.delete(cache.keys().next().value ?? "");
      cache.set(apiKey, account);
      return account;
    },
  };
}

function hashOf(apiKey: string): string {
  return createHash("sha256").update(apiKey).digest("hex");
}
