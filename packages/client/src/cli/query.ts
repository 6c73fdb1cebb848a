/** `tally rows` and `tally query`: the receipts of closed days as Parquet files, and questions asked of them in SQL. */
import { hex, KEPT_RULES, rulesDigest } from "@tallystick/protocol";
import { openEngine } from "../analytics/engine.ts";
import { parseResult } from "../analytics/result.ts";
import { buildSegments, segmentKey } from "../analytics/segments.ts";
import { createHttp, fieldOf } from "../http.ts";
import { openTree } from "../log/tree.ts";
import type { Context } from "./context.ts";
import { readHeldCheckpoint } from "./fork-memory.ts";
import { operatorToken } from "./keys.ts";
import { type LogArguments, openLog } from "./logs.ts";
import { findNetwork, type NetworkOptions } from "./networks.ts";
import {
  createProgress,
  EXIT,
  type Exit,
  jsonFor,
  linesFor,
  printable,
  type Terminal,
  table,
  UsageError,
} from "./terminal.ts";

export async function rows(args: LogArguments & { out: string; json: boolean }, context: Context): Promise<Exit> {
  const { terminal, edges } = context;
  const opened = await openLog(args, context);
  const { checkpoint } = await readHeldCheckpoint(opened, context);
  const progress = createProgress(terminal, "reading", edges.nowMs);
  try {
    const { built, kept } = await buildSegments(await openTree(opened.source, checkpoint), args.out, progress.update);
    progress.end();
    const { origin, size } = checkpoint;
    const rules = KEPT_RULES.map(({ version }) => version);
    const said = `${origin}: ${built.length + kept.length} closed days in ${args.out}, ${built.length} written, by ${rules.join(", ")}`;
    terminal.out(
      args.json
        ? `${JSON.stringify({ origin, size, built, kept, rules, folder: args.out })}\n`
        : `${printable(said)}\n`,
    );
    return EXIT.ok;
  } finally {
    progress.end();
  }
}

export type QueryArguments = NetworkOptions & {
  sql: string;
  segments?: string;
  /** The version or digest of the rules that days are judged by; else the first. */
  rules?: string;
  format?: string;
  /** The folder with the operator's token. */
  keys?: string;
  json: boolean;
};

/** An answer as it is printed: names of columns, and rows of what JSON has. */
type Printed = { columns: string[]; rows: unknown[][]; isTruncated: boolean };

const FORMATS: Readonly<Record<string, (answer: Printed, terminal: Terminal) => string>> = {
  table: ({ columns, rows }) =>
    table(
      columns,
      rows.map((row) => row.map(cellText)),
    ),
  csv: ({ columns, rows }, terminal) =>
    linesFor(terminal, [columns, ...rows].map((row) => `${row.map(csvCell).join(",")}\r\n`).join("")),
  ndjson: ({ columns, rows }, terminal) =>
    rows.map((row) => jsonFor(terminal, Object.fromEntries(columns.map((name, i) => [name, row[i]])))).join(""),
};

export async function query(args: QueryArguments, context: Context): Promise<Exit> {
  const { terminal } = context;
  const print = FORMATS[args.format ?? "table"];
  if (print === undefined)
    throw new UsageError(`--format is one of ${Object.keys(FORMATS).join(", ")}, not ${JSON.stringify(args.format)}`);
  const answer = args.segments === undefined ? await askNetwork(args, context) : await askFolder(args.segments, args);
  const printed = printedOf(answer);
  terminal.out(args.json ? jsonFor(terminal, answer) : print(printed, terminal));
  if (printed.isTruncated) terminal.err(`there are more rows than the ${printed.rows.length} that are shown\n`);
  return EXIT.ok;
}

async function askFolder(folder: string, { sql, rules: name }: QueryArguments): Promise<unknown> {
  const rules = KEPT_RULES.find((one) => name === undefined || one.version === name || hex(rulesDigest(one)) === name);
  if (rules === undefined)
    throw new UsageError(
      `--rules is one of ${KEPT_RULES.map(({ version }) => version).join(", ")}, not ${JSON.stringify(name)}`,
    );
  const engine = openEngine();
  try {
    const answer = parseResult(await engine.query(folder, segmentKey(rules), sql));
    return { ...answer, rules: rules.version, rules_digest: hex(rulesDigest(rules)) };
  } finally {
    await engine.close();
  }
}

async function askNetwork({ sql, rules, keys, ...options }: QueryArguments, context: Context): Promise<unknown> {
  const { url } = await findNetwork(options, context);
  // A network may be open to anybody's questions: then it asks for no token.
  const token = await operatorToken(options.network, keys, context).catch((error: unknown) => {
    if (error instanceof UsageError) return undefined;
    throw error;
  });
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  return createHttp(url, context.edges).json("/v1/query", {
    method: "POST",
    headers,
    body: JSON.stringify({ sql, rules }),
  });
}

function printedOf(answer: unknown): Printed {
  const columns = arrayOf(fieldOf(answer, "columns")).map((column) => String(fieldOf(column, "name")));
  const isTruncated = fieldOf(answer, "truncated") === true;
  return { columns, rows: arrayOf(fieldOf(answer, "rows")).map(arrayOf), isTruncated };
}

function arrayOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

function cellText(cell: unknown): string | number {
  if (typeof cell === "number" || typeof cell === "string") return cell;
  return cell === null || cell === undefined ? "" : JSON.stringify(cell);
}

/** RFC 4180. */
function csvCell(cell: unknown): string {
  const text = String(cellText(cell));
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
