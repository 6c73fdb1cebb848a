/** Strata as one bar: each drawn over those that it is part of, so that what is surest stands out most from the paper. */
import { type DemandStratum, STRATA } from "@tallystick/protocol";
import { countOf } from "./format.ts";
import { type Html, html } from "./html.ts";

export type Counted = { gross: number; valid: number; demand: { organic: number; floor: number } };

/** How many there are of each stratum. */
export function strataOf({ gross, valid, demand: { organic, floor } }: Counted): Record<DemandStratum, number> {
  return { gross, valid, organic, floor };
}

/** Which tone is which, from the one that has the others in it to the one that is in all. */
const KEYS = STRATA.map((stratum) => html`<span class="key ${stratum}">${stratum}</span> `);

/** Undefined where there is nothing to draw. */
export function strataBar(counted: Counted): Html | undefined {
  const strata = strataOf(counted);
  const { gross, organic, floor } = strata;
  if (gross === 0) return undefined;
  const widthOf = (count: number) => (count / gross) * 100;
  const said = STRATA.map((stratum) => `${countOf(strata[stratum])} ${stratum}`).join(", ");
  const bars = STRATA.map((stratum) => html`<rect class="${stratum}" width="${widthOf(strata[stratum])}" height="4"/>`);
  const cut = floor > 0 && floor < organic ? html`<path class="cut" d="M${widthOf(floor)} 0V4"/>` : undefined;
  return html`<figure class="strata-bar">
<svg class="stick" viewBox="0 0 100 4" preserveAspectRatio="none" role="img" aria-label="${said}">${bars}${cut}<rect class="outline" width="100" height="4"/></svg>
<figcaption>${KEYS}</figcaption>
</figure>`;
}
