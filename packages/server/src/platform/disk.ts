/** The disk as the log sees it: few steps, each of which is durable when it resolves, so that a simulation can stand in for it. */
import { closeSync, openSync, renameSync } from "node:fs";
import { open, readdir, readFile, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { systemCode } from "./errors.ts";
import { appendDurably, makeFolder, syncFolder, WRITING_ANEW, writeAside, writeDurably } from "./files.ts";

export type Disk = {
  /** The bytes of a file; undefined where there is none. */
  read(path: string): Promise<Uint8Array | undefined>;
  /** The names in a folder; none where it is not there. */
  list(folder: string): Promise<string[]>;
  /** Replaces files, each whole or not at all, in no order. */
  write(files: readonly FileToWrite[]): Promise<void>;
  /** An empty file to append to. */
  begin(path: string): Promise<Appending>;
  /** Cuts a file off at `sizeBytes`. */
  cut(path: string, sizeBytes: number): Promise<void>;
  /** Removes a file, or a folder with all that is in it. Need not last through a crash. */
  remove(path: string): Promise<void>;
};

export type FileToWrite = { path: string; bytes: Uint8Array };

/** A file that grows. One append at a time. */
export type Appending = { append(bytes: Uint8Array): Promise<void>; close(): Promise<void> };

/** Files under way at once in one `write`: as many as the system's threads take up, and a few that wait. */
const WRITES_AT_ONCE = 8;

export const systemDisk: Disk = {
  async read(path) {
    try {
      const file = await readFile(path);
      return new Uint8Array(file.buffer, file.byteOffset, file.length); // Of a Buffer, what is sliced would be no copy.
    } catch (error) {
      if (systemCode(error) === "ENOENT") return undefined;
      throw error;
    }
  },

  async list(folder) {
    return readdir(folder).catch((error: unknown) => {
      if (systemCode(error) === "ENOENT") return [];
      throw error;
    });
  },

  async write(files) {
    const [first] = files;
    if (files.length === 1 && first !== undefined) return writeDurably(first.path, first.bytes);
    const folders = [...new Set(files.map(({ path }) => dirname(path)))];
    for (const folder of folders) await makeFolder(folder);
    const rest = files.values();
    const lane = async () => {
      for (const { path, bytes } of rest) renameSync(await writeAside(path, bytes), path);
    };
    await Promise.all(Array.from({ length: WRITES_AT_ONCE }, lane));
    for (const folder of folders) await syncFolder(folder); // Once for all that was renamed in it.
  },

  async begin(path) {
    await makeFolder(dirname(path));
    const fd = openSync(path, WRITING_ANEW);
    await syncFolder(dirname(path));
    return {
      append: (bytes) => appendDurably(fd, bytes),
      close: async () => closeSync(fd),
    };
  },

  async cut(path, sizeBytes) {
    const handle = await open(path, "r+");
    try {
      await handle.truncate(sizeBytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
  },

  remove: (path) => rm(path, { recursive: true, force: true }),
};
