/** A metric's rows as a caller wants them: JSON, CSV (RFC 4180) or NDJSON. */
import type { Context } from "hono";
import { accepts } from "hono/accepts";
import { ServiceError } from "../platform/errors.ts";
import type { Meta, Row, UsageAnswer } from "./schemas.ts";

type Accept = { type: string; q: number };
type Body = string | Uint8Array<ArrayBuffer>;
/** How an answer is written. `name` is what `?format=` has, `type` what Accept and Content-Type have. */
export type Format = { name: string; type: string; encode(answer: UsageAnswer): Body | Promise<Body> };

const JSON_FORMAT: Format = { name: "json", type: "application/json", encode: (answer) => JSON.stringify(answer) };

/** Those that need no engine. */
export const TEXT_FORMATS: readonly Format[] = [
  JSON_FORMAT,
  { name: "csv", type: "text/csv", encode: encodeCsv },
  { name: "ndjson", type: "application/x-ndjson", encode: encodeNdjson },
];

/** The format that `?format=` names, else the one that Accept asks for, else JSON. */
export function formatOf(c: Context, formats: readonly Format[]): Format {
  const named = c.req.query("format");
  if (named === undefined) {
    const supports = formats.map(({ type }) => type);
    const type = accepts(c, { header: "Accept", supports, default: JSON_FORMAT.type, match: bestOf(supports) });
    return formats.find((format) => format.type === type) ?? JSON_FORMAT;
  }
  const found = formats.find(({ name }) => name === named);
  if (found !== undefined) return found;
  const names = formats.map(({ name }) => name).join(", ");
  throw new ServiceError("invalid_request", `format is one of ${names}, not ${JSON.stringify(named)}`, {
    param: "format",
  });
}

/** The type of those that weighs most; of what weighs the same, one that is named. */
const bestOf = (types: readonly string[]) => (given: readonly Accept[]) => {
  const isRange = ({ type }: Accept) => Number(type.endsWith("/*"));
  const liked = given.filter(({ q }) => q > 0).sort((a, b) => b.q - a.q || isRange(a) - isRange(b));
  for (const { type } of liked) {
    // Whoever takes anything gets JSON, and not what they like less.
    const [main = "", sub] = (type === "*/*" ? JSON_FORMAT.type : type.toLowerCase()).split("/");
    const found = types.find((one) => (sub === "*" ? one.startsWith(`${main}/`) : one === `${main}/${sub}`));
    if (found !== undefined) return found;
  }
  return JSON_FORMAT.type;
};

/** The answer in that format. What JSON says in `meta` is in headers too, for formats that have no place for it. */
export async function respondIn(format: Format, answer: UsageAnswer): Promise<Response> {
  const body = await format.encode(answer);
  return new Response(body, { headers: { "content-type": format.type, vary: "accept", ...metaHeaders(answer.meta) } });
}

function metaHeaders({ as_of, size, root, rules, rules_digest, provisional }: Meta): Record<string, string> {
  return {
    ...(as_of === null ? {} : { "x-tally-as-of": as_of }),
    "x-tally-size": String(size),
    "x-tally-root": root,
    "x-tally-rules": rules,
    "x-tally-rules-digest": rules_digest,
    "x-tally-provisional": String(provisional),
  };
}

/** A head, then a line for each row; lines end as RFC 4180 has it. What is null is empty. */
function encodeCsv({ strata, rows }: UsageAnswer): string {
  const columns = ["start", "key", "name", ...strata, "provisional"] as const;
  const lines = rows.map((row) => columns.map((column) => csvField(row[column])).join(","));
  return [columns.join(","), ...lines, ""].join("\r\n");
}

function csvField(value: Row[keyof Row]): string {
  const text = value === null || value === undefined ? "" : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** A row a line, alike, so that anything that reads NDJSON reads a table. */
function encodeNdjson({ rows }: UsageAnswer): string {
  return rows.map((row) => `${JSON.stringify(row)}\n`).join("");
}
