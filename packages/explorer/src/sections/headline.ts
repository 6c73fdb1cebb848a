/** The first thing the page says: how many decisions somebody relied on. */
import { type Figures, OPEN_DAY } from "@tallystick/protocol";
import { countOf } from "../format.ts";
import { type Html, html } from "../html.ts";
import { field } from "../parts.ts";
import { tallyStick } from "../tally-stick.ts";
import type { HomeView } from "../view.ts";

export function headline({ figures }: HomeView): Html {
  const { totals, today } = figures;
  const open = dayOf(figures, OPEN_DAY);
  const settled = dayOf(figures, today);
  const provisional =
    open > 0 ? html` ${countOf(open)} of them provisional, until the next epoch gives them a day.` : "";
  const clock =
    today === null
      ? "No epoch yet, so the log has no clock: whatever is counted here is provisional."
      : html`<time datetime="${today}">${today}</time> UTC, by the log’s own clock.`;
  return html`<section class="entry headline" id="relied" aria-labelledby="relied-title">
<header class="margin"><p class="question">Did anybody act on an answer?</p></header>
<div class="body">
<h1 id="relied-title">Decisions relied on today</h1>
<p class="today"><span class="number">${countOf(settled + open)}</span>${tallyStick(settled, open)}</p>
<p class="note">${clock}${provisional} ${field("days[].decisionsReliedOn")}</p>
<dl class="beside">
<div><dt>All time</dt><dd class="number">${countOf(totals.decisionsReliedOn)}</dd>
<dd class="note">Somebody with an enrolled key signed that they act on the answer. A decision counts once, however many calls are behind it. ${field("totals.decisionsReliedOn")}</dd></div>
<div><dt>Decisions enforced</dt><dd class="number">${countOf(totals.decisionsEnforced)}</dd>
<dd class="note">Until contracts exist: what a contract would have reverted without. ${field("totals.decisionsEnforced")}</dd></div>
</dl>
</div>
</section>
`;
}

/** Decisions relied on that are counted under `day`. */
function dayOf({ days }: Figures, day: string | null): number {
  return days.find((row) => row.day === day)?.decisionsReliedOn ?? 0;
}
