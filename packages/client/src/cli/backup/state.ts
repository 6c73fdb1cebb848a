/**
 * The state of a network that changes, at one moment: from the running daemon, which alone may read its database; or, of one
 * that is stopped, the files themselves, which are seen not to have changed while they were copied.
 */
import { rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { type Checkpoint, parseCheckpoint, utf8 } from "@tallystick/protocol";
import { orUnverified, UnreachableError } from "../../errors.ts";
import { createHttp, fieldOf } from "../../http.ts";
import type { Context } from "../context.ts";
import { findFile } from "../home.ts";
import { findRunning } from "../networks.ts";
import { UsageError } from "../terminal.ts";
import { DATABASE, findCheckpoint, LOGS, type LogFolder, sequencedSize } from "./data-folder.ts";
import { isLocked, listFiles } from "./files.ts";

export type State = {
  /** The checkpoint of each log, and the bytes it is in. */
  checkpoints: Record<LogFolder, { checkpoint: Checkpoint; bytes: Uint8Array }>;
  /** Files that are copied as they are, by the path that they have in a data folder, and where each lies. */
  files: ReadonlyMap<string, string>;
  /** Called once they are copied. Throws where they were not of one moment. */
  finish(): Promise<void>;
};

/** The state of the network on `data`, whose keys lie in `keys`. */
export async function takeState(data: string, keys: string, context: Context): Promise<State> {
  const running = await findRunning(data);
  if (running !== undefined)
    try {
      return await askDaemon(data, running.url, await readAdminToken(keys), context);
    } catch (error) {
      if (!(error instanceof UnreachableError)) throw error; // It was killed: else ready.json would be gone.
      if (await isLocked(join(data, DATABASE)))
        throw new Error(`a network runs on ${data} and does not answer at ${running.url}`, { cause: error });
    }
  if (await isLocked(join(data, DATABASE)))
    throw new Error(`a network is starting or stopping on ${data}: try again in a moment`);
  return readStopped(data);
}

async function readAdminToken(keys: string): Promise<string> {
  const path = join(keys, "admin-token");
  const bytes = await findFile(path);
  if (bytes === undefined)
    throw new UsageError(`${path} is not there: say where the network's keys lie with --keys DIR`);
  return new TextDecoder().decode(bytes).trim();
}

async function askDaemon(data: string, url: string, token: string, { edges }: Context): Promise<State> {
  const init = { method: "POST", headers: { authorization: `Bearer ${token}` } };
  const answer = await createHttp(url, edges).json("/v1/backup", init);
  const textOf = (key: string) => String(fieldOf(answer, key) ?? "");
  const read = (key: string) => {
    const bytes = utf8(textOf(key));
    return { bytes, checkpoint: orUnverified(`the ${key} of ${url}`, () => parseCheckpoint(bytes)) };
  };
  const name = /^snapshots\/[0-9a-f]+\.sqlite$/.exec(textOf("database"))?.[0];
  const snapshot = join(data, name ?? "");
  if (name === undefined || (await findFile(snapshot)) === undefined)
    throw new UsageError(
      `the network at ${url} is not the one on ${data}, or another backup of it has begun: try again`,
    );
  return {
    checkpoints: { log: read("checkpoint"), "log/checkpoints": read("checkpoints") },
    files: new Map([[DATABASE, snapshot]]),
    finish: () => rm(snapshot, { force: true }),
  };
}

async function readStopped(data: string): Promise<State> {
  const before = await changing(data);
  const files = new Map(
    [...before.keys()].filter((path) => path.startsWith(DATABASE)).map((path) => [path, join(data, path)]),
  );
  const checkpoints: Partial<State["checkpoints"]> = {};
  for (const log of LOGS) {
    const found = await findCheckpoint(data, log);
    if (found === undefined)
      throw new UsageError(`${join(data, log)} has lost its checkpoint: restore it from a backup`);
    checkpoints[log] = found;
    // A network that was killed has acknowledged what is in no tile yet.
    if ((await sequencedSize(data, log)) <= found.checkpoint.size) continue;
    for (const path of before.keys()) if (path.startsWith(`${log}/wal/`)) files.set(path, join(data, path));
  }
  const { log, "log/checkpoints": history } = checkpoints;
  if (log === undefined || history === undefined) throw new Error("each log has a checkpoint");
  return {
    checkpoints: { log, "log/checkpoints": history },
    files,
    async finish() {
      const after = await changing(data);
      const isSame = after.size === before.size && [...before].every(([path, seen]) => after.get(path) === seen);
      if (!isSame) throw new Error(`a network was started on ${data} meanwhile: run the backup again`);
    },
  };
}

/** The files of a data folder that a running network changes, with what tells whether it did. */
async function changing(data: string): Promise<Map<string, string>> {
  const lists = LOGS.map(async (log) => (await listFiles(join(data, log, "wal"))).map((name) => `${log}/wal/${name}`));
  const fixed = [DATABASE, `${DATABASE}-wal`, `${DATABASE}-journal`, ...LOGS.map((log) => `${log}/tiles/checkpoint`)];
  const seen = new Map<string, string>();
  for (const path of [...fixed, ...(await Promise.all(lists)).flat()]) {
    const found = await stat(join(data, path), { bigint: true }).catch(() => undefined);
    if (found !== undefined) seen.set(path, `${found.ino} ${found.size} ${found.mtimeNs}`);
  }
  return seen;
}
