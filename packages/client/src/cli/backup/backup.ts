/**
 * `tally backup`: a copy of a network as it is at one moment, taken while it runs or is stopped.
 *
 * state      what changes, from the daemon
 * immutable  tiles and bundles, each held to the checkpoint; artifacts, each to its name. What the folder has is kept
 * changing   put beside its place, and into it only when all else is there
 * manifest   written last: before it is there, the folder is no backup
 */
import { readdir, rename, rm } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { type Checkpoint, utf8 } from "@tallystick/protocol";
import { findTile } from "../../audit/source.ts";
import { UnverifiedError } from "../../errors.ts";
import { copyTree } from "../../log/copy.ts";
import { LogTree } from "../../log/tree.ts";
import type { Context } from "../context.ts";
import { folderSource } from "../folder-source.ts";
import { findFile } from "../home.ts";
import { createProgress, EXIT, type Exit, printable, UsageError } from "../terminal.ts";
import { API_KEY, encodeMark, findCheckpoint, findMark, LOGS, type LogFolder, MARK, type Mark } from "./data-folder.ts";
import { codeOf, copySynced, diskFault, findDigest, listFiles, syncFolders, writeSynced } from "./files.ts";
import { digestOf, encodeManifest, type FileDigest, MANIFEST, manifestOf } from "./manifest.ts";
import { type State, takeState } from "./state.ts";

export type BackupArguments = { data?: string; keys?: string; out: string; withKeys: boolean; json: boolean };

/** What is copied to its place only when all else is there has this behind its name until then. */
const NEXT = ".next";
/** What may lie in a folder of keys besides: it is no key. */
const NO_KEY = /\.new$/;

/** The folder that becomes a backup, and what is in it so far. */
type Copy = {
  data: string;
  out: string;
  files: Map<string, FileDigest>;
  /** Paths that are put in their place at the end. */
  staged: string[];
  writtenCount: number;
};

export async function backup(args: BackupArguments, context: Context): Promise<Exit> {
  const [data, out] = [resolve(args.data ?? ".tallystick"), resolve(args.out)];
  const keys = resolve(args.keys ?? join(data, "keys"));
  const mark = await findMark(data);
  if (mark === undefined) throw new UsageError(`${data} is no data folder of a network: give one with --data`);
  const { terminal, edges } = context;
  const progress = createProgress(terminal, "copying", edges.nowMs);
  const copy: Copy = { data, out, files: new Map(), staged: [], writtenCount: 0 };
  try {
    await prepare(copy, mark, args.withKeys);
    const state = await takeState(data, keys, context);
    if (state.checkpoints.log.checkpoint.origin !== mark.origin)
      throw new UsageError(`the network that runs is not that of ${data}: ready.json is of another`);
    for (const log of LOGS) await copyLog(copy, log, state.checkpoints[log], progress.update);
    for (const [path, from] of state.files) await stage(copy, path, from);
    await state.finish();
    await copyArtifacts(copy);
    if (args.withKeys) await copyKeys(copy, keys);
    await complete(copy, state, { takenAtSeconds: Math.floor(edges.nowMs() / 1000), hasKeys: args.withKeys });
    progress.end();
    const { origin, size } = state.checkpoints.log.checkpoint;
    const { writtenCount } = copy;
    const report = { origin, size, fileCount: copy.files.size, writtenCount, hasKeys: args.withKeys, folder: out };
    terminal.out(args.json ? `${JSON.stringify(report)}\n` : textOf(report));
    return EXIT.ok;
  } catch (error) {
    throw diskFault(error, `see to ${out}, then run the backup again: what is there is kept`);
  } finally {
    progress.end();
  }
}

type Report = {
  origin: string;
  size: number;
  fileCount: number;
  writtenCount: number;
  hasKeys: boolean;
  folder: string;
};

function textOf({ origin, size, fileCount, writtenCount, hasKeys, folder }: Report): string {
  const keys = hasKeys
    ? "with every key: keep it as you keep keys"
    : "without keys, which a restored network needs: keep them apart, or give --with-keys";
  return `${printable(`${origin}: ${size} entries in ${folder}, ${writtenCount} of ${fileCount} files written`)}\n${keys}\n`;
}

/** The folder is new, empty, or holds a backup of this log, be it one that was cut short. */
async function prepare({ out }: Copy, mark: Mark, withKeys: boolean): Promise<void> {
  const names = await readdir(out).catch((error: unknown): string[] => {
    if (codeOf(error) === "ENOENT") return [];
    throw error;
  });
  const there = await findMark(out);
  if (there === undefined && names.length > 0)
    throw new UsageError(`${out} holds other files: give --out a folder that is new or empty`);
  if (there !== undefined && !there.isRestored)
    throw new UsageError(`${out} is a network's data folder: give --out another folder`);
  if (there !== undefined && there.origin !== mark.origin)
    throw new UsageError(`${out} is a backup of another log, ${there.origin}: give --out another folder`);
  if (names.includes("keys") && !withKeys)
    throw new UsageError(`${out} has the keys of an earlier backup: give --with-keys again, or another folder`);
  // Says whose the folder is, and that a network which is started on a copy of it has to ask its witnesses first.
  await writeSynced(join(out, MARK), utf8(encodeMark({ ...mark, isRestored: true })));
}

/** Copies the tiles of one log at its checkpoint, and stages that. Throws where the log is damaged, naming the file. */
async function copyLog(
  copy: Copy,
  log: LogFolder,
  { checkpoint, bytes }: State["checkpoints"][LogFolder],
  onProgress: (done: number, total: number) => void,
): Promise<void> {
  const { data, out, files } = copy;
  const [from, to] = [data, out].map((folder) => folderSource(join(folder, log, "tiles"))) as [Source, Source];
  const tree = await LogTree.open([to.findTile, (tile) => findTile(from, tile)], checkpoint);
  await requireOlder(out, log, checkpoint, tree);
  const place = {
    async find(path: string) {
      const found = await findFile(join(out, log, "tiles", path));
      if (found !== undefined) files.set(`${log}/tiles/${path}`, digestOf(found));
      return found;
    },
    async write(path: string, content: Uint8Array) {
      await writeSynced(join(out, log, "tiles", path), content);
      files.set(`${log}/tiles/${path}`, digestOf(content));
    },
  };
  copy.writtenCount += await copyTree(tree, place, log === "log" ? onProgress : undefined);
  await stageBytes(copy, `${log}/tiles/checkpoint`, bytes);
}

type Source = ReturnType<typeof folderSource>;

/** A backup is not replaced by an older one, nor by one of another history. */
async function requireOlder(out: string, log: LogFolder, checkpoint: Checkpoint, tree: LogTree): Promise<void> {
  const before = (await findCheckpoint(out, log))?.checkpoint;
  if (before === undefined) return;
  if (before.size > checkpoint.size)
    throw new UnverifiedError(
      `the backup in ${out} has ${before.size} entries and the network ${checkpoint.size}: it runs on an older copy of its log`,
    );
  if (!(await tree.extends(before)).ok)
    throw new UnverifiedError(`the log does not begin with the ${before.size} entries of the backup in ${out}`);
}

/** Puts a file beside its place, as it is. */
async function stage(copy: Copy, path: string, from: string): Promise<void> {
  copy.files.set(path, await copySynced(from, join(copy.out, `${path}${NEXT}`), 0o600));
  copy.staged.push(path);
  copy.writtenCount++;
}

async function stageBytes(copy: Copy, path: string, bytes: Uint8Array): Promise<void> {
  await writeSynced(join(copy.out, `${path}${NEXT}`), bytes);
  copy.files.set(path, digestOf(bytes));
  copy.staged.push(path);
  copy.writtenCount++;
}

async function copyArtifacts(copy: Copy): Promise<void> {
  const names = (await listFiles(join(copy.data, "artifacts"))).filter((name) => /^[0-9a-f]{64}$/.test(basename(name)));
  for (const name of names) {
    const [path, due] = [`artifacts/${name}`, basename(name)];
    const to = join(copy.out, path);
    const there = await findDigest(to);
    if (there?.sha256 === due) copy.files.set(path, there);
    else {
      const digest = await copySynced(join(copy.data, path), to);
      if (digest.sha256 !== due) {
        await rm(to);
        throw new UnverifiedError(
          `${join(copy.data, path)} is damaged: remove it and start the network again, which stores it anew from its source`,
        );
      }
      copy.files.set(path, digest);
      copy.writtenCount++;
    }
  }
}

async function copyKeys(copy: Copy, keys: string): Promise<void> {
  const names = (await listFiles(keys)).filter((name) => !NO_KEY.test(name));
  if (names.length === 0) throw new UsageError(`${keys} has no keys: say where they lie with --keys DIR`);
  for (const name of names) await stage(copy, `keys/${name}`, join(keys, name));
  const apiKey = join(copy.data, "keys", API_KEY); // It lies in the data folder wherever the others do.
  if (!names.includes(API_KEY) && (await findFile(apiKey)) !== undefined) await stage(copy, `keys/${API_KEY}`, apiKey);
}

/** Puts what was staged in its place and says what the backup holds; then removes what an earlier one had. */
async function complete(copy: Copy, state: State, rest: { takenAtSeconds: number; hasKeys: boolean }): Promise<void> {
  const { out, files, staged } = copy;
  const mark = await findFile(join(out, MARK));
  files.set(MARK, digestOf(mark ?? new Uint8Array(0)));
  await syncFolders(out);
  await rm(join(out, MANIFEST), { force: true });
  for (const path of staged) await rename(join(out, `${path}${NEXT}`), join(out, path));
  for (const path of await listFiles(out)) if (!files.has(path)) await rm(join(out, path));
  await syncFolders(out);
  await writeSynced(
    join(out, MANIFEST),
    encodeManifest(manifestOf(state.checkpoints.log.checkpoint, { ...rest, files })),
  );
  await syncFolders(out);
}
