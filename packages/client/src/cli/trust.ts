/** `tally trust`: what the figures rest on, recomputed from the log; and a revocation, with what it would take. */
import {
  type BlastRadius,
  blastRadius,
  hex,
  parseHex,
  percentOf,
  type Register,
  type RevocationPayload,
  ROOTS,
  type RootKind,
  rootsOf,
  signEntry,
} from "@tallystick/protocol";
import { createHttp, fieldOf } from "../http.ts";
import { type Audited, auditOpened, isClean } from "./audit.ts";
import type { Context } from "./context.ts";
import { operatorToken } from "./keys.ts";
import { openLog } from "./logs.ts";
import type { LogKey, NetworkOptions } from "./networks.ts";
import { openKeyFile } from "./relier-key.ts";
import { EXIT, type Exit, printable, table, UsageError } from "./terminal.ts";

export type TrustArguments = NetworkOptions & { log?: string; json: boolean };

/** Prints the register of what valid receipts rest on. */
export async function trust(args: TrustArguments, context: Context): Promise<Exit> {
  const audited = await auditOpened(args, await openLog(args, context), context);
  const register = rootsOf(audited.fold);
  context.terminal.out(
    args.json ? `${JSON.stringify({ ...headOf(audited), ...register })}\n` : registerText(register, audited),
  );
  return exitOf(audited, context);
}

export type RevokeArguments = NetworkOptions & {
  kind: string;
  root: string;
  reason?: string;
  since?: string;
  /** The file of the log's role key: without one nothing is signed. */
  sign?: string;
  /** The folder with the operator's token. */
  keys?: string;
  json: boolean;
};

/** Prints what a revocation would take; with the log's role key, signs and logs it. */
export async function revokeRoot(args: RevokeArguments, context: Context): Promise<Exit> {
  const says = revocationOf(args);
  const signer = args.sign === undefined ? undefined : await openKeyFile(args.sign);
  const token = signer && (await operatorToken(args.network, args.keys, context));
  const opened = await openLog(args, context);
  const audited = await auditOpened(args, opened, context);
  const radius = blastRadius(audited.fold, says);
  const { terminal } = context;
  if (!args.json) terminal.out(radiusText(says, radius, audited));
  if (!isClean(audited.audit) || signer === undefined || opened.url === undefined) {
    if (args.json) terminal.out(revocationJson(says, radius, audited, null));
    else terminal.out("\nnothing was signed: --sign FILE does, with the log's role key (log.pem)\n");
    return exitOf(audited, context);
  }
  const { signed } = await signEntry(signer, "revocation", says);
  const headers = { "content-type": "application/cose", authorization: `Bearer ${token}` };
  const init = { method: "POST", headers, body: signed.bytes as BodyInit };
  const index = Number(fieldOf(await createHttp(opened.url, context.edges).json("/v1/revocations", init), "index"));
  terminal.out(args.json ? revocationJson(says, radius, audited, index) : `\nrevoked, as entry ${index} of the log\n`);
  return EXIT.ok;
}

/** `index` is that of the revocation in the log, null where nothing was signed. */
function revocationJson(says: RevocationPayload, radius: BlastRadius, audited: Audited, index: number | null): string {
  const { kind, root, reason, since = null } = says;
  return `${JSON.stringify({ ...headOf(audited), kind, root: hex(root), reason, since, ...radius, index })}\n`;
}

const REASONS: readonly RevocationPayload["reason"][] = ["compromised", "broken", "superseded"];

function revocationOf({ kind: word, root: digits, reason: why, since }: RevokeArguments): RevocationPayload {
  const kind = (Object.keys(ROOTS) as RootKind[]).find((known) => known === word);
  if (kind === undefined)
    throw new UsageError(`there is no kind ${JSON.stringify(word)}: ${Object.keys(ROOTS).join(", ")}`);
  const root = parseHex(digits);
  if (root?.length !== 32) throw new UsageError("a root is 64 hex digits, as tally trust lists it");
  const reason = REASONS.find((known) => known === why);
  if (reason === undefined) throw new UsageError(`say why: --reason ${REASONS.join(", ")}`);
  return { version: 1, kind, root, reason, ...(since === undefined ? {} : { since: secondsOf(since) }) };
}

/** A time as `tally trust` prints it, or a day, which begins at midnight UTC. */
function secondsOf(since: string): number {
  const isTime = /^\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\dZ)?$/.test(since);
  const timeMs = isTime ? Date.parse(since) : Number.NaN;
  if (Number.isNaN(timeMs) || timeMs < 0)
    throw new UsageError(`--since takes a UTC time as 2026-11-23T06:00:00Z or a day as 2026-11-23, not ${since}`);
  return timeMs / 1_000;
}

function headOf({ audit: { origin, size, findings, differences = [] } }: Audited) {
  return { origin, size, findings, differences };
}

/** A register of a log that does not hold is no register: says so last. */
function exitOf({ audit }: Audited, { terminal }: Context): Exit {
  if (isClean(audit)) return EXIT.ok;
  terminal.err("tally: the log or its figures do not hold, and this is of them: tally audit says where\n");
  return EXIT.unverified;
}

function registerText({ validReceipts, logKeys, roots }: Register, audited: Audited): string {
  const rows = roots.map(({ kind, root, name, receipts, share, revokedSince }) => [
    ...[kind, root, name, receipts, percentOf(share)],
    revokedSince === null ? "" : revokedText(revokedSince),
  ]);
  const under = logKeys.map(({ kind, name }) => `${kind.padEnd(8)} ${printable(name)}\n`).join("");
  return [
    `${sourceText(audited)}\n`,
    `every one of ${validReceipts} valid receipts rests on\n${under}`,
    table(["KIND", "ROOT", "NAME", "RECEIPTS", "OF VALID", "REVOKED"], rows),
  ].join("\n");
}

function radiusText(
  { kind, root, since }: RevocationPayload,
  { receipts, share, models }: BlastRadius,
  audited: Audited,
): string {
  const rows = models.map((row) => [row.name, row.from, row.to, row.receipts, percentOf(row.share)]);
  return [
    `${sourceText(audited)}\n`,
    `revoking ${kind} ${hex(root)} ${revokedText(since)}\n${receipts} valid receipts would lose their tier, ${percentOf(share)} of all; closed days stay\n`,
    ...(rows.length === 0 ? [] : [table(["MODEL", "FROM", "TO", "RECEIPTS", "OF VALID"], rows)]),
  ].join("\n");
}

function sourceText({
  audit: { origin, entryCount, size },
  logKey,
}: {
  audit: Audited["audit"];
  logKey: LogKey;
}): string {
  return printable(
    `recomputed from ${origin}, ${entryCount} of ${size} entries; its key is trusted because ${logKey.because}`,
  );
}

function revokedText(since = 0): string {
  return since === 0 ? "from the beginning" : `from ${timeText(since)}`;
}

function timeText(seconds: number): string {
  return new Date(seconds * 1_000).toISOString().replace(".000Z", "Z");
}
