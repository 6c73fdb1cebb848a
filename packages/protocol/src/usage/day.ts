/** Days, as the figures have them. */

/** The UTC day of a Unix time: `2026-11-22`. */
export function dayOf(timeSeconds: number): string {
  return new Date(timeSeconds * 1000).toISOString().slice(0, 10);
}
