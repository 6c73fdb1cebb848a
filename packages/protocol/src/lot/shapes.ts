/** Strata by their shape: those of one shape are alike to the estimator, so that a day of epochs is a few numbers. */

/** What of one epoch and model was there to be drawn, and how much of it was checked. */
export type Shape = { population: number; checked: number };

/** Strata of one shape. */
export type Strata = Shape & { count: number };

/** How many strata there are of each shape. */
export type Shapes = Map<string, number>;

/** Counts `count` strata more of that shape; a negative count takes some away. */
export function addShape(shapes: Shapes, { population, checked }: Shape, count: number): void {
  const name = `${population} ${checked}`;
  const left = (shapes.get(name) ?? 0) + count;
  if (left === 0) shapes.delete(name);
  else shapes.set(name, left);
}

/** The shapes in one order, whatever came first. */
export function listShapes(shapes: ReadonlyMap<string, number>): Strata[] {
  const rows = [...shapes].map(([name, count]) => {
    const [population = 0, checked = 0] = name.split(" ").map(Number);
    return { population, checked, count };
  });
  return rows.sort((a, b) => a.population - b.population || a.checked - b.checked);
}

export function joinShapes(all: Iterable<Shapes>): Shapes {
  const joined: Shapes = new Map();
  for (const shapes of all) for (const [name, count] of shapes) joined.set(name, (joined.get(name) ?? 0) + count);
  return joined;
}

/** How many receipts the strata hold. */
export function populationOf(strata: readonly Strata[]): number {
  return strata.reduce((sum, { population, count }) => sum + population * count, 0);
}
