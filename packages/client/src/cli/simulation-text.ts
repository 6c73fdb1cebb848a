/** A simulation for a person's eyes, in 80 columns. */
import type { Shape } from "../simulate/demand-shape.ts";
import type { HonestFigures, SimulationReport } from "../simulate/report.ts";
import { table } from "./terminal.ts";

export function simulationText(report: SimulationReport): string {
  const { seed, days, receipts, rules, fit, attacks, honest, reasons, metrics } = report;
  const attackRows = attacks.map(({ name, structural, volume, validShare, organicShare, costToFake }) => {
    return [name, structural ? "yes" : "", volume, percent(validShare), percent(organicShare), costToFake ?? "-"];
  });
  const reasonRows = reasons.map(({ label, count, precision, recall }) => {
    return [label, count, precision === null ? "-" : percent(precision), recall === null ? "-" : percent(recall)];
  });
  const metricRows = metrics.map(({ metric, honest: real, shown, costToMove1Percent, by }) => {
    return [metric, String(real), String(shown), costToMove1Percent ?? "-", by ?? "-"];
  });
  return [
    `seed ${seed}, ${days} days, ${receipts} receipts\nrules ${rules.version}\n      ${rules.digest}\n`,
    table(
      ["DEMAND BY MODEL", ...FIT.map(([heading]) => heading)],
      [
        ["Replicate", ...fitRow(fit.replicate)],
        ["simulated", ...fitRow(fit.simulated)],
      ],
    ),
    table(["ATTACK", "STRUCTURAL", "VOLUME", "VALID", "ORGANIC", "COST OF 1,000"], attackRows),
    honestText(honest),
    table(["REASON", "RECEIPTS", "RIGHTLY", "OF THOSE DUE"], reasonRows),
    table(["HEADLINE", "HONEST", "SHOWN", "1 % COSTS", "BY"], metricRows),
    'Costs are atomic units, paid for good. "-": none got through, or none is due.\n',
  ].join("\n");
}

const FIT = [
  ["IDLE", "idle"],
  ["TOP 1", "first"],
  ["TOP 10", "ten"],
  ["TOP 36", "thirtySix"],
  ["TOP 100", "hundred"],
  ["HHI", "herfindahl"],
] as const;

const fitRow = (shape: Shape) =>
  FIT.map(([, figure]) =>
    figure === "herfindahl" ? (shape[figure] / 1_000).toFixed(3) : percent(shape[figure] / 1_000),
  );

function honestText(honest: HonestFigures): string {
  const rows = [
    ["labelled as wash, wrongly", honest.excludedShare],
    ["of the agent's, wrongly", honest.agentExcludedShare],
    ["in models too few ask", honest.tooFewShare],
    ["whose price was given back", honest.refundedShare],
    ["with money of nobody named", honest.unattributedShare],
    ["with an operator's money", honest.subsidisedShare],
    ["by payers who are nobody", honest.anonymousShare],
    ["organic", honest.organicShare],
  ] as const;
  const texts = rows.map(([what, share]) => [what, percent(share)]);
  return table([`HONEST, PAID (${honest.paid} of ${honest.volume})`, "SHARE"], texts);
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}
