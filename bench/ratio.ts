/** Two things measured in turn, so that a machine whose speed drifts is fair to both. */

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

/** What a bench found, what it must be, and whether it is. */
export type Row = {
  name: string;
  value: number;
  unit: string;
  bound?: { atLeast: number } | { atMost: number };
  baseline?: string;
};

export function holds({ value, bound }: Row): boolean {
  if (bound === undefined) return true;
  return "atLeast" in bound ? value >= bound.atLeast : value <= bound.atMost;
}
