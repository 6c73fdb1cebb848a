/** The way from gross to floor: what falls out at each step, for which reason, and what nobody can judge. */
import { LABEL_TEXTS, LABELS } from "@tallystick/protocol";
import { countOf, plural } from "../format.ts";
import { type Html, type HtmlValue, html } from "../html.ts";
import { cell, section, table } from "../parts.ts";
import { strataBar } from "../strata-bar.ts";
import type { UsageView } from "../view.ts";

const COLUMNS = [{ label: "Step" }, { label: "Inferences", kind: "count" }, { label: "Of gross", kind: "count" }];

export function reasons({ figures, organicRules }: UsageView): Html {
  const { totals, exclusions } = figures;
  const { gross, valid } = totals;
  const { organic, floor, labels } = totals.demand;
  if (gross === 0)
    return section("strata", "How much of it is demand?", undefined, html`<p class="none">Nothing was asked yet.</p>`);
  const step = (kind: string, name: HtmlValue, count: number) =>
    html`<tr role="row" class="${kind}"><th role="rowheader" scope="row">${name}</th>${cell("Inferences", countOf(count), "count")}${cell("Of gross", shareOf(count, gross), "count")}</tr>
`;
  const excluded = Object.entries(exclusions).map(([reason, count]) =>
    step("less", html`less: <code>${reason}</code>`, count),
  );
  const labelled = LABELS.filter((label) => label !== "too_few" && (labels[label] ?? 0) > 0).map((label) =>
    step("less", html`less: <code>${label}</code> ${LABEL_TEXTS[label]}`, labels[label] ?? 0),
  );
  const unjudged = labels.too_few ?? 0;
  const rows = [
    step("stratum", "Gross: every unique receipt", gross),
    excluded,
    step("stratum", "Valid: no rule excludes it", valid),
    labelled,
    unjudged === 0
      ? undefined
      : step(
          "less unjudged",
          html`less: <code>too_few</code> too few to judge: no accusation, nobody can tell`,
          unjudged,
        ),
    step("stratum", "Organic: judged to be demand", organic),
    step(
      "less",
      "less: nobody outside the payer’s and the seller’s cluster keeps a part of the price",
      organic - floor,
    ),
    step("stratum", "Floor: it cost its payer something for good", floor),
  ];
  const body = html`${strataBar(totals)}
${table("From gross to floor, each inference at its first reason", COLUMNS, rows, "steps")}
<p class="note">Judged by the rules <code>${organicRules.version}</code>, whose digest is <code class="long">${organicRules.digest}</code>. Nothing is deleted: <a href="/v1/usage/inferences?by=reason">by reason and day</a>. Who thinks that a label is wrong disputes it, in the log.</p>`;
  const provisional =
    figures.clock === "log"
      ? "No witness cosigns, so all of it is provisional."
      : "A day that is not closed is provisional.";
  const margin = html`<p class="share">${countOf(organic)} of ${plural(gross, "inference")} organic</p><p class="note">${provisional}</p>`;
  return section("strata", "How much of it is demand?", margin, body);
}

/** One decimal, cut and not rounded, so that not quite all is never all. */
function shareOf(count: number, gross: number): string {
  return `${(Math.floor((count * 1_000) / gross) / 10).toFixed(1)}\u00a0%`;
}
