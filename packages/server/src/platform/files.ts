/** Files that are there whole or not at all, and stay: write aside, sync, rename, sync the folder. */
import { constants } from "node:fs";
import { mkdir, open, rename } from "node:fs/promises";
import { dirname } from "node:path";

/** Makes a rename or a creation in `folder` durable. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Makes a folder and those above it, durably. */
export async function makeFolder(folder: string): Promise<void> {
  const first = await mkdir(folder, { recursive: true });
  if (first === undefined) return;
  for (let made = folder; made.length >= first.length; made = dirname(made)) await syncFolder(dirname(made));
}

/** On Linux a write returns once it is on the disk, as after a sync, which saves the event loop a turn (open(2), O_DSYNC). */
export const SYNCED_BY_WRITING = process.platform === "linux";
/** To open a new file whose writes are synced, or are to be synced after them where that is not so. */
export const WRITING_ANEW =
  constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | (SYNCED_BY_WRITING ? constants.O_DSYNC : 0);

let writes = 0;

/** Writes `bytes` beside `path`, synced, in a folder that is there; gives the path to rename from. */
export async function writeAside(path: string, bytes: Uint8Array | string, mode = 0o644): Promise<string> {
  const aside = `${path}.${process.pid}-${writes++}.new`; // Two may write the same file at once: the last rename stands.
  const handle = await open(aside, WRITING_ANEW, mode);
  try {
    await handle.writeFile(bytes);
    if (!SYNCED_BY_WRITING) await handle.datasync();
  } finally {
    await handle.close();
  }
  return aside;
}

/** Writes `bytes` to `path`, replacing what was there. Durable when it returns; a crash leaves the old or the new. */
export async function writeDurably(path: string, bytes: Uint8Array | string, mode = 0o644): Promise<void> {
  const folder = dirname(path);
  await makeFolder(folder);
  await rename(await writeAside(path, bytes, mode), path);
  await syncFolder(folder);
}
