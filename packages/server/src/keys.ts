/** Where the key of each role lies, and how an operator says so. */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { requirePrivate } from "./platform/private-files.ts";

/** Every key that a network has, by its name in `--key NAME=FILE`, and its file in a folder of keys. */
export const KEY_FILES = {
  checkpoint: "checkpoint.pem",
  "witness-1": "witness-1.pem",
  "witness-2": "witness-2.pem",
  log: "log.pem",
  gateway: "gateway.pem",
  node: "node.pem",
  publisher: "publisher.pem",
  verifier: "verifier.pem",
  referee: "referee.pem",
  sealing: "sealing-key",
  admin: "admin-token",
} as const;
export type KeyName = keyof typeof KEY_FILES;
export const KEY_NAMES = Object.keys(KEY_FILES) as KeyName[];

/** What an operator says of keys: a folder of their own, and single files. */
export type KeyPlaces = { folder?: string; files?: Partial<Record<KeyName, string>> };

/** The keys without which a network runs, where it verifies nothing itself. */
export const VERIFYING_KEYS: readonly KeyName[] = ["verifier", "referee"];

/**
 * The path of each key. One of `names` that an operator named must be there and be private: a mount that failed must not
 * give a network other keys. One that they did not name lies in `defaultFolder`, where what is missing is made.
 */
export async function locateKeys(
  { folder, files = {} }: KeyPlaces,
  defaultFolder: string,
  names: readonly KeyName[] = KEY_NAMES,
): Promise<(name: KeyName) => string> {
  const making = `make it with \`tallyd keys --keys ${folder ?? "DIR"}\`, or restore it from a backup`;
  if (folder !== undefined) await requirePrivate(folder, "folder", making);
  for (const name of names) {
    const file = files[name] ?? (folder === undefined ? undefined : join(folder, KEY_FILES[name]));
    if (file !== undefined) await requirePrivate(file, "file", making);
  }
  return (name) => files[name] ?? join(folder ?? defaultFolder, KEY_FILES[name]);
}

/** The origin of a log that has no other name: it follows from its key. */
export function originOf(publicKey: Uint8Array): string {
  return `tallystick.local/${createHash("sha256").update(publicKey).digest("hex").slice(0, 16)}`;
}
