/** Files that an operator names and nobody else may read: private keys, and the folders they lie in. */
import { access, constants, readFile, stat } from "node:fs/promises";
import { OperatorError, systemCode } from "./errors.ts";

/** What a group may still do with what root owns, as in `root:ssl-cert 0640` or a systemd credential: read it. */
const OF_ROOT = 0o027;
const OF_OURS = 0o077;

/** Refuses `path` unless it is there, this process reads it, and no other user does. `missing` says what to do where it is not there. */
export async function requirePrivate(path: string, kind: "file" | "folder", missing: string): Promise<void> {
  const found = await stat(path).catch((cause: unknown) => {
    const code = systemCode(cause);
    if (code === "ENOENT" || code === "ENOTDIR") throw new OperatorError(`${path} is missing: ${missing}`, { cause });
    if (code === "EACCES") throw new OperatorError(unreadable(path), { cause });
    throw cause;
  });
  if (found.isDirectory() !== (kind === "folder"))
    throw new OperatorError(`${path} is ${kind === "folder" ? "no folder" : "a folder"}: ${missing}`);
  const user = process.getuid?.();
  if (user !== undefined) {
    if (found.uid !== user && found.uid !== 0)
      throw new OperatorError(
        `${path} belongs to another user, who can read it: chown it to the user that runs tallyd`,
      );
    if ((found.mode & (found.uid === user ? OF_OURS : OF_ROOT)) !== 0)
      throw new OperatorError(`${path} can be read by others: chmod ${kind === "folder" ? "700" : "600"} ${path}`);
  }
  await access(path, constants.R_OK).catch((cause: unknown) => {
    throw new OperatorError(unreadable(path), { cause });
  });
}

/** The token in `path`, a line that nobody else may read. Throws an OperatorError. */
export async function readToken(path: string, missing: string): Promise<string> {
  await requirePrivate(path, "file", missing);
  return (await readFile(path, "utf8")).trim();
}

function unreadable(path: string): string {
  return `may not read ${path}: it must belong to the user that runs tallyd`;
}
