/** `tally log`: every file of a log checked, a copy made of it, an entry proved. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { parseCheckpoint, parseNoteKey } from "@tallystick/protocol";
import { orUnverified, RefusedError, UnverifiedError } from "../errors.ts";
import { createHttp } from "../http.ts";
import { copyLog } from "../log/copy.ts";
import { type Fsck, fsckLog } from "../log/fsck.ts";
import { type VerifiedCheckpoint, verifiedCheckpoint } from "../log/head.ts";
import { proveEntry } from "../log/prove.ts";
import { openTree } from "../log/tree.ts";
import type { Context } from "./context.ts";
import { openCopyPlace } from "./folder-source.ts";
import { contradiction, readHeldCheckpoint } from "./fork-memory.ts";
import { findFile, writePublicly } from "./home.ts";
import { type LogArguments, type OpenedLog, openLog } from "./logs.ts";
import { type LogKey, trustOf } from "./networks.ts";
import { createProgress, EXIT, type Exit, printable, UsageError } from "./terminal.ts";

/** Findings shown to a person; `--json` has them all. */
const FINDINGS_SHOWN = 20;

export async function fsck(args: LogArguments & { json: boolean }, context: Context): Promise<Exit> {
  const { terminal, edges } = context;
  const { source, logKey } = await openLog(args, context);
  const progress = createProgress(terminal, "checking", edges.nowMs);
  try {
    const result = await fsckLog(source, { trust: await trustOf(logKey, context.policy), onProgress: progress.update });
    progress.end();
    terminal.out(args.json ? `${JSON.stringify(result)}\n` : fsckText(result, logKey));
    return result.findings.length > 0 ? EXIT.unverified : EXIT.ok;
  } finally {
    progress.end();
  }
}

function fsckText({ origin, size, fileCount, findings, notes }: Fsck, { because }: LogKey): string {
  const shown = findings.slice(0, FINDINGS_SHOWN).map(({ file, index, detail }) => {
    const entry = index === undefined ? "" : ` (entry ${index})`;
    return printable(`  FAILED  ${file} ${detail}${entry}`);
  });
  const rest = findings.length > FINDINGS_SHOWN ? [`  … and ${findings.length - FINDINGS_SHOWN} more: --json`] : [];
  return `${[
    printable(`log         ${origin ?? "unknown"}, ${size} entries`),
    `log key     trusted because ${because}`,
    `files       ${fileCount} checked`,
    ...notes.map((note) => `note        ${note}`),
    `failed      ${findings.length}`,
    ...shown,
    ...rest,
  ].join("\n")}\n`;
}

export async function exportLog(args: LogArguments & { out: string; json: boolean }, context: Context): Promise<Exit> {
  const { terminal, edges } = context;
  const opened = await openLog(args, context);
  const { name: origin } = parseNoteKey(opened.logKey.vkey);
  await checkFolder(args.out, origin);
  const usage = await findUsage(opened, context); // Before the checkpoint, which then covers what it is of.
  const served = await readHeldCheckpoint(opened, context);
  const place = openCopyPlace(args.out);
  await writePublicly(join(args.out, "log.vkey"), `${opened.logKey.vkey}\n`);
  const progress = createProgress(terminal, "copying", edges.nowMs);
  try {
    const options = { trust: await trustOf(opened.logKey, context.policy), onProgress: progress.update };
    const copied = await copyLog(opened.source, served, place, options);
    if (!copied.ok) throw await contradiction(copied.alarm, origin, context);
    if (usage !== undefined) await place.write("usage.json", usage);
    progress.end();
    const { size, writtenCount } = copied;
    terminal.out(
      args.json
        ? `${JSON.stringify({ origin, size, writtenCount, folder: args.out })}\n`
        : printable(`${origin}: ${size} entries in ${args.out}, ${writtenCount} files written`).concat("\n"),
    );
    return EXIT.ok;
  } finally {
    progress.end();
  }
}

/** A copy goes into a folder that is new, empty or one of this very log's: its checkpoint or, before that is there, its key says so. */
async function checkFolder(folder: string, origin: string): Promise<void> {
  const names = await readdir(folder).catch((): string[] => []);
  if (names.length === 0) return;
  const checkpoint = await findFile(join(folder, "checkpoint"));
  const vkey = new TextDecoder().decode(await findFile(join(folder, "log.vkey"))).trim();
  if (checkpoint === undefined && vkey === "")
    throw new UsageError(`${folder} holds other files: give --out a folder that is new or empty`);
  const there = orUnverified(`what ${folder} holds`, () =>
    checkpoint === undefined ? parseNoteKey(vkey).name : parseCheckpoint(checkpoint).origin,
  );
  if (there !== origin) throw new UnverifiedError(`${folder} holds a copy of another log, ${there}`);
}

async function findUsage({ url }: OpenedLog, { edges }: Context): Promise<Uint8Array | undefined> {
  if (url === undefined) return undefined;
  return createHttp(url, edges)
    .bytes("/v1/usage")
    .catch((error: unknown) => {
      if (error instanceof RefusedError) return undefined;
      throw error;
    });
}

export type ProveArguments = LogArguments & {
  index: string;
  size?: string;
  checkpoint?: string;
  out?: string;
  json: boolean;
};

export async function prove(args: ProveArguments, context: Context): Promise<Exit> {
  const index = countOf(args.index, "an index");
  const opened = await openLog(args, context);
  const newest = await readHeldCheckpoint(opened, context);
  const checkpoint = await findCheckpoint(args, newest, opened, context);
  const { size, origin } = checkpoint.checkpoint;
  if (index >= size) throw new UsageError(`there is no entry ${index} among ${size}`);
  const proof = await proveEntry(await openTree(opened.source, newest.checkpoint), index, checkpoint);
  if (args.out !== undefined) await writePublicly(args.out, proof);
  if (args.json) context.terminal.out(`${JSON.stringify({ origin, index, size, proof })}\n`);
  else if (args.out === undefined) context.terminal.out(proof);
  return EXIT.ok;
}

/** The checkpoint that a proof is to lead to: the newest one, unless an earlier one is given. */
async function findCheckpoint(
  { size, checkpoint: path }: ProveArguments,
  newest: VerifiedCheckpoint,
  { logKey }: OpenedLog,
  context: Context,
): Promise<VerifiedCheckpoint> {
  const wanted = size === undefined ? undefined : countOf(size, "--size");
  if (path === undefined) {
    if (wanted === undefined || wanted === newest.checkpoint.size) return newest;
    throw new UsageError(
      `the log's checkpoint is of ${newest.checkpoint.size} entries: give the one of ${wanted} with --checkpoint FILE`,
    );
  }
  const bytes = await findFile(path);
  if (bytes === undefined) throw new UsageError(`there is no checkpoint in ${path}`);
  const given = await verifiedCheckpoint(bytes, await trustOf(logKey, context.policy));
  if (wanted !== undefined && wanted !== given.checkpoint.size)
    throw new UsageError(`the checkpoint in ${path} is of ${given.checkpoint.size} entries, not ${wanted}`);
  if (given.checkpoint.size > newest.checkpoint.size)
    throw new UsageError(`the checkpoint in ${path} is of more entries than the log has`);
  return given;
}

function countOf(text: string, what: string): number {
  const count = Number(text);
  if (!/^(0|[1-9][0-9]*)$/.test(text) || !Number.isSafeInteger(count))
    throw new UsageError(`${what} is a whole number, not ${JSON.stringify(text)}`);
  return count;
}
