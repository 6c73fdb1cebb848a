/** Figures, ids and times as a reader sees them: the same on every machine. */

const COUNT = new Intl.NumberFormat("en-US");

/** `12,345`. */
export function countOf(count: number): string {
  return COUNT.format(count);
}

/** `1 receipt`, `2 receipts`, `1,000 receipts`. */
export function plural(count: number, one: string, many = `${one}s`): string {
  return `${countOf(count)} ${count === 1 ? one : many}`;
}

/** The two ends of an id: for the eye. Wherever it stands, the whole id is a copy or a link away. */
export function shortId(id: string): string {
  return id.length <= 16 ? id : `${id.slice(0, 8)}…${id.slice(-6)}`;
}

/** `2026-11-22 14:03 UTC`. */
export function timeOf(timeSeconds: number): string {
  return `${isoTime(timeSeconds).slice(0, 16).replace("T", " ")} UTC`;
}

/** `2026-11-22T14:03:05.000Z`. */
export function isoTime(timeSeconds: number): string {
  return new Date(timeSeconds * 1000).toISOString();
}

/** The `count` days that end with `today`, in order: `2026-11-21`, `2026-11-22`. */
export function daysUntil(today: string, count: number): string[] {
  const end = Date.parse(today);
  return Array.from({ length: count }, (_, i) =>
    new Date(end - (count - 1 - i) * 86_400_000).toISOString().slice(0, 10),
  );
}
