/**
 * `tally restore`: a network's data folder from a backup.
 *
 * verify   every file is what backup.json says, and the log hashes to its root; all of it is copied beside its place
 * judge    what is in the data folder is of the same log, and no newer; no network runs there
 * replace  what is there is moved aside, never removed, and what was copied takes its place; the mark comes last
 */
import { mkdir, readdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { type Checkpoint, equal, type TreeHead } from "@tallystick/protocol";
import { RefusedError, UnverifiedError } from "../../errors.ts";
import { createHttp } from "../../http.ts";
import { copyTree } from "../../log/copy.ts";
import { LogTree } from "../../log/tree.ts";
import type { Context } from "../context.ts";
import { folderSource } from "../folder-source.ts";
import { findFile } from "../home.ts";
import { findRunning } from "../networks.ts";
import { createProgress, EXIT, type Exit, printable, UsageError } from "../terminal.ts";
import { API_KEY, DATABASE, findCheckpoint, findMark, LOGS, MARK, sequencedSize } from "./data-folder.ts";
import { codeOf, copySynced, diskFault, findDigest, isLocked, syncFolder, syncFolders } from "./files.ts";
import { isSameDigest, MANIFEST, type Manifest, parseManifest } from "./manifest.ts";

export type RestoreArguments = { backup: string; data?: string; keys?: string; json: boolean };

/** Where a restore puts files until all of them are there. */
const STAGING = "restoring";
/** What of a data folder is moved aside. Witnesses stay: they know what they have seen; and so do keys. */
const REPLACED =
  /^(tallystick\.json|log|artifacts|projections|usage|snapshots|ready\.json|node-openings|(gateway|verification)\.sqlite.*)$/;
/** What may be in a folder that is restored into. A verifier's chain stays: the log says how far it was revealed. */
const KNOWN = new RegExp(
  `${REPLACED.source}|^(keys|witnesses|verifier|proving|${STAGING}|before-restore-[0-9]+|lost\\+found)$`,
);
/** A witness's key belongs to its store, which a restore never touches: neither does it replace that. */
const OF_A_WITNESS = /^witness-[0-9]+\.pem$/;

/** What there is to restore, opened and verified as far as its log. */
type Opened = { folder: string; manifest: Manifest; tree: LogTree };

export async function restore(args: RestoreArguments, context: Context): Promise<Exit> {
  const [folder, data] = [resolve(args.backup), resolve(args.data ?? ".tallystick")];
  const keys = resolve(args.keys ?? join(data, "keys"));
  const { terminal, edges, home } = context;
  const progress = createProgress(terminal, "restoring", edges.nowMs);
  try {
    const opened = await openBackup(folder);
    const { origin, log, hasKeys } = opened.manifest;
    await requireStopped(data, context);
    await requireOlder(opened, data);
    const seen = await home.findCheckpoint(origin);
    if (seen !== undefined) await requireExtends(opened.tree, seen.checkpoint, `${origin} was last met with`);
    await copyAll(opened, data, progress.update);
    if (hasKeys) await restoreKeys(opened, data, keys);
    const aside = await replace(data);
    progress.end();
    const hasLogKey = (await findDigest(join(keys, "checkpoint.pem"))) !== undefined;
    const report = { origin, size: log.size, data, aside: aside ?? null, keys, hasLogKey };
    terminal.out(args.json ? `${JSON.stringify(report)}\n` : textOf(report));
    return EXIT.ok;
  } catch (error) {
    throw diskFault(error, `see to ${data}, then run the restore again: nothing that was there is lost`);
  } finally {
    progress.end();
  }
}

type Report = { origin: string; size: number; data: string; aside: string | null; keys: string; hasLogKey: boolean };

function textOf({ origin, size, data, aside, keys, hasLogKey }: Report): string {
  return [
    printable(`${origin}: ${size} entries in ${data}, each file as it was backed up`),
    ...(aside === null ? [] : [`what was there before is in ${aside}`]),
    ...(hasLogKey ? [] : [`its keys are not there: put them in ${keys} before you start it, with mode 0600`]),
    "the first start asks every witness whether this is the newest copy",
    "",
  ].join("\n");
}

async function openBackup(folder: string): Promise<Opened> {
  const path = join(folder, MANIFEST);
  const bytes = await findFile(path);
  if (bytes === undefined)
    throw new UsageError(`${path} is not there: ${folder} is no backup, or one that was cut short. Run it again`);
  const manifest = parseManifest(bytes, path);
  const { checkpoint } = (await findCheckpoint(folder, "log")) ?? {};
  const isOf = ({ origin, size, root }: Checkpoint) =>
    origin === manifest.origin && size === manifest.log.size && equal(root, manifest.log.root);
  if (checkpoint === undefined || !isOf(checkpoint))
    throw new UnverifiedError(`${folder}/log/tiles/checkpoint is not the one that ${MANIFEST} is about`);
  const source = folderSource(join(folder, "log", "tiles"));
  return { folder, manifest, tree: await LogTree.open([source.findTile], checkpoint) };
}

async function requireStopped(data: string, { edges }: Context): Promise<void> {
  const running = await findRunning(data);
  const answers =
    running !== undefined &&
    (await createHttp(running.url, edges)
      .bytes("/v2/health/live")
      .then(
        () => true,
        (error: unknown) => error instanceof RefusedError,
      ));
  if (answers || (await isLocked(join(data, DATABASE))))
    throw new UsageError(`a network runs on ${data}: stop it, or restore into another folder`);
}

/** What is in the data folder is of the same log, and has nothing that the backup lacks. */
async function requireOlder({ manifest, tree, folder }: Opened, data: string): Promise<void> {
  const names = await readdir(data).catch((error: unknown): string[] => {
    if (codeOf(error) === "ENOENT") return [];
    throw error;
  });
  const other = names.find((name) => !KNOWN.test(name));
  if (other !== undefined)
    throw new UsageError(`${data} holds ${other}, which is none of a network's: give an empty folder with --data`);
  const mark = await findMark(data);
  if (mark !== undefined && mark.origin !== manifest.origin)
    throw new UsageError(`${data} is the network ${mark.origin}, not ${manifest.origin}: restore into another folder`);
  const there = (await findCheckpoint(data, "log"))?.checkpoint;
  if (there === undefined) return;
  await requireExtends(tree, there, `the log in ${data} has`);
  const [has, had] = [await acknowledgedSize(folder, manifest.log.size), await acknowledgedSize(data, there.size)];
  if (had > has) throw new UnverifiedError(newer(`the log in ${data} has`, had, has));
}

async function acknowledgedSize(folder: string, size: number): Promise<number> {
  return Math.max(size, await sequencedSize(folder, "log"));
}

function newer(what: string, had: number, has: number): string {
  return `${what} ${had} entries and the backup ${has}: an older log would give indexes out a second time. Keep the newer one`;
}

async function requireExtends(tree: LogTree, earlier: TreeHead, what: string): Promise<void> {
  const { origin, size } = tree.head;
  if (earlier.origin !== origin) throw new UsageError(`${what} the origin ${earlier.origin}, not ${origin}`);
  if (earlier.size > size) throw new UnverifiedError(newer(what, earlier.size, size));
  if (!(await tree.extends(earlier)).ok)
    throw new UnverifiedError(`${what} ${earlier.size} entries that the backup does not begin with: they are two logs`);
}

/** Copies every file but the keys beside its place, each held to the manifest, and the tiles to their tree. */
async function copyAll(
  { folder, manifest, tree }: Opened,
  data: string,
  onProgress: (done: number, total: number) => void,
): Promise<void> {
  const staging = join(data, STAGING);
  await rm(staging, { recursive: true, force: true });
  const files = [...manifest.files].filter(([path]) => !path.startsWith("keys/"));
  for (const [i, [path, due]] of files.entries()) {
    const digest = await copySynced(join(folder, path), join(staging, path), path.startsWith(DATABASE) ? 0o600 : 0o644);
    if (!isSameDigest(digest, due))
      throw new UnverifiedError(`${join(folder, path)} is not the file that was backed up`);
    onProgress(i, files.length);
  }
  for (const log of LOGS) {
    const checkpoint = (await findCheckpoint(staging, log))?.checkpoint;
    if (checkpoint === undefined)
      throw new UnverifiedError(`${folder} has no checkpoint in ${log}: take another backup`);
    const source = folderSource(join(staging, log, "tiles"));
    await copyTree(log === "log" ? tree : await LogTree.open([source.findTile], checkpoint), asItIs(staging, log));
  }
  await syncFolders(staging);
}

/** A place that has each file of a tree already: what would be written there is not as it should be. */
function asItIs(staging: string, log: string): Parameters<typeof copyTree>[1] {
  return {
    find: (path) => findFile(join(staging, log, "tiles", path)),
    async write(path) {
      throw new UnverifiedError(`${log}/tiles/${path} is not in the backup, or not of its log: take another backup`);
    },
  };
}

/** Puts the backup's keys where they are to lie. One that is there and is another is renamed; a witness's stays as it is. */
async function restoreKeys({ folder, manifest }: Opened, data: string, keys: string): Promise<void> {
  await mkdir(keys, { recursive: true, mode: 0o700 });
  for (const [path, due] of manifest.files) {
    if (!path.startsWith("keys/")) continue;
    const name = path.slice("keys/".length);
    const to = join(name === API_KEY ? join(data, "keys") : keys, name);
    const there = await findDigest(to);
    if (isSameDigest(there, due) || (there !== undefined && OF_A_WITNESS.test(name))) continue;
    if (there !== undefined) await rename(to, await freeName(`${to}.before-restore-`));
    const digest = await copySynced(join(folder, path), to, 0o600);
    if (!isSameDigest(digest, due))
      throw new UnverifiedError(`${join(folder, path)} is not the file that was backed up`);
  }
  await syncFolders(keys);
}

/** Moves what is there aside and what was copied into its place. The folder that it is moved into; undefined where nothing was. */
async function replace(data: string): Promise<string | undefined> {
  const staging = join(data, STAGING);
  const names = (await readdir(data)).filter((name) => REPLACED.test(name)).sort(markFirst);
  const aside = names.length === 0 ? undefined : await freeName(join(data, "before-restore-"));
  if (aside !== undefined) {
    await mkdir(aside, { mode: 0o700 });
    for (const name of names) await rename(join(data, name), join(aside, name)); // Without its mark no network starts on it.
    await syncFolder(data);
  }
  for (const name of (await readdir(staging)).sort(markFirst).reverse())
    await rename(join(staging, name), join(data, name));
  await rm(staging, { recursive: true });
  await syncFolder(data);
  return aside;
}

function markFirst(a: string, b: string): number {
  return Number(b === MARK) - Number(a === MARK);
}

/** The first of `prefix`1, `prefix`2, … that is not there. */
async function freeName(prefix: string): Promise<string> {
  const names = await readdir(dirname(prefix));
  let count = 1;
  while (names.includes(basename(`${prefix}${count}`))) count++;
  return `${prefix}${count}`;
}
