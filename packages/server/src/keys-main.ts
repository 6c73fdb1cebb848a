/** `tallyd keys`: makes the keys of every role in a folder of their own, and prints the public ones. */
import { access, mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { base64, encodeNoteKey, hex } from "@tallystick/protocol";
import { KEY_FILES, KEY_NAMES, type KeyName, originOf } from "./keys.ts";
import { readArguments } from "./option-values.ts";
import { OperatorError, systemCode } from "./platform/errors.ts";
import { openNoteSigner, openSigner } from "./platform/keys.ts";
import { requirePrivate } from "./platform/private-files.ts";
import type { Random } from "./platform/random.ts";
import { openSecret } from "./platform/secrets.ts";
import { openWitnessKey } from "./witness/open.ts";

export const KEYS_HELP = `tallyd keys: makes the keys of a network that others reach

  tallyd keys --keys DIR

  --keys DIR      a folder for nothing else; made with mode 0700, and each file with 0600
  --help

Keys that are there already stay as they are. The public half of each is printed: of the
log's, the vkey to hand out. Start the network on them with \`tallyd --keys DIR\`.
`;

/** Runs the command. Throws an OperatorError where it cannot. */
export async function makeKeys(args: string[], random: Random, say: (text: string) => void): Promise<void> {
  const folder = parseFolder(args);
  if (folder === undefined) return say(KEYS_HELP);
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
  } catch (cause) {
    if (systemCode(cause) === "EEXIST" || systemCode(cause) === "ENOTDIR")
      throw new OperatorError(`${folder} is a file: give a folder with --keys`, { cause });
    throw new OperatorError(`may not make ${folder}: give another folder with --keys`, { cause });
  }
  await requirePrivate(folder, "folder", "give a folder with --keys");
  const rows: string[] = [];
  for (const name of KEY_NAMES) {
    const path = join(folder, KEY_FILES[name]);
    const isThere = await access(path).then(
      () => true,
      () => false,
    );
    if (isThere) await requirePrivate(path, "file", "give a folder with --keys");
    rows.push(`  ${name.padEnd(10)}  ${isThere ? "was there" : "made     "}  ${await openPublic(name, path, random)}`);
  }
  say(`Keys in ${folder}, readable by this user alone:\n\n${rows.join("\n")}\n`);
}

/** The folder that is given; undefined where help is asked for. */
function parseFolder(args: string[]): string | undefined {
  const { values } = readArguments("tallyd keys", {
    args,
    allowPositionals: false,
    options: { keys: { type: "string" }, help: { type: "boolean", short: "h", default: false } },
  });
  if (values.help) return undefined;
  if (values.keys) return resolve(values.keys);
  throw new OperatorError("which folder are the keys to lie in? Say so with `tallyd keys --keys DIR`");
}

/** Opens the key in `path`, which is made where it is not there. What of it is public. */
async function openPublic(name: KeyName, path: string, random: Random): Promise<string> {
  if (name === "checkpoint") return encodeNoteKey((await openNoteSigner(path, originOf)).key);
  if (name === "witness-1" || name === "witness-2") return encodeNoteKey(await openWitnessKey(path));
  if (name !== "sealing" && name !== "admin") return base64((await openSigner(path)).spki);
  await openSecret(path, () => hex(random(name === "sealing" ? 32 : 24)));
  return "a secret";
}
