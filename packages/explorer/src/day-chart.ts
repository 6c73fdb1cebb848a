/** Days as a split tally stick: valid inferences cut above the split, the organic of them darker, decisions relied on below it. */
import { countOf, plural } from "./format.ts";
import { type Html, html } from "./html.ts";

type Day = { day: string; valid: number; organic: number; decisionsReliedOn: number; isProvisional: boolean };

const STEP = 24;
const BAR = 14;
const HALF = 60;
/** What a count that is not zero is drawn as at least, so that it can be seen. */
const LEAST = 1.5;

/** Draws `days` into at least `slots` places, the latest to the right. Each half has its own scale, named beside it. */
export function dayChart(days: readonly Day[], slots: number): Html {
  const places = Math.max(slots, days.length);
  const width = places * STEP;
  const highest = { valid: highestOf(days, "valid"), relied: highestOf(days, "decisionsReliedOn") };
  const bars = days.map((day, i) => dayBars(day, (places - days.length + i) * STEP + (STEP - BAR) / 2, highest));
  return html`<figure class="day-chart">
<svg viewBox="0 0 ${width} ${2 * HALF + 2}" preserveAspectRatio="none" role="img" aria-labelledby="day-chart-title day-chart-desc">
<title id="day-chart-title">Valid and organic inferences, and decisions relied on, by day</title>
<desc id="day-chart-desc">${describe(days, highest)} The table below has every figure.</desc>
<rect class="slit" y="${HALF}" width="${width}" height="2"/>
${bars}</svg>
<div class="axis" aria-hidden="true"><span>${nameOf(days[0])}</span><span>${days.length > 1 ? nameOf(days.at(-1)) : ""}</span></div>
<figcaption><span class="key valid">valid inferences, highest ${countOf(highest.valid)}</span> <span class="key organic">organic of them</span> <span class="key relied">decisions relied on, highest ${countOf(highest.relied)}</span> <span>each half to its own scale; paler is provisional</span></figcaption>
</figure>`;
}

function dayBars(
  { day, valid, organic, decisionsReliedOn, isProvisional }: Day,
  x: number,
  highest: { valid: number; relied: number },
): Html {
  const above = heightOf(valid, highest.valid);
  const within = heightOf(organic, highest.valid);
  const below = heightOf(decisionsReliedOn, highest.relied);
  const kind = isProvisional ? "provisional" : "";
  return html`<g class="${kind}"><title>${day}: ${countOf(valid)} valid, ${countOf(organic)} organic, ${countOf(decisionsReliedOn)} relied on</title><rect class="hit" x="${x}" width="${BAR}" height="${2 * HALF + 2}"/><rect class="valid" x="${x}" y="${HALF - above}" width="${BAR}" height="${above}"/><rect class="organic" x="${x}" y="${HALF - within}" width="${BAR}" height="${within}"/><rect class="relied" x="${x}" y="${HALF + 2}" width="${BAR}" height="${below}"/></g>
`;
}

function heightOf(count: number, highest: number): number {
  return count === 0 ? 0 : Math.max(LEAST, Math.round((count / highest) * HALF * 10) / 10);
}

function highestOf(days: readonly Day[], field: "valid" | "decisionsReliedOn"): number {
  return Math.max(0, ...days.map((day) => day[field]));
}

function nameOf(day: Day | undefined): string {
  return day?.day ?? "";
}

function describe(days: readonly Day[], highest: { valid: number; relied: number }): string {
  const span = days.length > 1 ? `${nameOf(days[0])} to ${nameOf(days.at(-1))}` : nameOf(days[0]);
  return `${span}: at most ${plural(highest.valid, "valid inference")} and ${plural(highest.relied, "decision")} relied on in a day.`;
}
