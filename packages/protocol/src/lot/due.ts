/** How many of an epoch's receipts of one model are drawn (docs/spec/lot.md, "How many"). */
import { keepsBound } from "./bound.ts";
import { listShapes, type Shapes } from "./shapes.ts";

/**
 * The fewest of `population`, at least one, that keep the bound together with the strata of the trailing window; all, where
 * even they do not.
 */
export function dueOf(window: Shapes, population: number): number {
  const strata = listShapes(window);
  const keeps = (checked: number) => keepsBound([...strata, { population, checked, count: 1 }]);
  let [low, high] = [Math.min(1, population), population];
  if (keeps(low)) return low; // As in most epochs of a busy model.
  if (!keeps(high)) return high;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (keeps(middle)) high = middle;
    else low = middle;
  }
  return high;
}
