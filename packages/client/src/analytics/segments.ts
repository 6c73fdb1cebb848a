/**
 * Segments, the Parquet files of each closed day: its receipts, a rollup of them, and its figures. Made from the log alone, by
 * whoever has it; what is lost is made again, and is the same (docs/operating/analytics.md).
 */
import { mkdir, readdir, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import {
  applyToRows,
  base64,
  type ClosedRows,
  createFold,
  createRowFold,
  documentDigest,
  encodeNote,
  hex,
  KEPT_RULES,
  METRICS_VERSION,
  parseBundle,
  parseCheckpoint,
  parseEntry,
  ROWS_VERSION,
  RULES,
  rulesDigest,
  sha256,
  TILE_WIDTH,
  tileWidth,
  utf8,
  type WashRules,
} from "@tallystick/protocol";
import type { LogTree } from "../log/tree.ts";
import { readMetadataOf } from "./database.ts";
import { SEGMENT_FILE, segmentFiles, writeSegments } from "./segment-database.ts";

export type Segments = {
  /** Days of which a segment was written, and days whose segments were there and are of this log. */
  built: string[];
  kept: string[];
};

/** Told how many entries or days are done, of how many. */
export type OnProgress = (done: number, total: number) => void;

/** What names a set of rules in a segment's file's name: segments by other rules, or of another layout, lie beside it. */
export function segmentKey(rules: WashRules): string {
  return hex(sha256(utf8(`${ROWS_VERSION} ${RULES} ${METRICS_VERSION} `), rulesDigest(rules))).slice(0, 16);
}

/**
 * Makes the segments of every closed day of the log that `tree` is of, by each set of rules, from its first entry on. Entries
 * are held to the tree; their signatures are not looked at.
 */
export async function buildSegments(
  tree: LogTree,
  folder: string,
  onProgress: OnProgress = () => {},
  rules: readonly WashRules[] = KEPT_RULES,
): Promise<Segments> {
  const { size } = tree.head;
  const state = createRowFold(createFold(rules));
  const segments: Segments = { built: [], kept: [] };
  for (let bundle = 0; bundle * TILE_WIDTH < size; bundle++) {
    for (const bytes of parseBundle(await tree.bundle(bundle), tileWidth("entries", bundle, size))) {
      applyToRows(state, parseEntry(bytes));
      for (const closed of state.closed.values()) {
        const isBuilt = await writeDay(tree, folder, closed);
        segments[isBuilt ? "built" : "kept"].push(closed.day);
      }
      state.closed.clear();
    }
    onProgress(state.fold.size, size);
  }
  await removeOthers(folder, [...state.fold.closedDays.keys()], rules);
  return segments;
}

/** Writes the segments of a day, where those of this very day and log are not there. Whether they were not. */
export async function writeDay(tree: LogTree, folder: string, closed: ClosedRows): Promise<boolean> {
  await mkdir(folder, { recursive: true });
  const said = await metadataOf(tree, closed);
  const sets = closed.judged.map((judged) => {
    const { rules, document } = judged;
    const metadata = { ...said, ...rulesSaid(rules), "tallystick.result_digest": hex(documentDigest(document)) };
    return { key: segmentKey(rules), judged, metadata };
  });
  const due = [];
  for (const set of sets) {
    const found = await readMetadataOf(segmentFiles(folder, closed.day, set.key));
    if (!found.every((file) => saysAll(file, set.metadata))) due.push(set);
  }
  if (due.length > 0) await writeSegments(folder, closed, due);
  return due.length > 0;
}

/** What the files of a closed day say of it whatever the rules: of which log it is, and the signed checkpoint that covers its receipts. */
async function metadataOf(
  tree: LogTree,
  { day, size, checkpoint: bytes }: ClosedRows,
): Promise<Record<string, string>> {
  const checkpoint = parseCheckpoint(bytes);
  return {
    ...(await closingSaid(tree, day, size)),
    "tallystick.origin": checkpoint.origin,
    "tallystick.size": String(checkpoint.size),
    "tallystick.root": base64(checkpoint.root),
    "tallystick.checkpoint": encodeNote(checkpoint.note),
  };
}

/** What is said of a day's closing: how many entries had been folded, and the root of the tree of them, which no other log has. */
async function closingSaid(tree: LogTree, day: string, size: number): Promise<Record<string, string>> {
  const root = base64(await tree.rootAt(size));
  return {
    "tallystick.day": day,
    "tallystick.closed_at_size": String(size),
    "tallystick.closed_at_root": root,
  };
}

function rulesSaid(rules: WashRules): Record<string, string> {
  return {
    "tallystick.rows": ROWS_VERSION,
    "tallystick.rules": RULES,
    "tallystick.wash_rules": rules.version,
    "tallystick.wash_rules_digest": hex(rulesDigest(rules)),
    "tallystick.metrics": METRICS_VERSION,
  };
}

function saysAll(said: ReadonlyMap<string, string>, due: Readonly<Record<string, string>>): boolean {
  return Object.entries(due).every(([key, value]) => said.get(key) === value);
}

/** Which of the days, that closed at those sizes, have their segments by each set of rules. What is of no such day is removed. */
export async function findSegments(
  tree: LogTree,
  folder: string,
  days: readonly { day: string; size: number }[],
  rules: readonly WashRules[],
  onProgress: OnProgress = () => {},
): Promise<string[]> {
  await mkdir(folder, { recursive: true });
  const found: string[] = [];
  for (const [done, { day, size }] of days.entries()) {
    const closing = await closingSaid(tree, day, size);
    let isWhole = true;
    for (const set of rules) {
      const said = await readMetadataOf(segmentFiles(folder, day, segmentKey(set)));
      isWhole &&= said.every((file) => saysAll(file, { ...closing, ...rulesSaid(set) }));
    }
    if (isWhole) found.push(day);
    onProgress(done, days.length);
  }
  await removeOthers(
    folder,
    days.map(({ day }) => day),
    rules,
  );
  return found;
}

/** Removes segments of days that this log has not closed, or by other rules, and what a writer that was killed has left. */
async function removeOthers(folder: string, days: readonly string[], rules: readonly WashRules[]): Promise<void> {
  const keys = rules.map(segmentKey);
  const ours = new Set(
    days.flatMap((day) => keys.flatMap((key) => segmentFiles(folder, day, key).map((file) => basename(file)))),
  );
  for (const name of await readdir(folder).catch(() => []))
    if (SEGMENT_FILE.test(name) && !ours.has(name)) await rm(join(folder, name), { recursive: true, force: true });
}
