/** How much was asked of the network and by how many, and how anybody computes that again. */
import { countOf, plural } from "../format.ts";
import { type Html, html } from "../html.ts";
import { command, field, section } from "../parts.ts";
import type { HomeView } from "../view.ts";

export function usage({ figures, url }: HomeView): Html {
  const { totals, exclusions, rules } = figures;
  const reasons = Object.entries(exclusions).map(
    ([reason, count]) => `${countOf(count)} ${reason.replaceAll("_", " ")}`,
  );
  const excluded = reasons.length === 0 ? undefined : ` Excluded, each for its first reason: ${reasons.join(", ")}.`;
  const body = html`<dl class="figures">
<div><dt>Inferences, gross</dt><dd class="number">${countOf(totals.gross)}</dd>
<dd class="note">Every unique receipt in the log. ${field("totals.gross")}</dd></div>
<div><dt>Inferences, valid</dt><dd class="number">${countOf(totals.valid)}</dd>
<dd class="note">Those that no rule excludes.${excluded} ${field("totals.valid")}</dd></div>
<div><dt>Requesters</dt><dd class="number">${countOf(totals.requesters)}</dd>
<dd class="note">Payer keys, not people: anybody can make more keys. ${field("totals.requesters")}</dd></div>
</dl>
${stick(totals.valid, totals.gross)}
<p class="note recompute">Each figure is a fold over ${plural(figures.size, "entry", "entries")} of one public log, by the rules <code>${rules}</code> (docs/spec/usage.md in the source). Recompute them all from the log alone:</p>
${command(`npx tally audit ${url}`)}`;
  return section("usage", "Is it used, and by whom?", undefined, body);
}

/** The two inferences as one stick: its length is what was asked, its dark part what counts. */
function stick(valid: number, gross: number): Html | undefined {
  if (gross === 0) return undefined;
  const width = (valid / gross) * 100;
  return html`<svg class="stick" viewBox="0 0 100 4" preserveAspectRatio="none" role="img" aria-label="${countOf(valid)} of ${plural(gross, "receipt")} valid"><rect class="gross" width="100" height="4"/><rect class="valid" width="${width}" height="4"/></svg>`;
}
