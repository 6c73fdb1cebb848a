/**
 * What a backup needs of a running network: the state that changes, as it is at one moment. Tiles and artifacts never
 * change, so that whoever makes the backup copies them from the data folder.
 *
 * database   written into a file of its own, with the openings of every receipt that was answered by then
 * log        what was appended by then is published: every opening's receipt is in it
 */
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { encodeNote, hex, type Note } from "@tallystick/protocol";
import { Hono } from "hono";
import { copyDatabase, type Database } from "../platform/database.ts";
import { ServiceError } from "../platform/errors.ts";
import type { Random } from "../platform/random.ts";

/** The folder, in the data folder, of the copy of the database. There is one at most; whoever has copied it removes it. */
export const SNAPSHOTS = "snapshots";

type LogState = { canWrite: boolean; published: { note: Note } };

export type BackupParts = {
  folder: string;
  database: Database.Database;
  openings: { flush(): void };
  log: LogState;
  history: LogState;
  /** Publishes what was appended to either log so far. */
  flush(): Promise<void>;
  random: Random;
  /** Whether a request's authorization header is the operator's. */
  isAdmin(header: string | undefined): boolean;
};

export function backupRoutes({ folder, database, openings, log, history, flush, random, isAdmin }: BackupParts): Hono {
  /** Whether a copy is being made: two at once would each remove the other's. */
  let isCopying = false;

  async function copy(): Promise<object> {
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { mode: 0o700 });
    const name = `${hex(random(16))}.sqlite`;
    openings.flush();
    copyDatabase(database, join(folder, name));
    await flush();
    if (!log.canWrite || !history.canWrite)
      throw new ServiceError("unavailable", "the log cannot write: stop the network, and back up what is on the disk");
    const [checkpoint, checkpoints] = [log, history].map(({ published }) => encodeNote(published.note));
    return { database: `${SNAPSHOTS}/${name}`, checkpoint, checkpoints };
  }

  return new Hono().post("/v1/backup", async (c) => {
    if (!isAdmin(c.req.header("authorization")))
      throw new ServiceError("forbidden", "only the operator makes backups: send the token in keys/admin-token");
    if (isCopying) throw new ServiceError("conflict", "another backup is being made: try again once it is");
    isCopying = true;
    try {
      return c.json(await copy(), 201);
    } finally {
      isCopying = false;
    }
  });
}
