/** `tally audit`: recomputes every figure from the tiles, and says what does not hold. */
import {
  type DayDocument,
  type FoldState,
  Malformed,
  type Policy,
  parseCheckpoint,
  parseNoteKey,
} from "@tallystick/protocol";
import { type Audit, type AuditOptions, auditAndFold } from "../audit/audit.ts";
import { sizeOf } from "../audit/differences.ts";
import type { LogSource } from "../audit/source.ts";
import { createHttp, fieldOf } from "../http.ts";
import { checkDay, daysText, documentFor, documentText, type KeptDocuments, keepDocuments } from "./audit-day.ts";
import { openProgress } from "./audit-progress.ts";
import { auditorNameOf, publishAudit } from "./audit-publish.ts";
import { compareServed, type Served, servedText } from "./audit-served.ts";
import { readJsonFile } from "./commands.ts";
import type { Context } from "./context.ts";
import { rememberLog } from "./fork-memory.ts";
import { type OpenedLog, openLog } from "./logs.ts";
import { type LogKey, MET_NOW, type NetworkOptions, trustOf } from "./networks.ts";
import { openSignaturePool } from "./signature-pool.ts";
import { createProgress, EXIT, type Exit, printable, UsageError } from "./terminal.ts";
import { figuresText } from "./usage.ts";

export type AuditArguments = NetworkOptions & {
  log?: string;
  usage?: string;
  json: boolean;
  fresh?: boolean;
  day?: string;
  model?: string;
  publish?: boolean;
  name?: string;
};

/** Findings shown to a person; `--json` has them all. */
const FINDINGS_SHOWN = 20;
/** How long a public checkpoint is waited for, and how often it is asked for meanwhile. */
const CHECKPOINT_MS = 10_000;
const CHECKPOINT_STEP_MS = 200;

export async function audit(args: AuditArguments, context: Context): Promise<Exit> {
  const { terminal, policy } = context;
  checkDay(args); // What cannot be is refused before a log is read for it.
  auditorNameOf(args);
  const opened = await openLog(args, context);
  const { url } = opened;
  if (args.publish && url === undefined)
    throw new UsageError("an audit is published by the network that it is of, and this is a copy of a log");
  const kept = keepDocuments(args);
  const { onDocument, onRestart } = kept;
  const { audit: found, fold, logKey } = await auditOpened(args, opened, context, { onDocument, onRestart });
  const result = url === undefined ? { ...found, served: null } : await withServed(found, kept, url, context);
  const asked = documentAsked(args, kept);
  const document = asked instanceof UsageError ? undefined : asked;
  if (args.json) terminal.out(`${JSON.stringify(document === undefined ? result : { ...result, document })}\n`);
  else {
    terminal.out(auditText(result, fold, trustText(logKey, policy)));
    if (document !== undefined) terminal.out(`\n${documentText(document)}`);
  }
  if (args.publish && url !== undefined)
    terminal.err(await publishAudit(result, args, isClean(result), fold, url, context));
  if (!isClean(result)) return EXIT.unverified;
  if (asked instanceof UsageError) throw asked;
  return EXIT.ok;
}

/** The document that is asked for, or why there is none: that is said after all that was found. */
function documentAsked(args: AuditArguments, { all }: KeptDocuments): DayDocument | UsageError | undefined {
  try {
    return documentFor(args, all());
  } catch (error) {
    if (error instanceof UsageError) return error;
    throw error;
  }
}

/** An audit with what the network shows of its days, which is compared too. */
type Compared = Audit & { served: Served | null };

async function withServed(audit: Audit, { all }: KeptDocuments, url: string, { edges }: Context): Promise<Compared> {
  const { served, differences } = await compareServed(audit.days, all(), url, edges);
  return { ...audit, served, differences: [...(audit.differences ?? []), ...differences] };
}

/** Whether an audit found nothing. */
export function isClean({ findings, differences = [] }: Audit): boolean {
  return findings.length === 0 && differences.length === 0;
}

export type Audited = { audit: Audit; fold: FoldState; logKey: LogKey };
/** What is shown of the entries on the way. */
export type Shown = Pick<AuditOptions, "onEntry" | "onDocument" | "onRestart">;

/** Audits a log that is open, and shows how far it is. */
export async function auditOpened(
  args: AuditArguments,
  opened: OpenedLog,
  context: Context,
  shown: Shown = {},
): Promise<Audited> {
  const { terminal, edges } = context;
  const { logKey } = opened;
  if (logKey.because === MET_NOW)
    terminal.err(
      `tally: the key of this log is the word of the very network that is audited, met for the first time: give --policy or --vkey from somewhere you trust\n`,
    );
  const published = await findPublished(args, opened, context);
  if (opened.url !== undefined) await awaitCheckpoint(opened.source, sizeOf(published) ?? 0, context);
  const { source, before, conclude } = await rememberLog(opened, context);
  const kept = openProgress(context.home, parseNoteKey(logKey.vkey).name, logKey);
  if (args.fresh) await kept.forget();
  const pool = openSignaturePool();
  const progress = createProgress(terminal, "auditing", edges.nowMs);
  try {
    const audited = await auditAndFold(source, {
      trust: await trustOf(logKey, context.policy),
      verifyAll: pool.verifyAll,
      onProgress: progress.update,
      kept,
      ...(published === undefined ? {} : { published }),
      ...(before === undefined ? {} : { before }),
      ...shown,
    });
    await kept.forget();
    await conclude(audited.audit.findings);
    if (opened.url !== undefined && args.usage === undefined)
      audited.audit.findings.push(...unsignedFigures(published));
    return { ...audited, logKey };
  } finally {
    progress.end();
    await pool.close();
  }
}

/** What a network publishes is of a checkpoint that it signed: without one it could be of any old size. */
function unsignedFigures(published: unknown): Audit["findings"] {
  const checkpoint = fieldOf(fieldOf(published, "meta"), "checkpoint");
  if (typeof checkpoint === "string") return [];
  return [{ check: "published", detail: "the figures do not say of which checkpoint of the log they are" }];
}

/** The published figures to compare with. Those of a network are asked for before its log is read, which then covers them. */
async function findPublished({ usage }: AuditArguments, { url }: OpenedLog, { edges }: Context): Promise<unknown> {
  // A network that publishes none is refused, not taken for a server of files.
  const published = url === undefined ? undefined : await createHttp(url, edges).json("/v1/usage");
  return usage === undefined ? published : readJsonFile(usage);
}

/** A public checkpoint waits for witnesses, and so is a moment behind the figures: waits for one that covers them. */
async function awaitCheckpoint(source: LogSource, size: number, { edges }: Context): Promise<void> {
  for (let waitedMs = 0; waitedMs < CHECKPOINT_MS; waitedMs += CHECKPOINT_STEP_MS) {
    const checkpoint = await source.checkpoint();
    const covers = isMalformed(checkpoint) || parseCheckpoint(checkpoint).size >= size;
    if (covers) return;
    await edges.sleep(CHECKPOINT_STEP_MS);
  }
}

function isMalformed(checkpoint: Uint8Array): boolean {
  try {
    parseCheckpoint(checkpoint);
    return false;
  } catch (error) {
    if (error instanceof Malformed) return true; // The audit says what is wrong with it.
    throw error;
  }
}

/** Whom the auditor believes about the log: never what the log says of itself. */
function trustText({ because }: LogKey, policy: Policy | undefined): string[] {
  const witnesses =
    policy === undefined
      ? "none that you asked for: --policy FILE names those whom you believe"
      : `a quorum of the ${policy.witnesses.length} in your own policy`;
  return [`log key     trusted because ${because}`, `witnesses   ${witnesses}`];
}

function auditText(
  { origin, size, comparedSize, entryCount, signatureCount, findings, figures, differences, days, served }: Compared,
  fold: FoldState,
  trusted: readonly string[],
): string {
  const shown = findings
    .slice(0, FINDINGS_SHOWN)
    .map(
      ({ check, index, detail }) =>
        `  FAILED  ${check}${index === undefined ? "" : ` at entry ${index}`}: ${printable(detail)}`,
    );
  const rest = findings.length > FINDINGS_SHOWN ? [`  … and ${findings.length - FINDINGS_SHOWN} more: --json`] : [];
  const compared =
    differences === undefined
      ? "not compared: no published figures were given (--usage FILE)"
      : String(differences.length);
  return `${[
    figuresText(figures),
    daysText(days),
    printable(`log         ${origin}, ${entryCount} of ${size} entries`),
    ...trusted,
    `signatures  ${signatureCount} checked`,
    `lot         ${lotText(figures)}`,
    `numbering   ${numberingText(fold)}`,
    `failed      ${findings.length}`,
    ...shown,
    ...rest,
    `compared    the figures of ${comparedSize} entries, and ${days.length} closed days`,
    ...servedText(served),
    `difference  ${compared}`,
    ...(differences ?? []).slice(0, FINDINGS_SHOWN).map((difference) => `  ${printable(difference)}`),
    `verdict     ${verdictText(findings.length, differences)}`,
  ].join("\n")}\n`;
}

/** The last line, for whoever reads no other. */
function verdictText(failed: number, differences: readonly string[] | undefined): string {
  if (failed > 0) return `DOES NOT HOLD: ${failed === 1 ? "a check" : `${failed} checks`} failed`;
  if (differences === undefined) return "the log holds; what is published of it was not compared";
  return differences.length === 0 ? "holds" : "DOES NOT HOLD: what is published is not what the log comes to";
}

function lotText({ totals: { verification } }: Audit["figures"]): string {
  const { drawn, checked, omitted, missingReveals } = verification;
  return `${drawn} drawn, ${checked} checked, ${omitted} omitted, ${missingReveals} reveals missing`;
}

/** Authorizations and receipts are numbered by who signs them: a number that is not there is one that the log was not given. */
function numberingText({ sessions, receipts, nodeSequences }: FoldState): string {
  let nonces = 0;
  for (const { usedNonces } of sessions.values()) {
    let next = 0;
    for (const nonce of usedNonces) next = Math.max(next, nonce + 1);
    nonces += next - usedNonces.size;
  }
  let sequences = 0;
  for (const next of nodeSequences.values()) sequences += next;
  return `${nonces} calls of sessions not in the log, ${Math.max(0, sequences - receipts.size)} receipts of nodes`;
}
