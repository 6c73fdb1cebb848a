/**
 * The network's log as a role on another machine follows it: by its public tiles, each entry held to the checkpoint and to its
 * signatures before it is folded. Nothing the gateway says is believed of it.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type LogSource, openTree, readCheckpoint } from "@tallystick/client";
import {
  applyEntry,
  EMPTY_ROOT,
  type Entry,
  type FoldState,
  followHandovers,
  type LogTrust,
  Malformed,
  parseBundle,
  parseCheckpoint,
  parseEntry,
  type SignatureJob,
  signaturesOf,
  TILE_WIDTH,
  type TreeHead,
  verifyEs256,
} from "@tallystick/protocol";
import { OperatorError, systemCode } from "./platform/errors.ts";
import { writeDurably } from "./platform/files.ts";
import type { Report } from "./platform/http.ts";
import { Projection } from "./usage/service.ts";

export type NodeLogOptions = {
  source: LogSource;
  trust: LogTrust;
  /** The fold is kept there from one start to the next, with the checkpoint that it is of. */
  folder: string;
  /** How often the log is looked at. */
  intervalMs: number;
  report: Report;
};

export type NodeLog = {
  fold: FoldState;
  /** Takes in what the log has published so far. Throws where it cannot be read, or is not to be believed. */
  catchUp(): Promise<void>;
  /** Looks again and again until `isThere`, or for so long. */
  readOn(isThere: () => boolean, withinMs: number): Promise<void>;
  /** Tells of whatever was taken in from here on. */
  follow(follower: () => void): void;
  /** One entry of what was taken in, held to the checkpoint. */
  readEntry(index: number): Promise<Uint8Array>;
  /** Resolves with why, once the log did what no log may do: nothing can rest on it any more. */
  broken: Promise<OperatorError>;
  close(): Promise<void>;
};

/** The pause between two looks while a call waits for what it rests on. */
const IMPATIENT_MS = 150;

type Kept = TreeHead & { bytes?: Uint8Array };

export async function openNodeLog(options: NodeLogOptions): Promise<NodeLog> {
  const { source, folder, report, intervalMs } = options;
  const checkpointPath = join(folder, "checkpoint");
  let { trust } = options;
  let kept = await readKept(checkpointPath);
  const { projection, first } = await openProjection(source, trust, folder, kept);
  kept = first;
  const { fold } = projection;
  let breaking: (error: OperatorError) => void = () => {};
  const broken = new Promise<OperatorError>((resolve) => {
    breaking = resolve;
  });
  const followers: (() => void)[] = [];
  let isBroken = false;
  let looking: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;

  async function look(): Promise<void> {
    const { checkpoint, bytes } = await readCheckpoint(source, trust);
    if (checkpoint.size < (kept?.size ?? 0)) return; // An older answer from a cache; the next is newer.
    if (checkpoint.size === fold.size) return;
    const tree = await openTree(source, checkpoint);
    if (kept !== undefined && !(await tree.extends(kept)).ok)
      throw new OperatorError(`the log of ${trust.origin} is not the one that was followed: it has forked`);
    for (let bundle = Math.floor(fold.size / TILE_WIDTH); fold.size < checkpoint.size; bundle++) {
      const width = Math.min(TILE_WIDTH, checkpoint.size - bundle * TILE_WIDTH);
      const entries = parseBundle(await tree.bundle(bundle), width);
      await take(fold, entries.slice(fold.size % TILE_WIDTH));
    }
    kept = { origin: checkpoint.origin, size: checkpoint.size, root: checkpoint.root, bytes };
    trust = await followHandovers(trust, fold.handovers);
    for (const follower of followers) follower();
  }

  function catchUp(): Promise<void> {
    if (isBroken) return Promise.reject(new OperatorError("the log is not to be believed any more"));
    looking ??= look()
      .catch((error: unknown) => {
        if (error instanceof OperatorError) {
          isBroken = true;
          breaking(error);
        }
        throw error;
      })
      .finally(() => {
        looking = undefined;
      });
    return looking;
  }

  async function follow(): Promise<void> {
    await catchUp().catch((error: unknown) => report("the log cannot be followed", { error: String(error) }));
    if (!isClosed && !isBroken) timer = setTimeout(() => void follow(), intervalMs);
  }

  await catchUp();
  timer = setTimeout(() => void follow(), intervalMs);

  return {
    fold,
    catchUp,
    broken,
    follow: (follower) => void followers.push(follower),

    async readEntry(index) {
      const { checkpoint } = await readCheckpoint(source, trust);
      const tree = await openTree(source, checkpoint);
      if (kept !== undefined && !(await tree.extends(kept)).ok)
        throw new OperatorError(`the log of ${trust.origin} is not the one that was followed: it has forked`);
      const bundle = Math.floor(index / TILE_WIDTH);
      const width = Math.min(TILE_WIDTH, checkpoint.size - bundle * TILE_WIDTH);
      const entry = parseBundle(await tree.bundle(bundle), width)[index % TILE_WIDTH];
      if (entry === undefined) throw new Error(`the log has no entry ${index}`);
      return entry;
    },

    async readOn(isThere, withinMs) {
      for (let leftMs = withinMs; !isThere() && leftMs > 0 && !isBroken && !isClosed; leftMs -= IMPATIENT_MS) {
        await catchUp().catch(() => {}); // Whoever needed it finds that it is not there.
        if (!isThere()) await new Promise((resolve) => setTimeout(resolve, IMPATIENT_MS));
      }
    },

    async close() {
      isClosed = true;
      clearTimeout(timer);
      await looking?.catch(() => {});
      if (kept?.bytes === undefined || isBroken || kept.size !== fold.size) return;
      await projection.save(kept.root);
      await writeDurably(checkpointPath, kept.bytes);
    },
  };
}

/** The fold as it was kept, where it is of a part of this log; else none, to begin with the first entry. */
async function openProjection(source: LogSource, trust: LogTrust, folder: string, kept: Kept | undefined) {
  if (kept === undefined)
    return { projection: await Projection.resume(folder, { size: 0, rootAt: async () => EMPTY_ROOT }) };
  const { checkpoint } = await readCheckpoint(source, trust);
  if (checkpoint.size < kept.size)
    throw new OperatorError(
      `the log of ${trust.origin} has ${checkpoint.size} entries and had ${kept.size}: it is an older copy`,
    );
  const tree = await openTree(source, checkpoint);
  if (!(await tree.extends(kept)).ok)
    throw new OperatorError(`the log of ${trust.origin} is not the one that was followed before: it has forked`);
  const projection = await Projection.resume(folder, { size: kept.size, rootAt: (size) => tree.rootAt(size) });
  const { size } = projection.fold;
  return { projection, first: size === 0 ? undefined : { origin: trust.origin, size, root: await tree.rootAt(size) } };
}

async function readKept(path: string): Promise<Kept | undefined> {
  const bytes = await readFile(path).catch((error: unknown) => {
    if (systemCode(error) === "ENOENT") return undefined;
    throw error;
  });
  return bytes === undefined ? undefined : parseCheckpoint(new Uint8Array(bytes));
}

/** Folds the next entries, whose signatures hold. An entry that nobody can have signed is the log's fault, for good. */
async function take(fold: FoldState, entries: readonly Uint8Array[]): Promise<void> {
  const jobs: SignatureJob[] = [];
  for (const bytes of entries) {
    const entry = entryOf(bytes, fold.size);
    const signatures = signaturesOf(fold, entry);
    if (!signatures.ok) throw new OperatorError(`entry ${fold.size} of the log is false: ${signatures.detail}`);
    jobs.push(...signatures.jobs);
    applyEntry(fold, entry);
  }
  for (const { spki, message, signature } of jobs)
    if (!(await verifyEs256(spki, message, signature)))
      throw new OperatorError(`an entry of the log before ${fold.size} has a signature that does not hold`);
}

function entryOf(bytes: Uint8Array, index: number): Entry {
  try {
    return parseEntry(bytes);
  } catch (cause) {
    if (!(cause instanceof Malformed)) throw cause;
    throw new OperatorError(`entry ${index} of the log ${cause.message}`, { cause });
  }
}
