/**
 * An audit: from the tiles alone, every hash, every signature and every figure again. Nothing that the audited server
 * says is believed; what it publishes is only compared.
 */
import {
  type Checkpoint,
  equal,
  type Figures,
  type FoldState,
  type LogTrust,
  Malformed,
  parseCheckpoint,
  timeOf,
  utf8,
} from "@tallystick/protocol";
import { fieldOf } from "../http.ts";
import { ClockCheck } from "./clock.ts";
import { differencesOf, sizeOf } from "./differences.ts";
import { type Finding, Findings, type Report } from "./findings.ts";
import type { AuditedDay } from "./snapshots.ts";
import type { LogSource } from "./source.ts";
import { OtherLogError, type WalkOptions, walkEntries } from "./walk.ts";

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
  /** What every closed day came to, and whether the log's snapshots say the same. */
  days: AuditedDay[];
  /** Where the published figures are not the recomputed ones; undefined where none were given to compare. */
  differences: string[] | undefined;
};

export type AuditOptions = WalkOptions & {
  trust: LogTrust;
  /** What the network publishes, as `GET /v1/usage` gives it. */
  published?: unknown;
  /** A state of this log that whoever audits has met: the entries have to begin with it. */
  before?: Pick<Checkpoint, "size" | "root">;
};

/** The check that a log's entries begin with those that it had. */
export const BEFORE = "before";

/** Audits the log in `source`. Throws UnreachableError where it cannot be read, never for what it holds. */
export async function auditLog(source: LogSource, options: AuditOptions): Promise<Audit> {
  return (await auditAndFold(source, options)).audit;
}

/** Audits the log in `source`, and gives what it folds to as well. */
export async function auditAndFold(source: LogSource, options: AuditOptions): Promise<Audited> {
  try {
    return await auditFrom(source, options);
  } catch (error) {
    const { kept } = options;
    if (!(error instanceof OtherLogError) || kept === undefined) throw error;
    options.onRestart?.();
    return auditFrom(source, { ...options, kept: { ...kept, find: async () => undefined } });
  }
}

export type Audited = { audit: Audit; fold: FoldState };

async function auditFrom(source: LogSource, options: AuditOptions): Promise<Audited> {
  const findings = new Findings();
  const { report } = findings;
  const clock = new ClockCheck(options.trust, report);
  const head = await readHead(source, options.trust, clock, report);
  const { before } = options;
  const comparedSize = Math.min(sizeOf(options.published) ?? head.size, head.size);
  const published = await checkPublished(options.published, clock, report);
  const walk = await walkEntries(source, { size: head.size, comparedSize }, clock, options, report);
  await clock.finish(walk.fold);
  if (published?.size === comparedSize && walk.entryCount >= comparedSize)
    if (!equal(walk.tiles.rootAt(comparedSize), published.root))
      report("published", "the figures' checkpoint is of another tree than the log's entries");
  if (walk.entryCount === head.size) {
    if (!equal(walk.tiles.rootAt(head.size), head.root))
      report("root", "the entries do not hash to the checkpoint's root");
    await walk.tiles.compare(source, head.size, report);
  }
  if (before !== undefined && before.size <= walk.entryCount && !equal(walk.tiles.rootAt(before.size), before.root))
    report(BEFORE, `the entries do not begin with the ${before.size} that the log had when it was met before`);
  if (isBehind(walk.fold, comparedSize))
    report("published", `the figures are of ${comparedSize} entries, long before the log's ${head.size}`);
  const differences = options.published === undefined ? undefined : differencesOf(walk.figures, options.published);
  const { entryCount, signatureCount, figures, days } = walk;
  const { origin, size } = head;
  const counts = { size, comparedSize, entryCount, signatureCount };
  const audit = { origin, ...counts, findings: findings.inOrder(), figures, days, differences };
  return { audit, fold: walk.fold };
}

type Head = { origin: string; size: number; root: Uint8Array };

/** Published figures may be behind the log that is read after them by this much, and no more. */
const BEHIND_SECONDS = 600;

/**
 * Whether figures of so many entries lack one that the log had long before its last epoch. By the epochs, whose times are in the
 * log itself: a new time under an old tree is soon signed.
 */
function isBehind(fold: FoldState, size: number): boolean {
  const missingSince = timeOf(fold, size);
  return missingSince !== undefined && (fold.timeSeconds ?? 0) - missingSince > BEHIND_SECONDS;
}

/** What is published is of a checkpoint that the log signed. */
async function checkPublished(published: unknown, clock: ClockCheck, report: Report): Promise<Checkpoint | undefined> {
  const text = fieldOf(fieldOf(published, "meta"), "checkpoint");
  if (typeof text !== "string") return undefined;
  try {
    const checkpoint = parseCheckpoint(utf8(text));
    // It is the newest that the log has signed; its witnesses may not have seen it yet.
    clock.checkSigned(checkpoint, undefined, (failure) =>
      report("published", `the figures are of a checkpoint that is not the log's: ${failure}`),
    );
    if (checkpoint.size !== sizeOf(published)) report("published", "the figures are not of their checkpoint's size");
    return checkpoint;
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    report("published", `the figures' checkpoint ${error.message}`);
    return undefined;
  }
}

async function readHead(source: LogSource, trust: LogTrust, clock: ClockCheck, report: Report): Promise<Head> {
  try {
    const checkpoint = parseCheckpoint(await source.checkpoint());
    clock.checkSigned(checkpoint, trust.policy, (failure) =>
      report("checkpoint", `it is not one that ${trust.origin} signed: ${failure}`),
    );
    return checkpoint;
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    report("checkpoint", `it ${error.message}`);
    return { origin: trust.origin, size: 0, root: new Uint8Array(32) };
  }
}
