/** Days by number, and the periods that they are in: ISO weeks, calendar months. */

const DAY_MILLISECONDS = 86_400_000;
export const DAY_SECONDS = 86_400;

/** The days since 1970-01-01. */
export function numberOfDay(day: string): number {
  return Date.parse(day) / DAY_MILLISECONDS;
}

export function dayOfNumber(number: number): string {
  return new Date(number * DAY_MILLISECONDS).toISOString().slice(0, 10);
}

/** The Monday of its week. */
export function weekOf(day: string): string {
  const number = numberOfDay(day);
  return dayOfNumber(number - ((number + 3) % 7)); // 1970-01-01 was a Thursday.
}

/** The first of its month. */
export function monthOf(day: string): string {
  return `${day.slice(0, 7)}-01`;
}

/** The days from the one to the other, both among them. */
export function daysFrom(first: string, last: string): string[] {
  const from = numberOfDay(first);
  return Array.from({ length: Math.max(0, numberOfDay(last) - from + 1) }, (_, i) => dayOfNumber(from + i));
}

/** So many days, up to and with `last`. */
export function trailing(last: string, count: number): string[] {
  return daysFrom(dayOfNumber(numberOfDay(last) - count + 1), last);
}
