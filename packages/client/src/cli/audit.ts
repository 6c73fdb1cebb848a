/** `tally audit`: recomputes every figure from the tiles, and says what does not hold. */
import { parseCheckpoint } from "@tallystick/protocol";
import { type Audit, auditLog } from "../audit/audit.ts";
import { fetchSource, type LogSource } from "../audit/source.ts";
import { orUnverified, RefusedError } from "../errors.ts";
import { createHttp } from "../http.ts";
import { figuresText, readJsonFile } from "./commands.ts";
import type { Context } from "./context.ts";
import { openFolderSource } from "./folder-source.ts";
import {
  findNetwork,
  findRunning,
  GIVEN,
  isUrl,
  type LogKey,
  MET_BEFORE,
  type NetworkOptions,
  trustOf,
} from "./networks.ts";
import { openSignaturePool } from "./signature-pool.ts";
import { createProgress, EXIT, type Exit, printable, UsageError } from "./terminal.ts";

export type AuditArguments = NetworkOptions & { log?: string; usage?: string; json: boolean };

/** Findings shown to a person; `--json` has them all. */
const FINDINGS_SHOWN = 20;

export async function audit(args: AuditArguments, context: Context): Promise<Exit> {
  const { terminal, edges } = context;
  const { source, logKey, published } = await openAudited(args, context);
  const pool = openSignaturePool();
  const progress = createProgress(terminal, "auditing", edges.nowMs);
  try {
    const result = await auditLog(source, {
      trust: trustOf(logKey),
      verifyAll: pool.verifyAll,
      onProgress: progress.update,
      ...(published === undefined ? {} : { published }),
    });
    progress.end();
    terminal.out(args.json ? `${JSON.stringify(result)}\n` : auditText(result, logKey));
    return result.findings.length > 0 || (result.differences?.length ?? 0) > 0 ? EXIT.unverified : EXIT.ok;
  } finally {
    progress.end();
    await pool.close();
  }
}

type Audited = { source: LogSource; logKey: LogKey; published?: unknown };

/** The log to audit, whose word it must be, and what is published of it. */
async function openAudited(args: AuditArguments, context: Context): Promise<Audited> {
  const { log, usage } = args;
  const published = usage === undefined ? {} : { published: await readJsonFile(usage) };
  if (log !== undefined && !isUrl(log)) {
    const source = await openFolderSource(log);
    const running = args.vkey === undefined ? await findRunning(log) : undefined;
    if (running === undefined) return { source, logKey: await findLogKey(source, args, context), ...published };
    await context.home.rememberLog(running.logKey.vkey);
    return { source, logKey: running.logKey, ...published };
  }
  const place = await findNetwork({ ...args, ...(log === undefined ? {} : { network: log }) }, context).catch(
    (error: unknown) => {
      if (log === undefined || !(error instanceof RefusedError) || error.status !== 404) throw error;
      return undefined; // No network, then: a copy of its tiles on any server of files.
    },
  );
  if (place === undefined) {
    const source = fetchSource(log ?? "", context.edges);
    return { source, logKey: await findLogKey(source, args, context), ...published };
  }
  const source = fetchSource(place.url, context.edges);
  // The figures first: the log that is then read has at least the entries that they are of. A network that publishes
  // none is refused, not taken for a server of files.
  return {
    source,
    logKey: place.logKey,
    published: await createHttp(place.url, context.edges).json("/v1/usage"),
    ...published,
  };
}

/** The key of a log that cannot say itself whose it is. */
async function findLogKey(source: LogSource, { vkey }: AuditArguments, { home }: Context): Promise<LogKey> {
  if (vkey !== undefined) return { vkey, because: GIVEN };
  const bytes = await source.checkpoint();
  const { origin } = orUnverified("the checkpoint", () => parseCheckpoint(bytes));
  const known = await home.findLog(origin);
  if (known !== undefined) return { vkey: known, because: MET_BEFORE };
  throw new UsageError(
    `the log ${origin} was not met before: give its key with --vkey, as its network's page and ready.json have it`,
  );
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
