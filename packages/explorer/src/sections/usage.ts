/** How much was asked of the network and how much of it is demand, and how anybody computes that again. */
import { LABEL_TEXTS, LABELS } from "@tallystick/protocol";
import { countOf, plural } from "../format.ts";
import { type Html, html } from "../html.ts";
import { command, field, section } from "../parts.ts";
import { strataBar } from "../strata-bar.ts";
import type { HomeView } from "../view.ts";

export function usage({ figures, url }: HomeView): Html {
  const { totals, exclusions, rules } = figures;
  const excluded = listed(
    "Not valid, each for its first reason: ",
    Object.entries(exclusions).map(([reason, count]) => [reason.replaceAll("_", " "), count]),
  );
  const { organic, floor } = totals.demand;
  const { too_few: unjudged = 0, ...labels } = totals.demand.labels;
  const labelled = listed(
    "Not organic, each for its first reason: ",
    LABELS.flatMap((label) => (label === "too_few" ? [] : [[LABEL_TEXTS[label], labels[label] ?? 0] as const])),
  );
  const body = html`<dl class="figures strata">
<div><dt>Inferences, gross</dt><dd class="number">${countOf(totals.gross)}</dd>
<dd class="note">Every unique receipt in the log. ${field("totals.gross")}</dd></div>
<div><dt>Valid</dt><dd class="number">${countOf(totals.valid)}</dd>
<dd class="note">Those that no rule excludes. ${field("totals.valid")}</dd></div>
<div><dt>Organic</dt><dd class="number">${countOf(organic)}</dd>
<dd class="note">Those that are judged to be demand. ${field("totals.demand.organic")}</dd></div>
<div><dt>Floor</dt><dd class="number">${countOf(floor)}</dd>
<dd class="note">Those of which a stranger to payer and seller keeps a part of the price for good. ${field("totals.demand.floor")}</dd></div>
</dl>
${strataBar(totals)}
${excluded}${labelled}
<dl class="beside">
<div><dt>Too few to judge</dt><dd class="number">${countOf(unjudged)}</dd>
<dd class="note">Valid, and of models with so few payers that nobody can tell demand from its look. In no stratum above valid, and no accusation. ${field("totals.demand.labels.too_few")}</dd></div>
<div><dt>Requesters</dt><dd class="number">${countOf(totals.requesters)}</dd>
<dd class="note">Payer keys, not people: anybody can make more keys. ${field("totals.requesters")}</dd></div>
</dl>
<p class="note recompute">Each figure is a fold over ${plural(figures.size, "entry", "entries")} of one public log, by the rules <code>${rules}</code> (docs/spec/usage.md in the source). Recompute them all from the log alone:</p>
${command(`npx tally audit ${url}`)}`;
  const margin = html`<p class="note"><a href="/usage">Every metric, how it can be gamed, and who recomputed it</a></p>`;
  return section("usage", "Is it used, and by whom?", margin, body);
}

function listed(lead: string, counts: readonly (readonly [what: string, count: number])[]): Html | undefined {
  const said = counts.filter(([, count]) => count > 0).map(([what, count]) => `${countOf(count)} ${what}`);
  return said.length === 0 ? undefined : html`<p class="note">${lead}${said.join(", ")}.</p>`;
}
