/** `tally usage`: all figures of a network at once, or one metric of them as a plot, CSV or JSON. */
import { type DemandStratum, type Figures, STRATA, standingOf } from "@tallystick/protocol";
import { createClient } from "../client.ts";
import { createHttp } from "../http.ts";
import type { Context } from "./context.ts";
import { COVERAGE_COLUMNS, coverageLines, coverageRows } from "./coverage-text.ts";
import { creditsText, revenueText } from "./money.ts";
import { findNetwork, type NetworkOptions } from "./networks.ts";
import { barPlot, legend, linePlot, type PlotRow, trendPlot } from "./plots.ts";
import { EXIT, type Exit, jsonFor, linesFor, printable, table, UsageError } from "./terminal.ts";

export type UsageArguments = NetworkOptions & {
  metric?: string;
  /** What goes into the question as it was given. */
  query: { by?: string; from?: string; to?: string; per?: string; strata?: string };
  json: boolean;
  csv: boolean;
};

/** What a terminal has that does not say how wide it is. */
const COLUMNS = 80;
const DAYS_SHOWN = 14;

export async function usage(asked: UsageArguments, context: Context): Promise<Exit> {
  if (asked.metric !== undefined) return metricUsage(asked.metric, asked, context);
  const [option] = [...Object.keys(asked.query), ...(asked.csv ? ["csv"] : [])];
  if (option !== undefined) throw new UsageError(`--${option} is of one metric: tally usage METRIC --${option}`);
  const { url } = await findNetwork(asked, context);
  const figures = await createClient({ url, edges: context.edges }).usage();
  const hint = "\nOne metric, drawn: tally usage inferences --by model\nRecompute it from the log: tally audit\n";
  const { terminal } = context;
  terminal.out(asked.json ? jsonFor(terminal, figures) : `${figuresText(figures, terminal.columns)}${hint}`);
  return EXIT.ok;
}

async function metricUsage(
  metric: string,
  { query, json, csv, ...options }: UsageArguments,
  context: Context,
): Promise<Exit> {
  if (json && csv) throw new UsageError("--json and --csv are two forms: give one of them");
  const { url } = await findNetwork(options, context);
  const http = createHttp(url, context.edges);
  const asked = new URLSearchParams(query).toString();
  const path = `/v1/usage/${encodeURIComponent(metric)}${asked === "" ? "" : `?${asked}`}`;
  const { terminal } = context;
  if (csv) {
    const body = await http.bytes(path, { headers: { accept: "text/csv" } });
    terminal.out(linesFor(terminal, new TextDecoder().decode(body)));
  } else {
    const answer = await http.json(path);
    terminal.out(json ? jsonFor(terminal, answer) : metricText(answer as MetricAnswer, terminal.columns ?? COLUMNS));
  }
  return EXIT.ok;
}

/** As the network answers: what is shown of it is printed as text, whatever it is. */
export type MetricAnswer = {
  metric: string;
  unit: string;
  by: string;
  per: string;
  strata: DemandStratum[];
  rows: (PlotRow & { name?: string })[];
  meta: { size: number; as_of: string | null; rules: string; provisional: boolean };
};

/** One metric for a person's eyes: over time, by what it is of, or both. */
export function metricText({ metric, unit, by, per, rows, meta, ...answer }: MetricAnswer, width: number): string {
  const strata = STRATA.filter((stratum) => answer.strata.includes(stratum));
  const starts = new Set(rows.map(({ start }) => start));
  const keys = new Set(rows.map(({ key }) => key));
  const nameOf = ({ start, key, name }: PlotRow & { name?: string }) =>
    by === "network" ? start : (name ?? (key === "" ? "none" : key));
  const plot = { strata, width };
  const drawn = () => {
    if (rows.length === 0) return "nothing in these days\n";
    if (starts.size === 1) return barPlot(rows, { ...plot, nameOf });
    if (keys.size > 1) return trendPlot(rows, { ...plot, nameOf });
    return `${linePlot(rows, plot)}\n${barPlot(rows, { ...plot, nameOf })}`;
  };
  const what = `${metric}${unit === metric ? "" : `, ${unit}`}, ${by === "network" ? "" : `by ${by}, `}per ${per}`;
  return [
    `${printable(what)}\n\n`,
    drawn(),
    `\n${legend(strata)}\n`,
    `${printable(`${meta.size} entries, ${meta.rules}, as of ${asOfText(meta.as_of)}`)}\n`,
    meta.provisional ? "provisional: a day among these may still change\n" : "",
  ].join("");
}

/** `2026-11-22 14:03 UTC`. */
function asOfText(asOf: string | null): string {
  return asOf === null ? "no epoch yet" : `${asOf.slice(0, 16).replace("T", " ")} UTC`;
}

/** Figures for a person's eyes; the strata always side by side. */
export function figuresText(figures: Figures, width: number = COLUMNS): string {
  const { days, models, size, rules } = figures;
  const dayRows = days
    .slice(-DAYS_SHOWN)
    .map(({ day, decisionsReliedOn, decisionsEnforced, requesters, revenue }) => [
      ...[day, decisionsReliedOn, decisionsEnforced, requesters],
      ...[creditsText(revenue.net), creditsText(revenue.subsidised)],
    ]);
  const bars = days.slice(-DAYS_SHOWN).map(({ day, gross, valid, demand: { organic, floor } }) => ({
    start: day,
    key: day,
    gross,
    valid,
    organic,
    floor,
  }));
  return [
    `${headLines(figures).map(printable).join("\n")}\n`,
    `INFERENCES\n${barPlot(bars, { strata: STRATA, nameOf: ({ start }) => start, width })}${legend(STRATA)}\n`,
    table(["DAY", "RELIED ON", "ENFORCED", "REQUESTERS", "REVENUE", "SUBSIDISED"], dayRows),
    models.length === 0 ? "no model\n" : rankingText(figures),
    table(COVERAGE_COLUMNS, coverageRows(figures)),
    `${printable(`${size} entries, ${rules}. "open" is what no epoch covers yet.`)}\n`,
  ].join("\n");
}

function headLines(figures: Figures): string[] {
  const { totals, days, today, exclusions, settlementFaults } = figures;
  const ofToday = days.find(({ day }) => day === today);
  const { organic, floor, labels: all } = totals.demand;
  const { too_few: unjudged = 0, ...labels } = all;
  return [
    `decisions relied on   ${totals.decisionsReliedOn}, of which ${ofToday?.decisionsReliedOn ?? 0} today`,
    `decisions enforced    ${totals.decisionsEnforced}   (until contracts exist)`,
    `inferences, gross     ${totals.gross}`,
    `            valid     ${totals.valid}`,
    `            organic   ${organic}`,
    `            floor     ${floor}`,
    `too few to judge      ${unjudged}`,
    `requesters            ${totals.requesters}   (payer keys, not people)`,
    `revenue               ${revenueText(totals.revenue)}`,
    ...coverageLines(figures),
    `models                ${totals.models}, of which ${totals.idleModels} idle`,
    ...Object.entries(settlementFaults).map(([fault, count]) => `settlement faults     ${count} ${fault}`),
    ...Object.entries(exclusions).map(([reason, count]) => `not valid             ${count} ${reason}`),
    ...Object.entries(labels).map(([label, count]) => `not organic           ${count} ${label}`),
  ];
}

/** Models in their order, and below each why it stands there. */
function rankingText({ models }: Figures): string {
  const rows = models.map((row) => [
    ...[row.rank, row.name, row.state, row.decisionsReliedOn],
    ...[row.demand.floor, row.demand.organic, row.valid, row.gross, creditsText(row.revenue.net)],
  ]);
  const headings = ["#", "MODEL", "STATE", "RELIED ON", "FLOOR", "ORGANIC", "VALID", "GROSS", "REVENUE"];
  const [head = "", ...lines] = table(headings, rows).trimEnd().split("\n");
  const indent = " ".repeat(String(models.length).length + 2);
  return `${[head, ...lines.flatMap((line, i) => withReason(line, models[i], indent))].join("\n")}\n`;
}

function withReason(line: string, model: Figures["models"][number] | undefined, indent: string): string[] {
  return model === undefined ? [line] : [line, `${indent}${printable(standingOf(model))}`];
}
