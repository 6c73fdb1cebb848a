/** SQLite for control state: what is not in the log and must not be lost. One process at a time has it open. */
import Database from "libsql";
import { OperatorError, systemCode } from "./errors.ts";

export type { Database };

/**
 * Opens the database in `path` and takes its lock, which the operating system drops with the process.
 * WAL with synchronous=NORMAL: a commit survives `kill -9`; power loss may cost the last moments, which only openings feel.
 */
export function openDatabase(path: string, schema: string): Database.Database {
  const database = new Database(path);
  try {
    database.pragma("locking_mode = EXCLUSIVE");
    database.pragma("journal_mode = WAL");
    database.pragma("synchronous = NORMAL");
    database.exec(schema);
    database.exec("BEGIN IMMEDIATE; COMMIT");
  } catch (cause) {
    database.close();
    if (systemCode(cause)?.startsWith("SQLITE_BUSY") || /locked/.test(String(cause)))
      throw new OperatorError("another tallyd is running on this data folder: stop it, or give another --data", {
        cause,
      });
    throw cause;
  }
  return database;
}
