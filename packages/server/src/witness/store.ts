/** What a witness must never forget: the latest checkpoint that it cosigned of each log, in SQLite. */
import assert from "node:assert";
import { checkpointText, encodeNote, hex, type Note, parseNote, sha256, utf8 } from "@tallystick/protocol";
import { type Database, transact } from "../platform/database.ts";
import { OperatorError } from "../platform/errors.ts";

const SCHEMA = `
  CREATE TABLE witnessed (
    origin TEXT PRIMARY KEY,
    origin_hash TEXT NOT NULL UNIQUE,
    size INTEGER NOT NULL,
    root BLOB NOT NULL,
    time_seconds INTEGER NOT NULL,
    note TEXT NOT NULL
  ) STRICT;
`;

/** A checkpoint that was cosigned: `note` has the log's signatures, which held, and the cosignature of `timeSeconds`. */
export type Cosigned = { origin: string; size: number; root: Uint8Array; timeSeconds: number; note: Note };

export type WitnessStore = {
  /** The latest checkpoint that was cosigned of the log. */
  find(origin: string): Cosigned | undefined;
  /** That of the log whose origin has this SHA-256, in hex. */
  findByHash(originHash: string): Cosigned | undefined;
  /**
   * Records `next` where the latest is still of `fromSize`, which for a log never cosigned is 0. Says whether it did;
   * then it is durable.
   */
  advance(fromSize: number, next: Cosigned): boolean;
};

/** Whether `database` has never been a witness's store. */
export function isNewStore(database: Database.Database): boolean {
  return database.prepare("SELECT name FROM sqlite_master WHERE name = 'witnessed'").get([]) === undefined;
}

/** SQLite's number for synchronous=FULL. */
const FULL = 2;

/** The store in `database`, which is open with synchronous=FULL: what was answered must survive power loss. */
export function createStore(database: Database.Database): WitnessStore {
  assert.deepEqual(database.pragma("synchronous"), [{ synchronous: FULL }], "a witness's commits are synced");
  if (isNewStore(database)) database.exec(SCHEMA);
  const byOrigin = database.prepare("SELECT * FROM witnessed WHERE origin = ?");
  const byHash = database.prepare("SELECT * FROM witnessed WHERE origin_hash = ?");
  const update = database.prepare(
    "UPDATE witnessed SET size = ?, root = ?, time_seconds = ?, note = ? WHERE origin = ? AND size = ?",
  );
  const insert = database.prepare(
    "INSERT INTO witnessed (size, root, time_seconds, note, origin, origin_hash) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
  );

  return {
    find: (origin) => cosignedOf(byOrigin.get([origin])),
    findByHash: (originHash) => cosignedOf(byHash.get([originHash])),

    advance(fromSize, { origin, size, root, timeSeconds, note }) {
      assert(size >= fromSize, "what was cosigned never shrinks");
      const columns = [size, root, timeSeconds, encodeNote(note), origin];
      let isRecorded = false;
      transact(database, () => {
        isRecorded = update.run([...columns, fromSize]).changes === 1;
        if (!isRecorded && fromSize === 0) isRecorded = insert.run([...columns, hashOfOrigin(origin)]).changes === 1;
      });
      return isRecorded;
    },
  };
}

/** The name under which a log's checkpoint is served: SHA-256 of its origin, in hex. */
export function hashOfOrigin(origin: string): string {
  return hex(sha256(utf8(origin)));
}

/** Reads a row, and holds its columns to the note in it. */
function cosignedOf(found: unknown): Cosigned | undefined {
  if (found === undefined) return undefined;
  const row = found as Record<string, unknown>;
  const [origin, size, timeSeconds] = [String(row.origin), Number(row.size), Number(row.time_seconds)];
  const root = row.root instanceof Uint8Array ? new Uint8Array(row.root) : new Uint8Array(0);
  const note = parseNote(utf8(String(row.note)));
  if (!note.text.startsWith(checkpointText({ origin, size, root })))
    throw new OperatorError(`the witness's store contradicts itself about ${origin}: restore it from a backup`);
  return { origin, size, root, timeSeconds, note };
}
