/** Days, as the figures have them. */

/** The day that was asked for last: times come in the order of a log, and a calendar is slow. */
let last = { number: 0, day: "1970-01-01" };

/** The UTC day of a Unix time: `2026-11-22`. */
export function dayOf(timeSeconds: number): string {
  const number = Math.floor(timeSeconds / 86_400);
  if (number !== last.number) last = { number, day: new Date(timeSeconds * 1000).toISOString().slice(0, 10) };
  return last.day;
}

/** The day of what no epoch covers yet: after every date, and provisional. */
export const OPEN_DAY = "open";
