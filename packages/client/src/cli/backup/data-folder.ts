/** A network's data folder, as a backup and a restore see it. */
import { readdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { type Checkpoint, findJson, parseCheckpoint } from "@tallystick/protocol";
import { orUnverified } from "../../errors.ts";
import { fieldOf } from "../../http.ts";
import { findFile } from "../home.ts";
import { UsageError } from "../terminal.ts";

export const MARK = "tallystick.json";
export const DATABASE = "gateway.sqlite";
/** The one file of keys that always lies in the data folder. */
export const API_KEY = "api-key";
/** The two logs of a network, and where each lies: that of its entries, and that of its checkpoints. */
export const LOGS = ["log", "log/checkpoints"] as const;
export type LogFolder = (typeof LOGS)[number];

/** The layout of a data folder that this version reads. */
const FORMAT = 3;
/** A frame of the write-ahead segments: its length in 31 bits, its leaf hash, its entry. */
const FRAME_HEAD_BYTES = 36;

/** What a data folder says of itself. */
export type Mark = { origin: string; formerKeys: string[]; isRestored: boolean };

export function encodeMark({ origin, formerKeys, isRestored }: Mark): string {
  const former = formerKeys.length === 0 ? {} : { formerKeys };
  return `${JSON.stringify({ format: FORMAT, origin, ...former, ...(isRestored ? { restored: true } : {}) })}\n`;
}

/** The mark of a folder; undefined where there is none. Throws a UsageError where it is of another version. */
export async function findMark(folder: string): Promise<Mark | undefined> {
  const path = join(folder, MARK);
  const bytes = await findFile(path);
  if (bytes === undefined) return undefined;
  const json = findJson(new TextDecoder().decode(bytes));
  const [format, origin, former = []] = ["format", "origin", "formerKeys"].map((key) => fieldOf(json, key));
  if (format !== FORMAT || typeof origin !== "string" || !Array.isArray(former))
    throw new UsageError(
      `${resolve(path)} is of format ${JSON.stringify(format)}, or has no log yet: this tally reads format ${FORMAT}. Start the network once with the tallyd of this version`,
    );
  return { origin, formerKeys: former.map(String), isRestored: fieldOf(json, "restored") === true };
}

/** The checkpoint of one of the logs in `folder`, and the bytes it is in; undefined where there is none. */
export async function findCheckpoint(
  folder: string,
  log: LogFolder,
): Promise<{ checkpoint: Checkpoint; bytes: Uint8Array } | undefined> {
  const path = join(folder, log, "tiles", "checkpoint");
  const bytes = await findFile(path);
  if (bytes === undefined) return undefined;
  return { bytes, checkpoint: orUnverified(path, () => parseCheckpoint(bytes)) };
}

/** How many entries the write-ahead segments of a log in `folder` reach to: acknowledged, and maybe in no tile yet. */
export async function sequencedSize(folder: string, log: LogFolder): Promise<number> {
  const path = join(folder, log, "wal");
  const names = (await readdir(path).catch(() => [])).filter((name) => /^[0-9]{16}$/.test(name)).sort();
  const last = names.at(-1);
  if (last === undefined) return 0;
  const bytes = Buffer.from((await findFile(join(path, last))) ?? new Uint8Array(0));
  let size = Number(last);
  for (let at = 0; at + FRAME_HEAD_BYTES <= bytes.length; size++) {
    at += FRAME_HEAD_BYTES + (bytes.readUInt32BE(at) & 0x7fff_ffff);
    if (at > bytes.length) break; // Torn, and promised to nobody.
  }
  return size;
}
