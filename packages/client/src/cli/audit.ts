/** `tally audit`: recomputes every figure from the tiles, and says what does not hold. */

import { parseCheckpoint } from "@tallystick/protocol";
import { type Audit, auditLog } from "../audit/audit.ts";
import { fetchSource, type LogSource } from "../audit/source.ts";
import { createHttp } from "../http.ts";
import { figuresText, readJsonFile } from "./commands.ts";
import type { Context } from "./context.ts";
import { openFolderSource } from "./folder-source.ts";
import { findNetwork, isUrl, type NetworkOptions, trustOf } from "./networks.ts";
import { openSignaturePool } from "./signature-pool.ts";
import { createProgress, EXIT, type Exit, printable, UsageError } from "./terminal.ts";

export type AuditArguments = NetworkOptions & { log?: string; usage?: string; json: boolean };

/** Findings shown to a person; `--json` has them all. */
const FINDINGS_SHOWN = 20;

export async function audit(args: AuditArguments, context: Context): Promise<Exit> {
  const { terminal, edges } = context;
  const { source, vkey, trustedBecause, published } = await openAudited(args, context);
  const pool = openSignaturePool();
  const progress = createProgress(terminal, "auditing", edges.nowMs);
  try {
    const result = await auditLog(source, {
      trust: trustOf(vkey),
      verifyAll: pool.verifyAll,
      onProgress: progress.update,
      ...(published === undefined ? {} : { published }),
    });
    progress.end();
    terminal.out(args.json ? `${JSON.stringify(result)}\n` : auditText(result, trustedBecause));
    return result.findings.length > 0 || (result.differences?.length ?? 0) > 0 ? EXIT.unverified : EXIT.ok;
  } finally {
    progress.end();
    await pool.close();
  }
}

type Audited = { source: LogSource; vkey: string; trustedBecause: string; published?: unknown };

/** The log to audit, whom to trust with it, and what is published of it. */
async function openAudited(args: AuditArguments, context: Context): Promise<Audited> {
  const { home, edges, env } = context;
  const claimed = args.usage === undefined ? {} : { published: await readJsonFile(args.usage) };
  if (args.log !== undefined && !isUrl(args.log)) {
    const source = await openFolderSource(args.log);
    const { origin } = parseCheckpoint(await source.checkpoint());
    const vkey = args.vkey ?? (await home.findLog(origin));
    if (vkey === undefined) throw new UsageError(`the log ${origin} is not known here: give its key with --vkey`);
    return {
      source,
      vkey,
      trustedBecause: args.vkey === undefined ? "it was met before" : "--vkey gives it",
      ...claimed,
    };
  }
  const { url, vkey, trustedBecause } = await findNetwork(
    { ...args, ...(args.log === undefined ? {} : { network: args.log }) },
    home,
    edges,
    env,
  );
  const published = args.usage === undefined ? await createHttp(url, edges).json("/v1/usage") : claimed.published;
  return { source: fetchSource(url, edges), vkey, trustedBecause, published };
}

function auditText(
  { origin, size, entryCount, signatureCount, findings, figures, differences }: Audit,
  trustedBecause: string,
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
    `log         ${origin}, ${entryCount} of ${size} entries`,
    `log key     trusted because ${trustedBecause}`,
    `signatures  ${signatureCount} checked`,
    `failed      ${findings.length}`,
    ...shown,
    ...rest,
    `difference  ${compared}`,
    ...(differences ?? []).slice(0, FINDINGS_SHOWN).map((difference) => `  ${printable(difference)}`),
  ].join("\n")}\n`;
}
