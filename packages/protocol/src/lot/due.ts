/** How many of an epoch's receipts of one model are drawn (docs/spec/lot.md, "How many"). */
import { keepsBound } from "./bound.ts";
import { addShape, type Shapes } from "./shapes.ts";

/**
 * The fewest of `population`, at least one, that keep the bound together with the strata of the trailing window; all, where
 * even they do not.
 */
export function dueOf(window: Shapes, population: number): number {
  const keeps = (checked: number) => {
    const shapes = new Map(window);
    addShape(shapes, { population, checked }, 1);
    return keepsBound(shapes);
  };
  let [low, high] = [Math.min(1, population), population];
  if (!keeps(high)) return high;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (keeps(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}
