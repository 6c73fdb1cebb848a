/** The data folder: whose it is, and what lies where in it. */
import { mkdir, readdir, readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { OperatorError, systemCode } from "./errors.ts";
import { writeDurably } from "./files.ts";

const MARK = "tallystick.json";
/** The layout of the folder; another layout is another number. */
const FORMAT = 1;

export type DataFolder = {
  path: string;
  isNew: boolean;
  file(...names: string[]): string;
  claim(origin: string): Promise<void>;
};

/** Opens a folder that is ours, or one that is empty or not there yet. Anything else in it is somebody else's, and is left alone. */
export async function openDataFolder(folder: string): Promise<DataFolder> {
  const path = resolve(folder);
  await mkdir(path, { recursive: true }).catch((cause: unknown) => {
    if (systemCode(cause) === "EEXIST" || systemCode(cause) === "ENOTDIR")
      throw new OperatorError(`${path} is a file: give a folder with --data`, { cause });
    throw cause;
  });
  const names = await readdir(path);
  const isNew = !names.includes(MARK);
  if (isNew && names.some((name) => name !== "keys"))
    throw new OperatorError(
      `${path} holds other files and is not a Tallystick data folder: give an empty one with --data`,
    );
  if (!isNew) await checkFormat(join(path, MARK));
  return {
    path,
    isNew,
    file: (...parts) => join(path, ...parts),
    claim: (origin) => writeDurably(join(path, MARK), `${JSON.stringify({ format: FORMAT, origin })}\n`),
  };
}

async function checkFormat(path: string): Promise<void> {
  const mark: unknown = JSON.parse(await readFile(path, "utf8").catch(() => "null"));
  const format = typeof mark === "object" && mark !== null && "format" in mark ? mark.format : undefined;
  if (format !== FORMAT)
    throw new OperatorError(
      `${path} is of format ${JSON.stringify(format)}; this tallyd reads format ${FORMAT}: start the version that wrote it`,
    );
}
