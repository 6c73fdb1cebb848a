/** Files of a backup: written whole and synced, copied in pieces, listed. */
import { createHash } from "node:crypto";
import { mkdir, open, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { dirname, join, relative, sep } from "node:path";
import { fieldOf } from "../../http.ts";
import type { FileDigest } from "./manifest.ts";

const PIECE_BYTES = 1_048_576;
let writes = 0;

/** Writes a file whole or not at all; its bytes are durable, its name once its folder is synced. */
export async function writeSynced(path: string, bytes: Uint8Array, mode = 0o644): Promise<void> {
  const pieces = (async function* () {
    yield bytes;
  })();
  await writePieces(path, pieces, mode);
}

/** Copies a file of any size, and says what its bytes are. They are written as `writeSynced` does. */
export async function copySynced(from: string, to: string, mode = 0o644): Promise<FileDigest> {
  const digest = createDigest();
  const pieces = (async function* () {
    for await (const piece of readPieces(from)) {
      digest.update(piece);
      yield piece;
    }
  })();
  await writePieces(to, pieces, mode);
  return digest.end();
}

/** What the bytes of a file are; undefined where there is none. */
export async function findDigest(path: string): Promise<FileDigest | undefined> {
  const digest = createDigest();
  try {
    for await (const piece of readPieces(path)) digest.update(piece);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
  return digest.end();
}

function createDigest(): { update(piece: Uint8Array): void; end(): FileDigest } {
  const hash = createHash("sha256");
  let sizeBytes = 0;
  return {
    update(piece) {
      hash.update(piece);
      sizeBytes += piece.length;
    },
    end: () => ({ sizeBytes, sha256: hash.digest("hex") }),
  };
}

async function* readPieces(path: string): AsyncGenerator<Uint8Array> {
  const handle = await open(path, "r");
  try {
    for (;;) {
      const { bytesRead, buffer } = await handle.read(new Uint8Array(PIECE_BYTES));
      if (bytesRead === 0) return;
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await handle.close();
  }
}

async function writePieces(path: string, pieces: AsyncIterable<Uint8Array>, mode: number): Promise<void> {
  await mkdir(dirname(path), { recursive: true, ...(mode === 0o600 ? { mode: 0o700 } : {}) });
  const aside = `${path}.${process.pid}-${writes++}.new`;
  const handle = await open(aside, "w", mode);
  try {
    for await (const piece of pieces) await handle.writeFile(piece);
    await handle.datasync();
  } catch (error) {
    await rm(aside, { force: true });
    throw error;
  } finally {
    await handle.close();
  }
  await rename(aside, path);
}

/** Makes the names in a folder, and in those below it, durable. */
export async function syncFolders(folder: string): Promise<void> {
  const found = await readdir(folder, { recursive: true, withFileTypes: true });
  const folders = found.filter((entry) => entry.isDirectory()).map((entry) => join(entry.parentPath, entry.name));
  for (const path of [...folders, folder, dirname(folder)]) await syncFolder(path);
}

/** Makes the names in a folder durable. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  await handle.sync().finally(() => handle.close());
}

/** The paths of all files in a folder, with slashes; none where it is not there. */
export async function listFiles(folder: string): Promise<string[]> {
  const found = await readdir(folder, { recursive: true, withFileTypes: true }).catch((error: unknown) => {
    if (codeOf(error) === "ENOENT") return [];
    throw error;
  });
  const files = found.filter((entry) => entry.isFile());
  return files.map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join("/")).sort();
}

/** Whether a process holds a lock on a file, as a network does on its database; where the system does not tell, no. */
export async function isLocked(path: string): Promise<boolean> {
  const inode = await stat(path).then(
    ({ ino }) => ino,
    () => undefined,
  );
  const locks = await readFile("/proc/locks", "utf8").catch(() => "");
  return inode !== undefined && locks.split("\n").some((line) => line.includes(`:${inode} `));
}

/** The code of a system error, as `ENOENT`. */
export function codeOf(error: unknown): string | undefined {
  const code = fieldOf(error, "code");
  return typeof code === "string" ? code : undefined;
}

/** A fault of the disk as one sentence for whoever runs the command; any other error as it is. */
export function diskFault(error: unknown, remedy: string): unknown {
  const code = codeOf(error);
  const path = String(fieldOf(error, "path") ?? "the disk");
  const say = (problem: string) => new Error(`${problem}: ${remedy}`, { cause: error });
  if (code === "ENOSPC" || code === "EDQUOT") return say("the disk is full");
  if (code === "EACCES" || code === "EPERM" || code === "EROFS") return say(`may not use ${path} (${code})`);
  if (code === "ENOTDIR" || code === "EEXIST") return say(`${path} is a file where a folder is due`);
  return error;
}
