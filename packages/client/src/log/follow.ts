/** One look at a log by somebody who follows it: what it signs is held to what it signed before, new entries to their tiles. */
import { type LogTrust, Malformed, parseCheckpoint, TILE_WIDTH, verifyCheckpoint } from "@tallystick/protocol";
import type { LogSource } from "../audit/source.ts";
import { UnreachableError, WrongTileError } from "../errors.ts";
import { type Alarm, contradictionOf, type SignedCheckpoint, shrunk, wrongTile } from "./alarm.ts";
import type { VerifiedCheckpoint } from "./head.ts";
import { inOrder } from "./in-order.ts";
import { type LogTree, openTree } from "./tree.ts";

/** Bundles that are fetched at once. */
const AT_ONCE = 8;

export type FollowOptions = {
  trust: LogTrust;
  /** The last checkpoint that was accepted; none at the first look. */
  kept?: SignedCheckpoint;
  onProgress?: (done: number, total: number) => void;
};

/** What the log serves, accepted: it extends what was kept, and every new entry is there. */
export type Accepted = VerifiedCheckpoint & { tree: LogTree };
export type Look = { ok: true; accepted: Accepted } | { ok: false; alarm: Alarm };

/**
 * Looks at the log in `source` once. Where nothing was kept, the checkpoint is taken as it is and no entry is read.
 * Throws UnreachableError, RefusedError or IncompleteLogError where there is nothing to judge.
 */
export async function followLog(source: LogSource, { trust, kept, onProgress }: FollowOptions): Promise<Look> {
  const bytes = await source.checkpoint();
  const checkpoint = parseOrUnreachable(bytes);
  const verified = await verifyCheckpoint(checkpoint, trust);
  const served = { checkpoint, bytes };
  if (!verified.ok) {
    const detail = `the checkpoint of ${checkpoint.size} entries is not to be believed: ${verified.failure}`;
    return { ok: false, alarm: { kind: "signature", detail, evidence: new Map([["checkpoint-served", bytes]]) } };
  }
  if (kept !== undefined && checkpoint.size < kept.checkpoint.size) return { ok: false, alarm: shrunk(kept, served) };
  try {
    const tree = await openTree(source, checkpoint);
    const alarm = kept === undefined ? undefined : await contradictionOf(kept, served, tree);
    if (alarm !== undefined) return { ok: false, alarm };
    if (kept !== undefined) await readEntries(tree, kept.checkpoint.size, onProgress);
    return { ok: true, accepted: { ...served, timeSeconds: verified.timeSeconds, tree } };
  } catch (error) {
    if (!(error instanceof WrongTileError)) throw error;
    return { ok: false, alarm: withKept(wrongTile(error, served), kept) };
  }
}

/** What is no checkpoint at all is no word of the log's: somebody else answers at its address, or nobody does. */
function parseOrUnreachable(bytes: Uint8Array) {
  try {
    return parseCheckpoint(bytes);
  } catch (cause) {
    if (!(cause instanceof Malformed)) throw cause;
    throw new UnreachableError(`what is served as the checkpoint ${cause.message}`, { cause });
  }
}

function withKept(alarm: Alarm, kept: SignedCheckpoint | undefined): Alarm {
  if (kept === undefined) return alarm;
  return { ...alarm, evidence: new Map([["checkpoint-earlier", kept.bytes], ...alarm.evidence]) };
}

/** Holds every entry from `from` on to its tile, and with it every tile to the root. */
async function readEntries(tree: LogTree, from: number, onProgress: FollowOptions["onProgress"]): Promise<void> {
  const { size } = tree.head;
  if (from === size) return;
  const [first, end] = [Math.floor(from / TILE_WIDTH), Math.ceil(size / TILE_WIDTH)];
  let done = from;
  for await (const _ of inOrder(first, end, AT_ONCE, (index) => tree.bundle(index))) {
    done = Math.min(size, (Math.floor(done / TILE_WIDTH) + 1) * TILE_WIDTH);
    onProgress?.(done - from, size - from);
  }
}
