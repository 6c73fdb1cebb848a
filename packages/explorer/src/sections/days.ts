/** The last days as a chart and as the table that the chart is drawn from. */
import { closesAt, type DemandStratum, type Figures, OPEN_DAY } from "@tallystick/protocol";
import { dayChart } from "../day-chart.ts";
import { countOf, daysUntil } from "../format.ts";
import { type Html, html } from "../html.ts";
import { cell, section, table } from "../parts.ts";
import { strataOf } from "../strata-bar.ts";

const DAYS = 14;

/** What is shown of a day. */
export type Day = Record<DemandStratum, number> & { day: string; decisionsReliedOn: number; isProvisional: boolean };

const COLUMNS = [
  { label: "Day (UTC)" },
  { label: "Decisions relied on", kind: "count" },
  { label: "Floor", kind: "count" },
  { label: "Organic", kind: "count" },
  { label: "Valid", kind: "count" },
  { label: "Gross", kind: "count" },
];

export function days(figures: Figures): Html {
  const shown = lastDays(figures);
  const body =
    shown.length === 0
      ? html`<p class="none">No day yet: the first call begins one.</p>`
      : html`${dayChart(shown, DAYS)}
${table("Each day’s own counts", COLUMNS, [...shown].reverse().map(dayRow), "days")}`;
  const clock =
    figures.clock === "log"
      ? "No witness cosigns yet, so every day is provisional."
      : "The time is the one at which its witnesses saw it.";
  const margin = html`<p class="note">The last ${DAYS} days by the log’s clock. An epoch gives an entry its day; <em>open</em> is what none covers yet. ${clock}</p>`;
  return section("days", "Day by day", margin, body);
}

/** The last days in order, those without a call included, from the log's first on; what is open comes last. */
export function lastDays({ today, asOfSeconds, days: rows, closedDays }: Figures): Day[] {
  const closed = new Set(closedDays.map(({ day }) => day));
  const byDay = new Map(rows.map((row) => [row.day, dayOf(row, !closed.has(row.day))]));
  const open = byDay.get(OPEN_DAY);
  const first = rows[0]?.day ?? OPEN_DAY;
  const dated = today === null ? [] : daysUntil(today, DAYS).filter((day) => day >= first);
  return [
    ...dated.map((day) => byDay.get(day) ?? quiet(day, closesAt(day) > (asOfSeconds ?? 0))),
    ...(open === undefined ? [] : [open]),
  ];
}

function dayOf({ day, decisionsReliedOn, ...counts }: Figures["days"][number], isProvisional: boolean): Day {
  return { day, decisionsReliedOn, isProvisional, ...strataOf(counts) };
}

function quiet(day: string, isProvisional: boolean): Day {
  return { day, decisionsReliedOn: 0, isProvisional, gross: 0, valid: 0, organic: 0, floor: 0 };
}

function dayRow({ day, decisionsReliedOn, isProvisional, floor, organic, valid, gross }: Day): Html {
  const date = day === OPEN_DAY ? html`open` : html`<time datetime="${day}">${day}</time>`;
  const name = isProvisional ? html`${date} <span class="version">provisional</span>` : date;
  return html`<tr role="row"><th role="rowheader" scope="row">${name}</th>${cell("Relied on", countOf(decisionsReliedOn), "count relied")}${cell("Floor", countOf(floor), "count")}${cell("Organic", countOf(organic), "count")}${cell("Valid", countOf(valid), "count")}${cell("Gross", countOf(gross), "count")}</tr>
`;
}
