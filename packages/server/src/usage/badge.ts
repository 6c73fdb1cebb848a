/** A model's use as a picture for its readme: SVG by our own widths of letters, so that nothing is loaded to draw it. */

import type { Documents } from "./documents.ts";
import type { BADGE_METRICS } from "./schemas.ts";

export type Badge = {
  label: string;
  value: string;
  /** Whether the value may still change: it is drawn paler, and says so. */
  provisional: boolean;
  /** All of it in a sentence, for whoever does not see it. */
  title: string;
};

/** A badge is of so many days by the calendar, up to the last that is closed, or where none is, that there is. */
const DAYS = 30;
const DAY_MS = 86_400_000;
const COUNT = new Intl.NumberFormat("en-US", { maximumFractionDigits: 1 });

/** A model with all its versions, which are hex. */
type Named = { name: string; revisions: readonly string[] };

/** What a badge of the model shows, all its versions together. */
export async function badgeOf(
  { name, revisions }: Named,
  metric: (typeof BADGE_METRICS)[number],
  documents: Documents,
): Promise<Badge> {
  const { days, isClosed } = documents;
  const closed = days.filter(isClosed);
  const provisional = closed.length === 0;
  const { shown, dayCount } = lastOf(provisional ? days : closed, documents);
  const { valid, organic } = await totalsOf(shown, revisions, metric, documents);
  const over = `over the last ${dayCount === 1 ? "day" : `${dayCount} days`} by ${documents.rules.version}`;
  if (metric === "decisions_relied_on") {
    const value = `${COUNT.format(valid / dayCount)} / day`;
    return { label: "decisions relied on", value, provisional, title: `${name}: ${value} relied on ${over}.` };
  }
  const value = `${COUNT.format(organic)} of ${COUNT.format(valid)}`;
  const title = `${name}: ${value} valid inferences are organic ${over}.`;
  return { label: `organic inferences, ${DAYS} days`, value, provisional, title };
}

/** The documents of the last days by the log's clock, and how many days these are: days without a call have no document. */
function lastOf(days: readonly string[], { timeSeconds = 0 }: Documents) {
  const last = days.at(-1) ?? "1970-01-01";
  // Of a network that fell idle the last day with a call is long gone, and its badge says so.
  const endMs = Math.max(Date.parse(last), Math.floor((timeSeconds * 1000) / DAY_MS - 2) * DAY_MS);
  const shown = days.filter((day) => Date.parse(day) > endMs - DAYS * DAY_MS);
  const firstMs = Date.parse(days[0] ?? last);
  return { shown, dayCount: Math.min(DAYS, Math.max(1, Math.round((endMs - firstMs) / DAY_MS) + 1)) };
}

async function totalsOf(
  days: readonly string[],
  revisions: readonly string[],
  metric: (typeof BADGE_METRICS)[number],
  documents: Documents,
) {
  const total = { valid: 0, organic: 0 };
  for (const day of days)
    for (const { rows } of await documents.groups(day, "day", "model"))
      for (const revision of revisions) {
        const [, valid, organic] = rows[revision]?.[SHOWN[metric]] ?? [];
        total.valid += Number(valid ?? 0);
        total.organic += Number(organic ?? 0);
      }
  return total;
}

/** What each badge sums up. */
const SHOWN = { decisions_relied_on: "decisions_relied_on", organic_inferences: "inferences" } as const;

const HEIGHT = 20;
const PADDING = 7;
/** The room of the three notches. */
const MARK = 11;
/** Widths of letters in the font stack below at 11 pixels, in tenths of one; the picture is stretched to them. */
const WIDTHS: readonly [letters: string, tenths: number][] = [
  ["ijl.,:;'|!", 35],
  [" ftrI()[]/-·", 44],
  ["csz", 58],
  ["mwMW%", 98],
  ["ABCDEFGHKLNOPQRSTUVXYZ", 78],
];
const OTHER_TENTHS = 68;

export function drawBadge({ label, value, provisional, title }: Badge): string {
  const shown = provisional ? `${value}, provisional` : value;
  const [left, right] = [MARK + widthOf(label) + 2 * PADDING, widthOf(shown) + 2 * PADDING];
  const width = left + right;
  const said = escaped(provisional ? `${title} Provisional: a day among them may still change.` : title);
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${HEIGHT}" viewBox="0 0 ${width} ${HEIGHT}" role="img" aria-label="${said}">
<title>${said}</title>
<rect width="${width}" height="${HEIGHT}" rx="3" fill="#26352c"/>
<path d="M${left} 0H${width - 3}a3 3 0 0 1 3 3V${HEIGHT - 3}a3 3 0 0 1-3 3H${left}z" fill="${provisional ? "#6d5d1e" : "#8a4f12"}"/>
<path d="M7 0v8m3-8v8m3-8v8" stroke="#e9d2ab" stroke-width="1.4"/>
<g fill="#fff" font-family="Verdana,Geneva,'DejaVu Sans',sans-serif" font-size="11">
${text(label, MARK + PADDING)}
${text(shown, left + PADDING)}
</g>
</svg>
`;
}

/** Stretched or squeezed to the width that was reckoned with, whatever font there is. */
function text(words: string, x: number): string {
  return `<text x="${x}" y="14" textLength="${widthOf(words)}" lengthAdjust="spacingAndGlyphs">${escaped(words)}</text>`;
}

function widthOf(words: string): number {
  const tenths = [...words].reduce(
    (sum, letter) => sum + (WIDTHS.find(([of]) => of.includes(letter))?.[1] ?? OTHER_TENTHS),
    0,
  );
  return Math.ceil(tenths / 10);
}

const ESCAPES: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

function escaped(words: string): string {
  return words.replace(/[&<>"']/g, (letter) => ESCAPES[letter] ?? letter);
}
