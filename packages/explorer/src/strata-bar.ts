/** Strata as one bar: each drawn over those that it is part of, so that what is surest is darkest. */
import { type DemandStratum, STRATA } from "@tallystick/protocol";
import { countOf } from "./format.ts";
import { type Html, html } from "./html.ts";

export type Counted = { gross: number; valid: number; demand: { organic: number; floor: number } };

/** How many there are of each stratum. */
export function strataOf({ gross, valid, demand: { organic, floor } }: Counted): Record<DemandStratum, number> {
  return { gross, valid, organic, floor };
}

/** Undefined where there is nothing to draw. */
export function strataBar(counted: Counted): Html | undefined {
  const strata = strataOf(counted);
  const { gross } = strata;
  if (gross === 0) return undefined;
  const said = STRATA.map((stratum) => `${countOf(strata[stratum])} ${stratum}`).join(", ");
  const bars = STRATA.map(
    (stratum) => html`<rect class="${stratum}" width="${(strata[stratum] / gross) * 100}" height="4"/>`,
  );
  return html`<svg class="stick" viewBox="0 0 100 4" preserveAspectRatio="none" role="img" aria-label="${said}">${bars}</svg>`;
}
