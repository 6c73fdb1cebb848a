/** The shorter commands: models, rely, usage. */
import { readFile } from "node:fs/promises";
import { type Figures, hex, parseReceiptFile, verifyReceiptFile } from "@tallystick/protocol";
import { createClient } from "../client.ts";
import type { Context } from "./context.ts";
import { COVERAGE_COLUMNS, coverageLines, coverageRows } from "./coverage-text.ts";
import { creditsText, revenueText } from "./money.ts";
import { findNetwork, type NetworkOptions, trustOf } from "./networks.ts";
import { findReceipt } from "./receipts.ts";
import { openOwnKey } from "./relier-key.ts";
import { EXIT, type Exit, printable, table, UsageError } from "./terminal.ts";
import { exitOf, verdictText } from "./verdict-text.ts";

export async function models(
  { json, ...options }: NetworkOptions & { json: boolean },
  context: Context,
): Promise<Exit> {
  const { url } = await findNetwork(options, context);
  const rows = await createClient({ url, edges: context.edges }).models();
  const ranked = rows.sort(
    (a, b) => b.decisionsReliedOn - a.decisionsReliedOn || b.valid - a.valid || (a.name < b.name ? -1 : 1),
  );
  const texts = ranked.map(
    (row) => [row.name, row.version, row.category, row.state, row.valid, row.decisionsReliedOn, row.summary] as const,
  );
  context.terminal.out(
    json
      ? `${JSON.stringify(ranked, (_, value: unknown) => (typeof value === "bigint" ? String(value) : value))}\n`
      : table(["MODEL", "VERSION", "CATEGORY", "STATE", "VALID", "RELIED ON", "WHAT IT GIVES"], texts),
  );
  return EXIT.ok;
}

export type RelyArguments = NetworkOptions & { what: string; key?: string; json: boolean };

/** Verifies first: nobody should sign that they act on what does not hold. */
export async function rely({ what, key, json, ...options }: RelyArguments, context: Context): Promise<Exit> {
  const { terminal, home, edges } = context;
  const { file, logKey } = await findReceipt(what, options, context);
  const verdict = await verifyReceiptFile(
    file,
    logKey === undefined ? undefined : await trustOf(logKey, context.policy),
  );
  if (verdict.outcome !== "verified") {
    terminal.err(verdictText(verdict, logKey));
    return exitOf(verdict);
  }
  const { url } = await findNetwork(options, context);
  const signer = await openOwnKey("relier", key ?? home.relierKeyPath, key === undefined, terminal);
  const receiptId = hex(parseReceiptFile(file).id);
  const client = createClient({ url, edges });
  const { index, alreadyLogged } = await client.rely(receiptId, signer, "relier");
  const { decisionsReliedOn } = (await client.usage()).totals;
  if (json) terminal.out(`${JSON.stringify({ receiptId, index, alreadyLogged, decisionsReliedOn })}\n`);
  else {
    const done = alreadyLogged
      ? `you relied on this decision before: entry ${index}`
      : `relied on, as entry ${index} of the log`;
    terminal.out(`${done}\n${printable(`decisions relied on: ${decisionsReliedOn}`)}\n`);
  }
  return EXIT.ok;
}

export async function usage({ json, ...options }: NetworkOptions & { json: boolean }, context: Context): Promise<Exit> {
  const { url } = await findNetwork(options, context);
  const figures = await createClient({ url, edges: context.edges }).usage();
  const hint = "\nRecompute it from the log: tally audit\n";
  context.terminal.out(json ? `${JSON.stringify(figures)}\n` : `${figuresText(figures)}${hint}`);
  return EXIT.ok;
}

/** Figures for a person's eyes; gross and valid always side by side. */
export function figuresText(figures: Figures): string {
  const { totals, days, models: rows, size, rules, exclusions, settlementFaults } = figures;
  const head = [
    `decisions relied on   ${totals.decisionsReliedOn}`,
    `decisions enforced    ${totals.decisionsEnforced}   (until contracts exist)`,
    `inferences, gross     ${totals.gross}`,
    `inferences, valid     ${totals.valid}`,
    `requesters            ${totals.requesters}   (payer keys, not people)`,
    `revenue               ${revenueText(totals.revenue)}`,
    ...coverageLines(figures),
    `models                ${totals.models}, of which ${totals.idleModels} idle`,
    ...Object.entries(settlementFaults).map(([fault, count]) => `settlement faults     ${count} ${fault}`),
    ...Object.entries(exclusions).map(([reason, count]) => `excluded              ${count} ${reason}`),
  ];
  const dayRows = days
    .slice(-14)
    .map((day) => [
      day.day,
      day.gross,
      day.valid,
      day.requesters,
      day.decisionsReliedOn,
      creditsText(day.revenue.net),
      creditsText(day.revenue.subsidised),
    ]);
  const modelRows = rows.map((row) => [
    row.rank,
    row.name,
    row.state,
    row.gross,
    row.valid,
    row.requesters,
    row.decisionsReliedOn,
    creditsText(row.revenue.net),
    creditsText(row.revenue.subsidised),
  ]);
  return [
    `${head.map(printable).join("\n")}\n`,
    table(["DAY", "GROSS", "VALID", "REQUESTERS", "RELIED ON", "REVENUE", "SUBSIDISED"], dayRows),
    table(["#", "MODEL", "STATE", "GROSS", "VALID", "REQUESTERS", "RELIED ON", "REVENUE", "SUBSIDISED"], modelRows),
    table(COVERAGE_COLUMNS, coverageRows(figures)),
    `${printable(`${size} entries, ${rules}. "open" is what no epoch covers yet.`)}\n`,
  ].join("\n");
}

export async function readJsonFile(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, "utf8"));
  } catch (cause) {
    throw new UsageError(`${path} is not JSON that can be read`, { cause });
  }
}
