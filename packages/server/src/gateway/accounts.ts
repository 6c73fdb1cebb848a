/** Accounts, their API keys, and which key a session was granted to, in SQLite. */
import { hash } from "node:crypto";
import { hex } from "@tallystick/protocol";
import { type Database, transact } from "../platform/database.ts";
import { ServiceError } from "../platform/errors.ts";
import type { Random } from "../platform/random.ts";
import { type ApiKey, isUsable, KeyTerms } from "./api-keys.ts";

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS accounts (payer_tag TEXT PRIMARY KEY, name TEXT NOT NULL, created_seconds INTEGER NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS keys (
    key_hash TEXT PRIMARY KEY, id TEXT NOT NULL UNIQUE, payer_tag TEXT NOT NULL REFERENCES accounts, terms TEXT NOT NULL,
    created_seconds INTEGER NOT NULL, last_used_day INTEGER, revoked_seconds INTEGER
  ) STRICT;
  CREATE INDEX IF NOT EXISTS keys_by_account ON keys (payer_tag);
  CREATE TABLE IF NOT EXISTS session_keys (
    session TEXT PRIMARY KEY, key_id TEXT NOT NULL, expires_seconds INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX IF NOT EXISTS session_keys_by_expiry ON session_keys (expires_seconds);
`;
/** Keys as they were kept before they had terms. What has moved is dropped: a version that would not know the terms knows no key. */
const TAKE_OVER = `
  INSERT INTO keys SELECT key_hash, 'key_' || substr(key_hash, 1, 24), k.payer_tag, '{"name":"first"}', created_seconds, NULL, NULL
    FROM api_keys k JOIN accounts a USING (payer_tag);
  DROP TABLE api_keys;
`;

/** Who is called for. The payer tag stands for the account in the log; the name never leaves the gateway. */
export type Account = { payerTag: string; name: string };
/** An account, and the key that it calls with. */
export type Caller = Account & { key: ApiKey };

/** An account's keys, revoked ones included while they are kept. */
const KEYS_PER_ACCOUNT = 1_000;
/** A revoked key is kept for longer than any session that it was granted may last. */
const REVOKED_KEPT_SECONDS = 31 * 86_400;
const KEYS_CACHED = 10_000;
const SESSIONS_CACHED = 10_000;

export type Accounts = {
  /** Makes an account and its first API key, which only its hash is kept of. */
  create(name: string, nowSeconds: number): { account: Account; apiKey: string };
  get(payerTag: string): Account;
  list(): (Account & { createdSeconds: number; keyCount: number })[];
  /** Who calls with an API key; undefined where it is unknown, revoked or expired. */
  find(apiKey: string, nowSeconds: number): Caller | undefined;
  /** Makes another key of an account. */
  addKey(payerTag: string, terms: KeyTerms, nowSeconds: number): { key: ApiKey; apiKey: string };
  /** An account's keys, the newest first. */
  keys(payerTag: string): ApiKey[];
  /** From here on the key opens nothing, nor does a session that it was granted. Throws not_found. */
  revoke(payerTag: string, keyId: string, nowSeconds: number): ApiKey;
  /** Remembers which key a session is granted to: durably, before the session is anybody's. */
  keepSession(session: Uint8Array, keyId: string, expirySeconds: number, nowSeconds: number): void;
  /** Who a session calls for, whose grant names the payer; undefined where its key is revoked or expired. */
  findBySession(session: Uint8Array, payerTag: string, nowSeconds: number): Caller | undefined;
};

type Known = { hash: string; caller: Caller };

export function createAccounts(database: Database.Database, random: Random): Accounts {
  database.exec(SCHEMA);
  const before = database.prepare("SELECT 1 FROM sqlite_master WHERE name = 'api_keys'").get([]);
  if (before !== undefined) transact(database, () => database.exec(TAKE_OVER));

  /** By key id. What changes about a key changes here first. */
  const cache = new Map<string, Known>();
  const sessionKeys = new Map<string, string>();
  const insertAccount = database.prepare("INSERT INTO accounts VALUES (?, ?, ?)");
  const selectAccount = database.prepare("SELECT * FROM accounts WHERE payer_tag = ?");
  const selectAccounts = database.prepare(
    "SELECT a.*, (SELECT count(*) FROM keys k WHERE k.payer_tag = a.payer_tag) AS key_count FROM accounts a ORDER BY created_seconds",
  );
  const insertKey = database.prepare("INSERT INTO keys VALUES (?, ?, ?, ?, ?, NULL, NULL)");
  const countKeys = database.prepare("SELECT count(*) AS count FROM keys WHERE payer_tag = ?");
  const selectKeys = database.prepare("SELECT * FROM keys WHERE payer_tag = ? ORDER BY created_seconds DESC, id");
  const selectCaller = database.prepare(
    "SELECT k.*, a.name FROM keys k JOIN accounts a USING (payer_tag) WHERE id = ?",
  );
  const updateUsed = database.prepare("UPDATE keys SET last_used_day = ? WHERE id = ?");
  const updateRevoked = database.prepare("UPDATE keys SET revoked_seconds = ? WHERE id = ?");
  const removeRevoked = database.prepare("DELETE FROM keys WHERE payer_tag = ? AND revoked_seconds < ?");
  const insertSession = database.prepare("INSERT OR REPLACE INTO session_keys VALUES (?, ?, ?)");
  const selectSession = database.prepare("SELECT key_id FROM session_keys WHERE session = ?");
  const removeSessions = database.prepare("DELETE FROM session_keys WHERE expires_seconds < ?");

  function load(keyId: string): Known | undefined {
    const known = cache.get(keyId);
    if (known !== undefined) return known;
    const row = selectCaller.get([keyId]) as Record<string, unknown> | undefined;
    if (row === undefined) return undefined;
    const caller = { payerTag: String(row.payer_tag), name: String(row.name), key: keyOfRow(row) };
    const loaded = { hash: String(row.key_hash), caller };
    remember(cache, keyId, loaded, KEYS_CACHED);
    return loaded;
  }

  /** Notes the day: a write a key and day, which no call is refused for. */
  function use(caller: Caller, nowSeconds: number): Caller {
    const day = Math.floor(nowSeconds / 86_400);
    if ((caller.key.lastUsedDay ?? -1) >= day) return caller;
    caller.key.lastUsedDay = day;
    try {
      transact(database, () => updateUsed.run([day, caller.key.id]));
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error;
    }
    return caller;
  }

  function insert(payerTag: string, terms: KeyTerms, nowSeconds: number): { key: ApiKey; apiKey: string } {
    const apiKey = `tally-${Buffer.from(random(24)).toString("base64url")}`;
    const hash = hashOf(apiKey);
    const id = idOf(hash);
    insertKey.run([hash, id, payerTag, JSON.stringify(terms), nowSeconds]);
    return {
      key: { id, terms, createdSeconds: nowSeconds, lastUsedDay: undefined, revokedSeconds: undefined },
      apiKey,
    };
  }

  function keys(payerTag: string): ApiKey[] {
    return (selectKeys.all([payerTag]) as Record<string, unknown>[]).map(keyOfRow);
  }

  return {
    create(name, nowSeconds) {
      const account = { payerTag: hex(random(16)), name };
      let apiKey = "";
      transact(database, () => {
        insertAccount.run([account.payerTag, name, nowSeconds]);
        ({ apiKey } = insert(account.payerTag, KeyTerms.parse({ name: "first" }), nowSeconds));
      });
      return { account, apiKey };
    },

    get(payerTag) {
      const row = selectAccount.get([payerTag]) as Record<string, unknown> | undefined;
      if (row === undefined) throw new ServiceError("not_found", `no account ${payerTag}: GET /v1/accounts lists them`);
      return { payerTag, name: String(row.name) };
    },

    list() {
      return (selectAccounts.all([]) as Record<string, unknown>[]).map((row) => ({
        payerTag: String(row.payer_tag),
        name: String(row.name),
        createdSeconds: Number(row.created_seconds),
        keyCount: Number(row.key_count),
      }));
    },

    find(apiKey, nowSeconds) {
      const hash = hashOf(apiKey);
      const known = load(idOf(hash));
      // The id is a part of the hash: the whole of it decides.
      if (known?.hash !== hash || !isUsable(known.caller.key, nowSeconds)) return undefined;
      return use(known.caller, nowSeconds);
    },

    addKey(payerTag, terms, nowSeconds) {
      let made: { key: ApiKey; apiKey: string } | undefined;
      transact(database, () => {
        removeRevoked.run([payerTag, nowSeconds - REVOKED_KEPT_SECONDS]);
        const { count } = countKeys.get([payerTag]) as { count: number };
        if (count >= KEYS_PER_ACCOUNT)
          throw new ServiceError(
            "conflict",
            `the account has ${count} keys, the most there may be: revoke some; they go after 31 days`,
          );
        made = insert(payerTag, terms, nowSeconds);
      });
      if (made === undefined) throw new Error("a transaction that did not throw was done");
      return made;
    },

    keys,

    revoke(payerTag, keyId, nowSeconds) {
      const key = keys(payerTag).find(({ id }) => id === keyId);
      if (key === undefined)
        throw new ServiceError("not_found", `the account has no API key ${keyId}: GET /v1/keys lists them`);
      if (key.revokedSeconds !== undefined) return key;
      transact(database, () => updateRevoked.run([nowSeconds, keyId]));
      cache.delete(keyId);
      return { ...key, revokedSeconds: nowSeconds };
    },

    keepSession(session, keyId, expirySeconds, nowSeconds) {
      const name = hex(session);
      transact(database, () => {
        removeSessions.run([nowSeconds]);
        insertSession.run([name, keyId, expirySeconds]);
      });
      remember(sessionKeys, name, keyId, SESSIONS_CACHED);
    },

    findBySession(session, payerTag, nowSeconds) {
      const name = hex(session);
      const kept = sessionKeys.get(name) ?? (selectSession.get([name]) as { key_id: string } | undefined)?.key_id;
      if (kept !== undefined) remember(sessionKeys, name, kept, SESSIONS_CACHED);
      // A session of before keys were remembered lasts as long as its account has a key.
      const keyId = kept ?? keys(payerTag).find((key) => isUsable(key, nowSeconds))?.id;
      const known = keyId === undefined ? undefined : load(keyId);
      return known === undefined || !isUsable(known.caller.key, nowSeconds) ? undefined : use(known.caller, nowSeconds);
    },
  };
}

function keyOfRow(row: Record<string, unknown>): ApiKey {
  return {
    id: String(row.id),
    terms: KeyTerms.parse(JSON.parse(String(row.terms))),
    createdSeconds: Number(row.created_seconds),
    lastUsedDay: row.last_used_day === null ? undefined : Number(row.last_used_day),
    revokedSeconds: row.revoked_seconds === null ? undefined : Number(row.revoked_seconds),
  };
}

/** Puts a value into a map that holds `most`, the oldest giving way. */
function remember<V>(map: Map<string, V>, name: string, value: V, most: number): void {
  if (map.size >= most && !map.has(name)) map.delete(map.keys().next().value ?? "");
  map.set(name, value);
}

function hashOf(apiKey: string): string {
  return hash("sha256", apiKey, "hex");
}

function idOf(hash: string): string {
  return `key_${hash.slice(0, 24)}`;
}
