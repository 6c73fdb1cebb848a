/** Gradient-boosted decision trees for a yes or no, small and exact: the yardstick for the linear models. */
import { sigmoid } from "./functions.ts";
import type { Examples } from "./table.ts";

type Tree = { leaf: number } | { feature: number; edge: number; low: Tree; high: Tree };

const SETTINGS = { trees: 120, depth: 3, rate: 0.08, leastRows: 10, bins: 32, penalty: 1 };

/** Learns `examples`; gives the probability of 1 for a row. */
export function fitBoosting({ features, targets }: Examples): (row: number[]) => number {
  const edges = (features[0] ?? []).map((_, j) => candidateEdges(features.map((row) => row[j] ?? 0)));
  const scores = targets.map(() => 0);
  const trees: Tree[] = [];
  for (let t = 0; t < SETTINGS.trees; t++) {
    const chances = scores.map(sigmoid);
    const slopes = chances.map((p, i) => p - (targets[i] ?? 0));
    const bends = chances.map((p) => p * (1 - p));
    const tree = grow({ features, slopes, bends, edges }, [...targets.keys()], SETTINGS.depth);
    trees.push(tree);
    features.forEach((row, i) => {
      scores[i] = (scores[i] ?? 0) + answer(tree, row);
    });
  }
  return (row) => sigmoid(trees.reduce((sum, tree) => sum + answer(tree, row), 0));
}

function answer(tree: Tree, row: number[]): number {
  while (!("leaf" in tree)) tree = (row[tree.feature] ?? 0) <= tree.edge ? tree.low : tree.high;
  return tree.leaf;
}

/** Half-way points between neighbouring values, thinned to quantiles where there are many. */
function candidateEdges(values: number[]): number[] {
  const distinct = [...new Set(values)].sort((a, b) => a - b);
  const middles = distinct.slice(1).map((value, i) => (value + (distinct[i] ?? 0)) / 2);
  if (middles.length < SETTINGS.bins) return middles;
  return Array.from(
    { length: SETTINGS.bins - 1 },
    (_, b) => middles[Math.floor(((b + 1) * middles.length) / SETTINGS.bins)] ?? 0,
  );
}

type Ground = { features: number[][]; slopes: number[]; bends: number[]; edges: number[][] };

function grow(ground: Ground, rows: number[], depth: number): Tree {
  const { features, slopes, bends, edges } = ground;
  const { penalty, leastRows, rate } = SETTINGS;
  const slope = rows.reduce((sum, i) => sum + slopes[i]!, 0);
  const bend = rows.reduce((sum, i) => sum + bends[i]!, 0);
  const leaf = { leaf: (-rate * slope) / (bend + penalty) };
  if (depth === 0 || rows.length < 2 * leastRows) return leaf;
  let best = { gain: 1e-6, feature: -1, edge: 0 };
  edges.forEach((candidates, feature) => {
    for (const edge of candidates) {
      let [lowSlope, lowBend, count] = [0, 0, 0];
      for (const i of rows)
        if (features[i]![feature]! <= edge) {
          lowSlope += slopes[i]!;
          lowBend += bends[i]!;
          count++;
        }
      if (count < leastRows || rows.length - count < leastRows) continue;
      const gain =
        lowSlope ** 2 / (lowBend + penalty) +
        (slope - lowSlope) ** 2 / (bend - lowBend + penalty) -
        slope ** 2 / (bend + penalty);
      if (gain > best.gain) best = { gain, feature, edge };
    }
  });
  if (best.feature < 0) return leaf;
  const isLow = (i: number) => features[i]![best.feature]! <= best.edge;
  return {
    feature: best.feature,
    edge: best.edge,
    low: grow(ground, rows.filter(isLow), depth - 1),
    high: grow(
      ground,
      rows.filter((i) => !isLow(i)),
      depth - 1,
    ),
  };
}
