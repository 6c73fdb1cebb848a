/** The walk through a log's entries: each is hashed, folded, and its signatures are checked meanwhile. */
import {
  applyEntry,
  createFold,
  type DayDocument,
  type Entry,
  equal,
  type Figures,
  type FoldState,
  figuresOf,
  leafHash,
  Malformed,
  parseEntry,
  type SignatureJob,
  signaturesOf,
  TILE_WIDTH,
  verifyEs256,
} from "@tallystick/protocol";
import { readBundle } from "./bundles.ts";
import type { ClockCheck } from "./clock.ts";
import type { Report } from "./findings.ts";
import { type AuditedDay, SnapshotCheck } from "./snapshots.ts";
import type { LogSource } from "./source.ts";
import { Tiles } from "./tiles.ts";

export type WalkOptions = {
  /** Whether each signature holds; in this thread unless the caller has more of them. */
  verifyAll?: (jobs: readonly SignatureJob[]) => Promise<boolean[]>;
  onProgress?: (done: number, total: number) => void;
  /** Is shown each entry in order; those that are none are left out. */
  onEntry?: (index: number, entry: Entry) => void;
  /** Is shown what each closed day came to by the first rules, as it closes: nothing keeps the documents of all days. */
  onDocument?: (document: DayDocument) => void;
  /** What was kept is of another log than the one that is read: the walk begins anew, and what was shown is of none. */
  onRestart?: () => void;
  /** What the caller keeps of an audit that may be cut short. */
  kept?: ProgressStore;
};

/**
 * Of how many entries the signatures were checked, which tree these make, and which of them do not hold. Nearly all that an
 * audit takes is their signatures: one that goes on from here hashes and folds those entries again, and nothing more.
 */
export type Progress = { size: number; root: Uint8Array; bad: readonly number[] };

/** Where an auditor keeps its own progress. What is found there is believed, of that very tree. */
export type ProgressStore = {
  find(): Promise<Progress | undefined>;
  keep(progress: Progress): Promise<void>;
  /** After how many bundles it is kept again. */
  everyBundles: number;
};

export type Walk = {
  entryCount: number;
  signatureCount: number;
  tiles: Tiles;
  fold: FoldState;
  days: AuditedDay[];
  figures: Figures;
};

/** Bundles whose signatures may be under way at once: workers go on for a second or two while a day is closed. */
const BUNDLES_IN_FLIGHT = 64;

/** What was kept is of another log than the one that is read. */
export class OtherLogError extends Error {
  override name = "OtherLogError";
}

export type Sizes = { size: number; comparedSize: number };

/** Goes through the bundles in order. Throws OtherLogError where what was kept before is not of these entries. */
export async function walkEntries(
  source: LogSource,
  { size, comparedSize }: Sizes,
  clock: ClockCheck,
  options: WalkOptions,
  report: Report,
): Promise<Walk> {
  const { verifyAll = verifyHere, onProgress, onEntry, onDocument, kept } = options;
  const found = await kept?.find();
  // Whole bundles alone: else one that is longer by now would go by what was kept, and by what was not.
  const checked = found !== undefined && found.size % TILE_WIDTH === 0 ? found : undefined;
  let isMet = checked === undefined;
  const fold = createFold();
  const tiles = new Tiles();
  const snapshots = new SnapshotCheck(report);
  const inFlight: Promise<void>[] = [];
  const bad: number[] = [];
  let signatureCount = 0;
  let figures = comparedSize === 0 ? figuresOf(fold) : undefined;
  let entryCount = 0;
  for (let bundle = 0; bundle * TILE_WIDTH < size; bundle++) {
    const entries = await readBundle(source, bundle, size, report);
    if (entries === undefined) break;
    const jobs: SignatureJob[] = [];
    const owners: number[] = [];
    for (const bytes of entries) {
      tiles.push(leafHash(bytes));
      const index = entryCount++;
      const entry = parseOrReport(bytes, index, report);
      if (entry === undefined) fold.size++;
      else {
        collectJobs(fold, entry, index, jobs, owners, report);
        if (entry.kind === "epoch") await clock.checkEpoch(entry, index, fold, tiles);
        if (entry.kind === "policy") await clock.checkPolicy(entry, index, fold);
        if (entry.kind === "snapshot") snapshots.check(entry, index, fold);
        const closed = fold.closedDays.size;
        applyEntry(fold, entry);
        if (fold.closedDays.size > closed)
          for (const document of fold.series[0]?.documents.values() ?? []) onDocument?.(document);
        onEntry?.(index, entry);
      }
      if (entryCount === comparedSize) figures = figuresOf(fold);
    }
    signatureCount += jobs.length;
    if (checked === undefined || entryCount > checked.size) inFlight.push(collectBad(verifyAll(jobs), owners, bad));
    else if (entryCount === checked.size) {
      if (!equal(tiles.rootAt(entryCount), checked.root)) throw new OtherLogError("what was kept is of another log");
      bad.push(...checked.bad);
      isMet = true;
    }
    const isWhole = entries.length === TILE_WIDTH;
    if (kept !== undefined && isWhole && inFlight.length > 0 && (bundle + 1) % kept.everyBundles === 0) {
      const [keptSize, root] = [entryCount, tiles.rootAt(entryCount)];
      const keep = () => kept.keep({ size: keptSize, root, bad: bad.filter((at) => at < keptSize) });
      inFlight.push(Promise.all(inFlight).then(keep));
    }
    while (inFlight.length >= BUNDLES_IN_FLIGHT) await inFlight.shift();
    onProgress?.(entryCount, size);
  }
  await Promise.all(inFlight);
  if (!isMet) throw new OtherLogError("what was kept is of a longer log");
  for (const index of bad) report("signature", "a signature of this entry does not hold", index);
  const days = snapshots.finish(fold);
  return { entryCount, signatureCount, tiles, fold, days, figures: figures ?? figuresOf(fold) };
}

function parseOrReport(bytes: Uint8Array, index: number, report: Report): Entry | undefined {
  try {
    return parseEntry(bytes);
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    report("entry", `it ${error.message}`, index);
    return undefined;
  }
}

function collectJobs(
  fold: FoldState,
  entry: Entry,
  index: number,
  jobs: SignatureJob[],
  owners: number[],
  report: Report,
): void {
  const signatures = signaturesOf(fold, entry);
  if (!signatures.ok) {
    report("signer", signatures.detail, index);
    return;
  }
  for (const job of signatures.jobs) {
    jobs.push(job);
    owners.push(index);
  }
}

/** Adds the entries of which a signature does not hold. */
async function collectBad(verified: Promise<boolean[]>, owners: readonly number[], bad: number[]): Promise<void> {
  for (const [i, holds] of (await verified).entries()) if (!holds) bad.push(owners[i] ?? 0);
}

async function verifyHere(jobs: readonly SignatureJob[]): Promise<boolean[]> {
  return Promise.all(jobs.map(({ spki, message, signature }) => verifyEs256(spki, message, signature)));
}
