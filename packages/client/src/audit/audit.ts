/**
 * An audit: from the tiles alone, every hash, every signature and every figure again. Nothing that the audited server
 * says is believed; what it publishes is only compared.
 */
import {
  applyEntry,
  createFold,
  type Entry,
  equal,
  type Figures,
  type FoldState,
  Frontier,
  figuresOf,
  type LogTrust,
  leafHash,
  Malformed,
  parseCheckpoint,
  parseEntry,
  type SignatureJob,
  signaturesOf,
  TILE_WIDTH,
  utf8,
  verifyEs256,
} from "@tallystick/protocol";
import { fieldOf } from "../http.ts";
import { readBundle } from "./bundles.ts";
import { ClockCheck } from "./clock.ts";
import { differencesOf, sizeOf } from "./differences.ts";
import { type Finding, Findings, type Report } from "./findings.ts";
import type { LogSource } from "./source.ts";
import { Tiles } from "./tiles.ts";

export type Audit = {
  origin: string;
  size: number;
  entryCount: number;
  signatureCount: number;
  findings: Finding[];
  /** How many entries the figures are of. */
  comparedSize: number;
  /** The figures of those, recomputed. */
  figures: Figures;
  /** Where the published figures are not the recomputed ones; undefined where none were given to compare. */
  differences: string[] | undefined;
};

export type AuditOptions = {
  trust: LogTrust;
  /** What the network publishes, as `GET /v1/usage` gives it. */
  published?: unknown;
  /** Whether each signature holds; in this thread unless the caller has more of them. */
  verifyAll?: (jobs: readonly SignatureJob[]) => Promise<boolean[]>;
  onProgress?: (done: number, total: number) => void;
  /** Is shown each entry in order; those that are none are left out. */
  onEntry?: (index: number, entry: Entry) => void;
};

/** Bundles whose signatures may be under way at once. */
const BUNDLES_IN_FLIGHT = 8;

/** Audits the log in `source`. Throws UnreachableError where it cannot be read, never for what it holds. */
export async function auditLog(source: LogSource, options: AuditOptions): Promise<Audit> {
  return (await auditAndFold(source, options)).audit;
}

/** Audits the log in `source`, and gives what it folds to as well. */
export async function auditAndFold(
  source: LogSource,
  options: AuditOptions,
): Promise<{ audit: Audit; fold: FoldState }> {
  const findings = new Findings();
  const { report } = findings;
  const clock = new ClockCheck(options.trust, report);
  const head = await readHead(source, options.trust, clock, report);
  const comparedSize = Math.min(sizeOf(options.published) ?? head.size, head.size);
  await checkPublished(options.published, head, clock, report);
  const walk = await walkEntries(source, head.size, comparedSize, clock, options, report);
  await clock.finish(walk.fold);
  if (walk.entryCount === head.size) {
    if (!equal(walk.root, head.root)) report("root", "the entries do not hash to the checkpoint's root");
    await walk.tiles.compare(source, head.size, report);
  }
  const differences = options.published === undefined ? undefined : differencesOf(walk.figures, options.published);
  const { entryCount, signatureCount, figures } = walk;
  const { origin, size } = head;
  const counts = { size, comparedSize, entryCount, signatureCount };
  const audit = { origin, ...counts, findings: findings.inOrder(), figures, differences };
  return { audit, fold: walk.fold };
}

type Head = { origin: string; size: number; root: Uint8Array; timeSeconds?: number };

/** Published figures may be behind the log that is read after them by this much, and no more. */
const BEHIND_SECONDS = 600;

/** What is published is of a checkpoint that the log signed, and of one that is not long gone. */
async function checkPublished(published: unknown, head: Head, clock: ClockCheck, report: Report): Promise<void> {
  const text = fieldOf(fieldOf(published, "meta"), "checkpoint");
  if (typeof text !== "string") return;
  try {
    const checkpoint = parseCheckpoint(utf8(text));
    // It is the newest that the log has signed; its witnesses may not have seen it yet.
    const timeSeconds = await clock.checkSigned(checkpoint, undefined, (failure) =>
      report("published", `the figures are of a checkpoint that is not the log's: ${failure}`),
    );
    if (checkpoint.size !== sizeOf(published)) report("published", "the figures are not of their checkpoint's size");
    else if (timeSeconds !== undefined && (head.timeSeconds ?? 0) - timeSeconds > BEHIND_SECONDS)
      report("published", `the figures are of ${checkpoint.size} entries, long before the log's ${head.size}`);
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    report("published", `the figures' checkpoint ${error.message}`);
  }
}

async function readHead(source: LogSource, trust: LogTrust, clock: ClockCheck, report: Report): Promise<Head> {
  try {
    const checkpoint = parseCheckpoint(await source.checkpoint());
    const timeSeconds = await clock.checkSigned(checkpoint, trust.policy, (failure) =>
      report("checkpoint", `it is not one that ${trust.origin} signed: ${failure}`),
    );
    return timeSeconds === undefined ? checkpoint : { ...checkpoint, timeSeconds };
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    report("checkpoint", `it ${error.message}`);
    return { origin: trust.origin, size: 0, root: new Uint8Array(32) };
  }
}

type Walk = {
  entryCount: number;
  signatureCount: number;
  root: Uint8Array;
  tiles: Tiles;
  fold: FoldState;
  figures: Figures;
};

/** Goes through the bundles in order: hashes and folds each entry, and has its signatures checked meanwhile. */
async function walkEntries(
  source: LogSource,
  size: number,
  comparedSize: number,
  clock: ClockCheck,
  options: AuditOptions,
  report: Report,
): Promise<Walk> {
  const { verifyAll = verifyHere, onProgress, onEntry } = options;
  const fold = createFold();
  const tiles = new Tiles();
  const frontier = new Frontier();
  const inFlight: Promise<void>[] = [];
  let signatureCount = 0;
  let figures = comparedSize === 0 ? figuresOf(fold) : undefined;
  let entryCount = 0;
  for (let bundle = 0; bundle * TILE_WIDTH < size; bundle++) {
    const entries = await readBundle(source, bundle, size, report);
    if (entries === undefined) break;
    const jobs: SignatureJob[] = [];
    const owners: number[] = [];
    for (const bytes of entries) {
      const leaf = leafHash(bytes);
      frontier.push(leaf);
      tiles.push(leaf);
      const index = entryCount++;
      const entry = parseOrReport(bytes, index, report);
      if (entry === undefined) fold.size++;
      else {
        collectJobs(fold, entry, index, jobs, owners, report);
        if (entry.kind === "epoch") await clock.checkEpoch(entry, index, fold, tiles);
        if (entry.kind === "policy") await clock.checkPolicy(entry, index, fold);
        applyEntry(fold, entry);
        onEntry?.(index, entry);
      }
      if (entryCount === comparedSize) figures = figuresOf(fold);
    }
    signatureCount += jobs.length;
    inFlight.push(reportBad(verifyAll(jobs), owners, report));
    if (inFlight.length >= BUNDLES_IN_FLIGHT) await inFlight.shift();
    onProgress?.(entryCount, size);
  }
  await Promise.all(inFlight);
  return { entryCount, signatureCount, root: frontier.root(), tiles, fold, figures: figures ?? figuresOf(fold) };
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

async function reportBad(verified: Promise<boolean[]>, owners: readonly number[], report: Report): Promise<void> {
  for (const [i, holds] of (await verified).entries())
    if (!holds) report("signature", "a signature of this entry does not hold", owners[i]);
}

async function verifyHere(jobs: readonly SignatureJob[]): Promise<boolean[]> {
  return Promise.all(jobs.map(({ spki, message, signature }) => verifyEs256(spki, message, signature)));
}
