/** A log in a folder: a copy of its tiles, or a network's data folder. */
import { readdir, rm } from "node:fs/promises";
import { join, relative, sep } from "node:path";
import { tilePath } from "@tallystick/protocol";
import type { LogSource } from "../audit/source.ts";
import type { CopyPlace } from "../log/copy.ts";
import { findFile, findFileNow, writePublicly } from "./home.ts";
import { UsageError } from "./terminal.ts";

/** The folder, at or below `folder`, in which a checkpoint and tiles lie. */
export async function openFolderSource(folder: string): Promise<LogSource> {
  for (const path of [folder, join(folder, "log", "tiles"), join(folder, "tiles")])
    if ((await findFile(join(path, "checkpoint"))) !== undefined) return folderSource(path);
  throw new UsageError(`${folder} holds no log: give the folder with its checkpoint and tiles, or a URL`);
}

/** The folder in which a copy of a log is kept, and served from by whoever wants to. */
export function openCopyPlace(folder: string): CopyPlace {
  return {
    find: (path) => findFile(join(folder, path)),
    write: (path, bytes) => writePublicly(join(folder, path), bytes),
    removeFolder: (path) => rm(join(folder, path), { recursive: true, force: true }),
  };
}

/** The log whose checkpoint and tiles lie in `folder` itself. */
export function folderSource(folder: string): LogSource {
  return {
    checkpoint: async () => (await findFile(join(folder, "checkpoint"))) ?? new Uint8Array(0),
    // At once: to open, measure, read and close by threads of their own costs four times as much.
    findTile: async (tile) => findFileNow(join(folder, tilePath(tile))),
    async list() {
      const found = await readdir(join(folder, "tile"), { recursive: true, withFileTypes: true }).catch(() => []);
      const files = found.filter((entry) => entry.isFile());
      return files.map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join("/"));
    },
  };
}
