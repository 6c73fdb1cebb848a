/** `tally audit`: recomputes every figure from the tiles, and says what does not hold. */
import { type FoldState, Malformed, parseCheckpoint } from "@tallystick/protocol";
import { type Audit, type AuditOptions, auditAndFold } from "../audit/audit.ts";
import { sizeOf } from "../audit/differences.ts";
import type { LogSource } from "../audit/source.ts";
import { createHttp } from "../http.ts";
import { figuresText, readJsonFile } from "./commands.ts";
import type { Context } from "./context.ts";
import { rememberLog } from "./fork-memory.ts";
import { type OpenedLog, openLog } from "./logs.ts";
import { type LogKey, type NetworkOptions, trustOf } from "./networks.ts";
import { openSignaturePool } from "./signature-pool.ts";
import { createProgress, EXIT, type Exit, printable } from "./terminal.ts";

export type AuditArguments = NetworkOptions & { log?: string; usage?: string; json: boolean };

/** Findings shown to a person; `--json` has them all. */
const FINDINGS_SHOWN = 20;
/** How long a public checkpoint is waited for, and how often it is asked for meanwhile. */
const CHECKPOINT_MS = 10_000;
const CHECKPOINT_STEP_MS = 200;

export async function audit(args: AuditArguments, context: Context): Promise<Exit> {
  const { audit: result, logKey } = await auditOpened(args, await openLog(args, context), context);
  context.terminal.out(args.json ? `${JSON.stringify(result)}\n` : auditText(result, logKey));
  return isClean(result) ? EXIT.ok : EXIT.unverified;
}

/** Whether an audit found nothing. */
export function isClean({ findings, differences = [] }: Audit): boolean {
  return findings.length === 0 && differences.length === 0;
}

export type Audited = { audit: Audit; fold: FoldState; logKey: LogKey };

/** Audits a log that is open, and shows how far it is. */
export async function auditOpened(
  args: AuditArguments,
  opened: OpenedLog,
  context: Context,
  onEntry?: AuditOptions["onEntry"],
): Promise<Audited> {
  const { terminal, edges } = context;
  const { logKey } = opened;
  const published = await findPublished(args, opened, context);
  if (opened.url !== undefined) await awaitCheckpoint(opened.source, sizeOf(published) ?? 0, context);
  const source = await rememberLog(opened, context);
  const pool = openSignaturePool();
  const progress = createProgress(terminal, "auditing", edges.nowMs);
  try {
    const audited = await auditAndFold(source, {
      trust: await trustOf(logKey, context.policy),
      verifyAll: pool.verifyAll,
      onProgress: progress.update,
      ...(published === undefined ? {} : { published }),
      ...(onEntry === undefined ? {} : { onEntry }),
    });
    return { ...audited, logKey };
  } finally {
    progress.end();
    await pool.close();
  }
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

function auditText(
  { origin, size, comparedSize, entryCount, signatureCount, findings, figures, differences }: Audit,
  { because }: LogKey,
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
    printable(`log         ${origin}, ${entryCount} of ${size} entries`),
    `log key     trusted because ${because}`,
    `signatures  ${signatureCount} checked`,
    `failed      ${findings.length}`,
    ...shown,
    ...rest,
    `compared    the figures of ${comparedSize} entries`,
    `difference  ${compared}`,
    ...(differences ?? []).slice(0, FINDINGS_SHOWN).map((difference) => `  ${printable(difference)}`),
  ].join("\n")}\n`;
}
