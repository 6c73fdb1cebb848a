/** The shorter commands: models, verify, rely, usage. */
import { readFile } from "node:fs/promises";
import { type Figures, hex, parseBase64, parseReceiptFile, type Signer, verifyReceiptFile } from "@tallystick/protocol";
import { createClient } from "../client.ts";
import { createKey, openKey } from "../keys.ts";
import type { Context } from "./context.ts";
import { findFile, writePrivately } from "./home.ts";
import { findNetwork, type NetworkOptions, trustOf } from "./networks.ts";
import { findReceipt } from "./receipts.ts";
import { EXIT, type Exit, table, UsageError } from "./terminal.ts";
import { exitOf, verdictJson, verdictText } from "./verdict-text.ts";

export async function models(
  { json, ...options }: NetworkOptions & { json: boolean },
  context: Context,
): Promise<Exit> {
  const { url } = await findNetwork(options, context.home, context.edges, context.env);
  const rows = await createClient({ url, edges: context.edges }).models();
  const ranked = rows.sort(
    (a, b) => b.decisionsReliedOn - a.decisionsReliedOn || b.valid - a.valid || (a.name < b.name ? -1 : 1),
  );
  const texts = ranked.map(
    (row) => [row.name, row.version, row.category, row.state, row.valid, row.decisionsReliedOn, row.summary] as const,
  );
  context.terminal.out(
    json
      ? `${JSON.stringify(ranked.map((row) => ({ ...row, priceAtomic: String(row.priceAtomic) })))}\n`
      : table(["MODEL", "VERSION", "CATEGORY", "STATE", "VALID", "RELIED ON", ""], texts),
  );
  return EXIT.ok;
}

export async function verify(
  { what, json, ...options }: NetworkOptions & { what: string; json: boolean },
  context: Context,
): Promise<Exit> {
  const { file, vkey, note } = await findReceipt(what, options, context);
  const verdict = await verifyReceiptFile(file, vkey === undefined ? undefined : trustOf(vkey));
  if (note !== undefined) context.terminal.err(`${note}\n`);
  context.terminal.out(json ? `${verdictJson(verdict)}\n` : verdictText(verdict));
  return exitOf(verdict);
}

export type RelyArguments = NetworkOptions & { what: string; key?: string; json: boolean };

/** Verifies first: nobody should sign that they act on what does not hold. */
export async function rely({ what, key, json, ...options }: RelyArguments, context: Context): Promise<Exit> {
  const { terminal, home, edges, env } = context;
  const { file, vkey } = await findReceipt(what, options, context);
  const verdict = await verifyReceiptFile(file, vkey === undefined ? undefined : trustOf(vkey));
  if (verdict.outcome !== "verified") {
    terminal.err(verdictText(verdict));
    return exitOf(verdict);
  }
  const { url } = await findNetwork(options, home, edges, env);
  const signer = await openRelierKey(key ?? home.relierKeyPath, key === undefined, context);
  const receiptId = hex(parseReceiptFile(file).id);
  const client = createClient({ url, edges });
  const { index, alreadyLogged } = await client.rely(receiptId, signer, "relier");
  const { decisionsReliedOn } = (await client.usage()).totals;
  if (json) terminal.out(`${JSON.stringify({ receiptId, index, alreadyLogged, decisionsReliedOn })}\n`);
  else {
    const done = alreadyLogged
      ? `you relied on this decision before: entry ${index}`
      : `relied on, as entry ${index} of the log`;
    terminal.out(`${done}\ndecisions relied on: ${decisionsReliedOn}\n`);
  }
  return EXIT.ok;
}

/** The relier's key in `path`; a user's own is made when they first rely. */
async function openRelierKey(path: string, mayMake: boolean, { terminal }: Context): Promise<Signer> {
  const pem = await findFile(path);
  if (pem !== undefined) return openKey(parsePem(new TextDecoder().decode(pem), path));
  if (!mayMake) throw new UsageError(`no key in ${path}`);
  const { signer, pkcs8 } = await createKey();
  const body = Buffer.from(pkcs8)
    .toString("base64")
    .replace(/(.{64})/g, "$1\n")
    .trimEnd();
  await writePrivately(path, `-----BEGIN PRIVATE KEY-----\n${body}\n-----END PRIVATE KEY-----\n`);
  terminal.err(`made a relier's key in ${path}: it is yours, keep it\n`);
  return signer;
}

function parsePem(pem: string, path: string): Uint8Array {
  const body = /^-----BEGIN PRIVATE KEY-----\n([A-Za-z0-9+/=\n]+)-----END PRIVATE KEY-----\s*$/.exec(
    pem.replaceAll("\r", ""),
  )?.[1];
  const der = body === undefined ? undefined : parseBase64(body.replaceAll("\n", ""));
  if (der === undefined) throw new UsageError(`${path} is not a private key in PEM (PKCS #8)`);
  return der;
}

export async function usage({ json, ...options }: NetworkOptions & { json: boolean }, context: Context): Promise<Exit> {
  const { url } = await findNetwork(options, context.home, context.edges, context.env);
  const figures = await createClient({ url, edges: context.edges }).usage();
  context.terminal.out(json ? `${JSON.stringify(figures)}\n` : figuresText(figures));
  return EXIT.ok;
}

/** Figures for a person's eyes; gross and valid always side by side. */
export function figuresText({ totals, days, models: rows, size, rules, exclusions }: Figures): string {
  const head = [
    `decisions relied on   ${totals.decisionsReliedOn}`,
    `decisions enforced    ${totals.decisionsEnforced}   (until contracts exist)`,
    `inferences, gross     ${totals.gross}`,
    `inferences, valid     ${totals.valid}`,
    `requesters            ${totals.requesters}   (payer keys, not people)`,
    `models                ${totals.models}, of which ${totals.idleModels} idle`,
    ...Object.entries(exclusions).map(([reason, count]) => `excluded              ${count} ${reason}`),
  ];
  const dayRows = days.slice(-14).map((day) => [day.day, day.gross, day.valid, day.requesters, day.decisionsReliedOn]);
  const modelRows = rows.map((row) => [
    row.rank,
    row.name,
    row.state,
    row.gross,
    row.valid,
    row.requesters,
    row.decisionsReliedOn,
  ]);
  return [
    `${head.join("\n")}\n`,
    table(["DAY", "GROSS", "VALID", "REQUESTERS", "RELIED ON"], dayRows),
    table(["#", "MODEL", "STATE", "GROSS", "VALID", "REQUESTERS", "RELIED ON"], modelRows),
    `${size} entries, ${rules}. "open" is what no epoch covers yet. Recompute it: tally audit\n`,
  ].join("\n");
}

export async function readJsonFile(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, "utf8"));
  } catch (cause) {
    throw new UsageError(`${path} is not JSON that can be read`, { cause });
  }
}
