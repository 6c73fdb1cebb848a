/** Logs as the files they lie in: read from a folder, written to one, made from entries, and tampered with. */
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import type { LogSource } from "@tallystick/client";
import { concat, encodeBundle, leafHash, rootOf, TILE_WIDTH, tilePath, utf8 } from "@tallystick/protocol";
import type { LogInMemory } from "../log-in-memory.ts";

/** Bytes by path: `checkpoint`, and `tile/…`. */
export type LogFiles = ReadonlyMap<string, Uint8Array>;

export async function readLogFiles(folder: string): Promise<LogFiles> {
  const found = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = found.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return new Map(
    await Promise.all(
      paths.map(async (path) => [relative(folder, path), new Uint8Array(await readFile(path))] as const),
    ),
  );
}

export async function writeLogFiles(folder: string, files: LogFiles): Promise<void> {
  for (const [path, bytes] of files) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), bytes);
  }
}

export function sourceOf(files: LogFiles): LogSource {
  return {
    checkpoint: async () => files.get("checkpoint") ?? new Uint8Array(0),
    findTile: async (tile) => files.get(tilePath(tile)),
    list: async () => [...files.keys()].filter((path) => path.startsWith("tile/")),
  };
}

/** The files of a log of less than 65,536 entries, by their definition and not by the server's code. */
export function filesOf(log: LogInMemory, timeSeconds: number): LogFiles {
  const { entries } = log;
  const leaves = entries.map(leafHash);
  const files = new Map([["checkpoint", utf8(log.checkpointFile(timeSeconds))]]);
  const chunks = Math.ceil(entries.length / TILE_WIDTH);
  for (let index = 0; index < chunks; index++) {
    const slice = <T>(all: readonly T[]) => all.slice(index * TILE_WIDTH, (index + 1) * TILE_WIDTH);
    const width = slice(entries).length;
    files.set(tilePath({ level: "entries", index, width }), encodeBundle(slice(entries)));
    files.set(tilePath({ level: 0, index, width }), concat(...slice(leaves)));
  }
  const parents = Array.from({ length: Math.floor(entries.length / TILE_WIDTH) }, (_, i) =>
    rootOf(leaves.slice(i * TILE_WIDTH, (i + 1) * TILE_WIDTH)),
  );
  if (parents.length > 0) files.set(tilePath({ level: 1, index: 0, width: parents.length }), concat(...parents));
  return files;
}

/** The files with one of them changed, or without it. */
export function tampered(files: LogFiles, path: string, change?: (bytes: Uint8Array) => Uint8Array): LogFiles {
  const bytes = files.get(path);
  if (bytes === undefined) throw new Error(`there is no ${path} to tamper with`);
  const others = [...files].filter(([name]) => name !== path);
  return new Map(change === undefined ? others : [...others, [path, change(bytes.slice())]]);
}

/** Flips one bit of the byte at `at`, counted from the end where that is negative. */
export function flip(at: number): (bytes: Uint8Array) => Uint8Array {
  return (bytes) => {
    const place = at < 0 ? bytes.length + at : at;
    bytes[place] = (bytes[place] ?? 0) ^ 1;
    return bytes;
  };
}
