/** The data folder: whose it is, and what lies where in it. */
import { readdir, readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { OperatorError, systemCode } from "./errors.ts";
import { makeFolder, writeDurably } from "./files.ts";

const MARK = "tallystick.json";
/** The layout of the folder; another layout is another number. */
const FORMAT = 3;
/** The layout before witnesses: the same files but theirs, so that it is taken over as it is. */
const FORMAT_BEFORE = 2;
/** The file whose lock says that a process has the folder open. */
export const LOCKED_FILE = "gateway.sqlite";
/** What may lie in a folder that is not ours yet: keys brought along, and what a first start that was cut short has left. */
const UNCLAIMED = new RegExp(`^(keys|${LOCKED_FILE}(-wal|-journal)?|${MARK}\\..+\\.new)$`);

export type DataFolder = {
  path: string;
  file(...names: string[]): string;
  /** Marks the folder as ours, once its lock is held, and gives what it says of itself. */
  mark(): Promise<Marked>;
  /** Says that there is a log now. From here on, losing it is damage, and losing what its witnesses know. */
  claim(log: LogMark): Promise<void>;
};

/** The origin of a folder's log, and the vkeys that it had before its present one. */
export type LogMark = { origin: string; formerKeys: string[] };

export type Marked = {
  /** Undefined until there is a log in the folder. */
  log: LogMark | undefined;
  /** Whether witnesses have their stores there. */
  hasWitnesses: boolean;
  /** Whether it was restored from a backup and not started since. */
  isRestored: boolean;
};

/** Opens a folder that is ours, or one that is empty or not there yet. Anything else in it is somebody else's, and is left alone. */
export async function openDataFolder(folder: string): Promise<DataFolder> {
  const path = resolve(folder);
  await makeFolder(path).catch((cause: unknown) => {
    if (systemCode(cause) === "EEXIST" || systemCode(cause) === "ENOTDIR")
      throw new OperatorError(`${path} is a file: give a folder with --data`, { cause });
    if (systemCode(cause) === "ENOENT")
      // What Node says where the folder above is read-only.
      throw new OperatorError(`may not write ${path}: give a folder of your own with --data`, { cause });
    throw cause;
  });
  const names = await readdir(path);
  if (!names.includes(MARK) && !names.every((name) => UNCLAIMED.test(name)))
    throw new OperatorError(
      `${path} holds other files and is not a Tallystick data folder: give an empty one with --data`,
    );
  const markPath = join(path, MARK);
  await readMark(markPath);
  const write = (mark: Mark) => writeDurably(markPath, `${JSON.stringify(mark)}\n`);
  return {
    path,
    file: (...parts) => join(path, ...parts),
    async mark() {
      const found = await readMark(markPath);
      if (found === undefined) await write({ format: FORMAT });
      const { origin, formerKeys = [], restored = false } = found ?? {};
      const log = origin === undefined ? undefined : { origin, formerKeys };
      return { log, hasWitnesses: log !== undefined && found?.format === FORMAT, isRestored: restored };
    },
    claim: ({ origin, formerKeys }) =>
      write({ format: FORMAT, origin, ...(formerKeys.length === 0 ? {} : { formerKeys }) }),
  };
}

type Mark = { format: number; origin?: string; formerKeys?: string[]; restored?: boolean };

async function readMark(path: string): Promise<Mark | undefined> {
  const text = await readFile(path, "utf8").catch((error: unknown) => {
    if (systemCode(error) === "ENOENT") return undefined;
    throw error;
  });
  if (text === undefined) return undefined;
  const mark = parseMark(text);
  if (mark?.format === FORMAT || mark?.format === FORMAT_BEFORE) return mark;
  throw new OperatorError(
    `${path} is of format ${JSON.stringify(mark?.format)}; this tallyd reads format ${FORMAT}: start the version that wrote it`,
  );
}

function parseMark(text: string): Mark | undefined {
  try {
    return JSON.parse(text) as Mark; // What we wrote ourselves; anything else lacks the format.
  } catch {
    return undefined;
  }
}
