/** Every metric: what it is, what it is made of, and how it can be gamed. */
import { METRICS, type Metric } from "@tallystick/protocol";
import { plural } from "../format.ts";
import { type Html, html } from "../html.ts";
import { section } from "../parts.ts";

function render(): Html {
  const metrics: readonly Metric[] = METRICS;
  const computed = metrics.filter(({ needs }) => needs === undefined);
  const waiting = metrics.filter(({ needs }) => needs !== undefined);
  const body = html`${computed.map(entry)}
${waiting.length === 0 ? undefined : html`<h3 class="waiting">Not computed yet</h3>${waiting.map(entry)}`}`;
  const margin = html`<p class="share">${plural(computed.length, "metric")}</p>
<p class="note">Every count that costs nothing to raise has been raised somewhere, so each says how it can be gamed.</p>`;
  return section("metrics", "What does each figure mean?", margin, body);
}

function entry({ id, name, unit, formula, source, gamedBy, needs, by }: Metric): Html {
  const links = html`<a href="/v1/usage/${id}">JSON</a> <a href="/v1/usage/${id}?format=csv">CSV</a>`;
  return html`<details class="metric" id="metric-${id}"><summary><span class="name">${name}</span> <span class="unit">${unit}</span></summary>
<dl class="log">
<div><dt>Formula</dt><dd>${formula}</dd></div>
<div><dt>From</dt><dd>${source}</dd></div>
<div><dt>Gamed by</dt><dd>${gamedBy}</dd></div>
<div><dt>By</dt><dd>${by.join(", ")}</dd></div>
<div><dt>${needs === undefined ? "Figures" : "Needs"}</dt><dd>${needs ?? links}</dd></div>
</dl></details>
`;
}

/** The same for every network of this release. */
export const CATALOGUE = render();
