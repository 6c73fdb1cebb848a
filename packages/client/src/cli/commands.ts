/** The shorter commands: models, usage. */
import { readFile } from "node:fs/promises";
import type { Figures } from "@tallystick/protocol";
import { createClient } from "../client.ts";
import type { Context } from "./context.ts";
import { COVERAGE_COLUMNS, coverageLines, coverageRows } from "./coverage-text.ts";
import { creditsText, revenueText } from "./money.ts";
import { findNetwork, type NetworkOptions } from "./networks.ts";
import { EXIT, type Exit, printable, table, UsageError } from "./terminal.ts";

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
