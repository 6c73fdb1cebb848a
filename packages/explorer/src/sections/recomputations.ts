/** Closed days with what the log's own key said of them, and who counted again. */
import { countOf, plural, shortId } from "../format.ts";
import { type Html, html } from "../html.ts";
import { cell, copyButton, section, table } from "../parts.ts";
import type { ClosedDayView, RecomputationView, UsageView } from "../view.ts";

const DAY_COLUMNS = [{ label: "Day (UTC)" }, { label: "Document" }, { label: "The log’s snapshot" }];
const COLUMNS = [
  { label: "Auditor" },
  { label: "Entry", kind: "count" },
  { label: "Counted", kind: "count" },
  { label: "Result" },
  { label: "Says" },
  { label: "On (UTC)" },
];

export function recomputations({ closedDays, recomputations: made, auditors, origin }: UsageView): Html {
  const { agreed, disagreed } = auditors;
  const isCut = made.length < agreed + disagreed;
  const margin = html`<p class="share">${plural(agreed + disagreed, "auditor")}, ${countOf(disagreed)} ${disagreed === 1 ? "disagrees" : "disagree"}</p>
<p class="note">By the last word of each. Anybody’s key can be an auditor’s, under any name; whose to believe is yours to say.</p>`;
  const body = [
    made.length === 0
      ? html`<p class="none">Nobody has published a count of their own yet. Be the first: <code>npx tally audit --publish</code></p>`
      : table(
          "The last word of each who counted again, those who disagree first",
          COLUMNS,
          made.map(recomputationRow),
          "cards recomputations",
        ),
    isCut
      ? html`<p class="note">Of those who say the same, those whose keys came first. All of them: <a href="/v1/recomputations">/v1/recomputations</a></p>`
      : undefined,
    closedDays.length === 0
      ? html`<p class="note">No day of ${origin} is closed yet: that comes a day after its end. Until then every figure is provisional.</p>`
      : table("Days that are closed, and never change", DAY_COLUMNS, closedDays.map(dayRow), "closed-days"),
  ];
  return section("recomputed", "Who counted again?", margin, body);
}

function recomputationRow({ name, auditor, size, result, agrees, day, disputedDay, index }: RecomputationView): Html {
  const wrong = disputedDay === undefined ? "disagrees" : `disagrees on ${disputedDay}`;
  const says = html`<span class="status" data-status="${agrees ? "ok" : "failed"}">${agrees ? "agrees" : wrong}</span>`;
  const on = day === undefined ? "open" : html`<time datetime="${day}">${day}</time>`;
  const key = html`<code title="${auditor}">${shortId(auditor)}</code> ${copyButton(auditor, `Copy the id ${auditor}`)}`;
  return html`<tr role="row"><th role="rowheader" scope="row" class="model"><span class="name">${name}</span> ${key}</th>
${cell("Entry", countOf(index), "count")}${cell("Counted", countOf(size), "count")}${cell("Result", hexCell(result), "wide")}${cell("Says", says, "wide")}${cell("On (UTC)", on, "wide")}</tr>
`;
}

function dayRow({ day, digest, snapshot }: ClosedDayView): Html {
  const said =
    snapshot === undefined
      ? "none yet"
      : snapshot.digest === digest
        ? html`the same, entry ${countOf(snapshot.index)}`
        : html`<span class="status" data-status="failed">another: ${shortId(snapshot.digest)}, entry ${countOf(snapshot.index)}</span>`;
  return html`<tr role="row"><th role="rowheader" scope="row"><a href="/v1/usage/days/${day}"><time datetime="${day}">${day}</time></a></th>${cell("Document", hexCell(digest))}${cell("Snapshot", said)}</tr>
`;
}

function hexCell(digest: string): Html {
  return html`<code title="${digest}">${shortId(digest)}</code> ${copyButton(digest, `Copy the digest ${digest}`)}`;
}
