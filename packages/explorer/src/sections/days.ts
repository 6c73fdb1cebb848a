/** The last days as a chart and as the table that the chart is drawn from. */
import { type Counts, type Figures, OPEN_DAY } from "@tallystick/protocol";
import { dayChart } from "../day-chart.ts";
import { countOf, daysUntil } from "../format.ts";
import { type Html, html } from "../html.ts";
import { cell, section, table } from "../parts.ts";

const DAYS = 14;

export type DayFigures = Counts & { day: string };

const COLUMNS = [
  { label: "Day (UTC)" },
  { label: "Decisions relied on", kind: "count" },
  { label: "Valid", kind: "count" },
  { label: "Gross", kind: "count" },
  { label: "Requesters", kind: "count" },
];

export function days(figures: Figures): Html {
  const shown = lastDays(figures);
  const body =
    shown.length === 0
      ? html`<p class="none">No day yet: the first call begins one.</p>`
      : html`${dayChart(shown, DAYS)}
${table("Each day’s own counts; requesters of several days are not added up", COLUMNS, [...shown].reverse().map(dayRow), "days")}`;
  const clock =
    figures.clock === "log"
      ? "No witness cosigns yet, so every day is provisional."
      : "The time is the one at which its witnesses saw it.";
  const margin = html`<p class="note">The last ${DAYS} days by the log’s clock. An epoch gives an entry its day; <em>open</em> is what none covers yet. ${clock}</p>`;
  return section("days", "Day by day", margin, body);
}

/** The last days in order, those without a call included, from the log's first on; what is open comes last. */
export function lastDays({ today, days: rows }: Figures): DayFigures[] {
  const byDay = new Map(rows.map((row) => [row.day, row]));
  const open = byDay.get(OPEN_DAY);
  const first = rows[0]?.day ?? OPEN_DAY;
  const dated = today === null ? [] : daysUntil(today, DAYS).filter((day) => day >= first);
  return [...dated.map((day) => byDay.get(day) ?? quiet(day)), ...(open === undefined ? [] : [open])];
}

function quiet(day: string): DayFigures {
  const revenue = { gross: "0", refunded: "0", net: "0", subsidised: "0" };
  return {
    day,
    gross: 0,
    valid: 0,
    requesters: 0,
    acknowledged: 0,
    decisionsReliedOn: 0,
    decisionsEnforced: 0,
    revenue,
  };
}

function dayRow({ day, decisionsReliedOn, valid, gross, requesters }: DayFigures): Html {
  const name =
    day === OPEN_DAY
      ? html`open <span class="version">provisional</span>`
      : html`<time datetime="${day}">${day}</time>`;
  return html`<tr role="row"><th role="rowheader" scope="row">${name}</th>${cell("Relied on", countOf(decisionsReliedOn), "count relied")}${cell("Valid", countOf(valid), "count")}${cell("Gross", countOf(gross), "count")}${cell("Requesters", countOf(requesters), "count")}</tr>
`;
}
