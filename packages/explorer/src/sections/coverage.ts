/** How answers are verified, and how many may be wrong for all that. */
import { type Figures, type ModelFigures, percentOf } from "@tallystick/protocol";
import { countOf } from "../format.ts";
import { type Html, html } from "../html.ts";
import { cell, section, table } from "../parts.ts";

const COLUMNS = [
  { label: "Model" },
  { label: "Proved", kind: "count" },
  { label: "Re-executed", kind: "count" },
  { label: "Attested", kind: "count" },
  { label: "Signed", kind: "count" },
  { label: "Checked in 24 hours", kind: "count" },
  { label: "Wrong", kind: "count" },
  { label: "At most wrong", kind: "count" },
];

export function coverage(figures: Figures): Html | undefined {
  const used = figures.models.filter(({ gross }) => gross > 0);
  if (used.length === 0) return undefined;
  const { tiers, unopenable, asked } = figures.totals.verification;
  const verified = tiers.proved + tiers.reexecuted;
  const margin = html`<p class="share">${countOf(verified)} of ${countOf(figures.totals.valid)} run again or proved</p>`;
  const body = [
    table("Valid inferences by tier, and what the lot found", COLUMNS, used.map(row), "models cards"),
    html`<p class="note">Receipts are drawn by lot and run again by a verifier. “At most wrong” is the share that may be wrong for all that, at 99 % confidence, of the receipts of the last 24 hours whose lots are done.</p>`,
    unopenable === 0
      ? undefined
      : html`<p class="note">No lot can draw ${countOf(unopenable)} of the valid inferences: nothing bounds those.</p>`,
    asked.population === 0
      ? undefined
      : html`<p class="note">Of ${countOf(asked.population)} that were asked for with a check, ${countOf(asked.checked)} are checked and ${countOf(asked.failures)} wrong; ${countOf(asked.waiting)} wait for a lot, and ${countOf(asked.omitted)} nobody checked within a day. The bound is not of these.</p>`,
    figures.independentVerifiers > 0
      ? undefined
      : html`<p class="note">No protection against grinding: nobody but the operator of this log verifies.</p>`,
  ];
  return section("coverage", "How much is checked?", margin, body);
}

function row({ name, revision, verification: { tiers, recent } }: ModelFigures): Html {
  const { settled, upperBound } = recent;
  const bound = upperBound === null ? "not known" : `${percentOf(upperBound)} of ${countOf(settled)}`;
  return html`<tr role="row"><th role="rowheader" scope="row" class="model" title="revision ${revision}"><span class="name">${name}</span></th>
${cell("Proved", countOf(tiers.proved), "count")}${cell("Re-executed", countOf(tiers.reexecuted), "count")}${cell("Attested", countOf(tiers.attested), "count")}${cell("Signed", countOf(tiers.signed), "count")}${cell("Checked in 24 hours", `${countOf(recent.checked)} of ${countOf(recent.population)}`, "count")}${cell("Wrong", countOf(recent.failures), "count")}${cell("At most wrong", bound, "count")}</tr>
`;
}
