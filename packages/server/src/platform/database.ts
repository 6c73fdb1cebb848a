/** SQLite for control state: what is not in the log and must not be lost. One process at a time has it open. */
import { writeFileSync } from "node:fs";
import Database from "libsql";
import { OperatorError, ServiceError, systemCode } from "./errors.ts";

export type { Database };

/**
 * Opens the database in `path` and takes its lock, which the operating system drops with the process.
 * In WAL a commit survives `kill -9`. With synchronous=NORMAL power loss may cost the last moments, which only openings
 * feel; with FULL each commit is synced, and survives that too.
 */
export function openDatabase(path: string, synchronous: "NORMAL" | "FULL" = "NORMAL"): Database.Database {
  const database = open(path);
  try {
    database.pragma("locking_mode = EXCLUSIVE");
    database.pragma("journal_mode = WAL");
    database.pragma(`synchronous = ${synchronous}`);
    database.pragma("secure_delete = ON"); // What is deleted is overwritten.
    database.exec("BEGIN IMMEDIATE; COMMIT");
  } catch (cause) {
    database.close();
    throw refusal(path, cause);
  }
  return database;
}

function open(path: string): Database.Database {
  writeFileSync(path, "", { flag: "a", mode: 0o600 }); // It names accounts: for its owner's eyes, as is then its journal.
  try {
    return new Database(path);
  } catch (cause) {
    throw refusal(path, cause);
  }
}

function refusal(path: string, cause: unknown): Error {
  const code = systemCode(cause);
  if (code?.startsWith("SQLITE_BUSY"))
    return new OperatorError("another tallyd is running on this data folder: stop it, or give another --data", {
      cause,
    });
  if (code === "SQLITE_NOTADB" || code?.startsWith("SQLITE_CORRUPT"))
    return new OperatorError(`${path} is damaged: restore it from a backup`, { cause });
  if (code === "SQLITE_FULL") return new OperatorError(`the disk is full: free some space for ${path}`, { cause });
  if (code === undefined || !isDiskFault(code)) return new Error(`could not open ${path}`, { cause });
  return new OperatorError(`may not write ${path} (${code}): give a folder of your own with --data`, { cause });
}

/** Does `work` as a whole or not at all. Where the disk refuses, so does this. */
export function transact(database: Database.Database, work: () => void): void {
  try {
    database.exec("BEGIN IMMEDIATE");
    work();
    database.exec("COMMIT");
  } catch (cause) {
    if (database.inTransaction) database.exec("ROLLBACK"); // After some faults SQLite has done so itself.
    if (!isDiskFault(systemCode(cause) ?? "")) throw cause;
    throw new ServiceError("unavailable", "the gateway cannot write: its operator must look at the disk", { cause });
  }
}

/** Moves all that was written into the database's file, so that nothing deleted is left in the journal beside it. */
export function emptyJournal(database: Database.Database): void {
  database.pragma("wal_checkpoint(TRUNCATE)");
}

/** Writes the database as it is at this moment into `path`, which its owner alone reads. What was deleted is not in there. */
export function copyDatabase(database: Database.Database, path: string): void {
  writeFileSync(path, "", { flag: "wx", mode: 0o600 });
  try {
    database.prepare("VACUUM INTO ?").run([path]);
  } catch (cause) {
    if (!isDiskFault(systemCode(cause) ?? "")) throw cause;
    throw new ServiceError("unavailable", "the database cannot be copied: its operator must look at the disk", {
      cause,
    });
  }
}

/** Closes the database and gives up its lock. The driver keeps the file open as long as a statement lives, so by hand. */
export function closeDatabase(database: Database.Database): void {
  try {
    database.pragma("journal_mode = DELETE");
    database.pragma("locking_mode = NORMAL");
    database.prepare("SELECT count(*) FROM sqlite_master").get([]);
  } catch (error) {
    // Where the disk refuses, the journal stays and is read at the next start; the lock ends with the process.
    if (!isDiskFault(systemCode(error) ?? "")) throw error;
  } finally {
    database.close();
  }
}

function isDiskFault(code: string): boolean {
  return /^SQLITE_(FULL|IOERR|READONLY|CANTOPEN|PERM)/.test(code);
}
