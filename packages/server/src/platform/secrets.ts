/** Secrets that are not key pairs: each a line of text in a file of its own, readable by its owner alone. */
import { createHash, timingSafeEqual } from "node:crypto";
import { readFile } from "node:fs/promises";
import { systemCode } from "./errors.ts";
import { writeDurably } from "./files.ts";

/** The secret in `path`; undefined where there is none. */
export async function findSecret(path: string): Promise<string | undefined> {
  try {
    return (await readFile(path, "utf8")).trim();
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** Keeps `secret` in `path`, durably. */
export async function keepSecret(path: string, secret: string): Promise<void> {
  await writeDurably(path, `${secret}\n`, 0o600);
}

/** The secret in `path`; made by `create` when it is not there. */
export async function openSecret(path: string, create: () => string): Promise<string> {
  const known = await findSecret(path);
  if (known !== undefined) return known;
  const made = create();
  await keepSecret(path, made);
  return made;
}

/** Whether `given` is the secret, in a time that tells nothing of it. */
export function sameSecret(given: string | undefined, secret: string): boolean {
  const digest = (text: string) => createHash("sha256").update(text).digest();
  return given !== undefined && timingSafeEqual(digest(given), digest(secret));
}
