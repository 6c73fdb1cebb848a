/** A log in a folder: a copy of its tiles, or a network's data folder. */
import { readdir } from "node:fs/promises";
import { join, relative, sep } from "node:path";
import { tilePath } from "@tallystick/protocol";
import type { LogSource } from "../audit/source.ts";
import { findFile } from "./home.ts";
import { UsageError } from "./terminal.ts";

/** The folder, at or below `folder`, in which a checkpoint and tiles lie. */
export async function openFolderSource(folder: string): Promise<LogSource> {
  for (const path of [folder, join(folder, "log", "tiles"), join(folder, "tiles")])
    if ((await findFile(join(path, "checkpoint"))) !== undefined) return folderSource(path);
  throw new UsageError(`${folder} holds no log: give the folder with its checkpoint and tiles, or a URL`);
}

function folderSource(folder: string): LogSource {
  return {
    checkpoint: async () => (await findFile(join(folder, "checkpoint"))) ?? new Uint8Array(0),
    findTile: (tile) => findFile(join(folder, tilePath(tile))),
    async list() {
      const found = await readdir(join(folder, "tile"), { recursive: true, withFileTypes: true }).catch(() => []);
      const files = found.filter((entry) => entry.isFile());
      return files.map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join("/"));
    },
  };
}
