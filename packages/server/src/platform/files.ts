/**
 * Files that are there whole or not at all, and stay: write aside, sync, rename, sync the folder.
 *
 * What has to reach the disk is done by the system's threads. What the system does in memory, as to open a file or to rename
 * it, is done at once: it takes microseconds, and to wake a thread for it and be woken by it costs ten times as much.
 */
import { closeSync, constants, fdatasync, fsync, mkdirSync, openSync, renameSync, write } from "node:fs";
import { dirname } from "node:path";

/** Makes a rename or a creation in `folder` durable. */
export async function syncFolder(folder: string): Promise<void> {
  const fd = openSync(folder, "r");
  try {
    await synced(fsync, fd);
  } finally {
    closeSync(fd);
  }
}

function synced(sync: typeof fsync, fd: number): Promise<void> {
  return new Promise((resolve, reject) => sync(fd, (error) => (error === null ? resolve() : reject(error))));
}

/** Makes a folder and those above it, durably. */
export async function makeFolder(folder: string): Promise<void> {
  const first = mkdirSync(folder, { recursive: true });
  if (first === undefined) return;
  for (let made = folder; made.length >= first.length; made = dirname(made)) await syncFolder(dirname(made));
}

/** On Linux a write returns once it is on the disk, as after a sync, which saves the event loop a turn (open(2), O_DSYNC). */
export const SYNCED_BY_WRITING = process.platform === "linux";
/** To open a new file whose writes are synced, or are to be synced after them where that is not so. */
export const WRITING_ANEW =
  constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | (SYNCED_BY_WRITING ? constants.O_DSYNC : 0);

/** Writes `bytes` to a file that was opened with WRITING_ANEW, where the last write ended. Durable when it resolves. */
export async function appendDurably(fd: number, bytes: Uint8Array): Promise<void> {
  // In one piece, where the system takes it: every piece is synced.
  for (let at = 0; at < bytes.length; ) at += await writeFrom(fd, bytes, at);
  if (!SYNCED_BY_WRITING) await synced(fdatasync, fd);
}

function writeFrom(fd: number, bytes: Uint8Array, at: number): Promise<number> {
  return new Promise((resolve, reject) =>
    write(fd, bytes, at, (error, sizeBytes) => (error === null ? resolve(sizeBytes) : reject(error))),
  );
}

let writes = 0;

/** Writes `bytes` beside `path`, synced, in a folder that is there; gives the path to rename from. */
export async function writeAside(path: string, bytes: Uint8Array | string, mode = 0o644): Promise<string> {
  const aside = `${path}.${process.pid}-${writes++}.new`; // Two may write the same file at once: the last rename stands.
  const fd = openSync(aside, WRITING_ANEW, mode);
  try {
    await appendDurably(fd, typeof bytes === "string" ? Buffer.from(bytes) : bytes);
  } finally {
    closeSync(fd);
  }
  return aside;
}

/** Writes `bytes` to `path`, replacing what was there. Durable when it returns; a crash leaves the old or the new. */
export async function writeDurably(path: string, bytes: Uint8Array | string, mode = 0o644): Promise<void> {
  const folder = dirname(path);
  await makeFolder(folder);
  renameSync(await writeAside(path, bytes, mode), path);
  await syncFolder(folder);
}
