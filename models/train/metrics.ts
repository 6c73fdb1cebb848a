/** How good predictions are. */

/** The chance that a random 1 is scored above a random 0; ties count half. */
export function rocAuc(scores: ArrayLike<number>, targets: number[]): number {
  const order = [...targets.keys()].sort((a, b) => (scores[a] ?? 0) - (scores[b] ?? 0));
  let rankSum = 0;
  for (let start = 0; start < order.length; ) {
    let end = start;
    while (end < order.length && scores[order[end]!] === scores[order[start]!]) end++;
    for (let k = start; k < end; k++) if (targets[order[k]!] === 1) rankSum += (start + end + 1) / 2;
    start = end;
  }
  const ones = targets.filter((target) => target === 1).length;
  return (rankSum - (ones * (ones + 1)) / 2) / (ones * (targets.length - ones));
}

/** The share of rows on the right side of one half. */
export function accuracy(chances: ArrayLike<number>, targets: number[]): number {
  return mean(targets.map((target, i) => ((chances[i] ?? 0) > 0.5 === (target === 1) ? 1 : 0)));
}

/** The mean squared error of probabilities: 0 is perfect, and always saying the base rate is its variance. */
export function brier(chances: ArrayLike<number>, targets: number[]): number {
  return mean(targets.map((target, i) => ((chances[i] ?? 0) - target) ** 2));
}

/** The mean absolute error. */
export function meanAbsoluteError(predictions: ArrayLike<number>, targets: number[]): number {
  return mean(targets.map((target, i) => Math.abs((predictions[i] ?? 0) - target)));
}

/** The root of the mean squared error, which large misses weigh on more. */
export function rootMeanSquareError(predictions: ArrayLike<number>, targets: number[]): number {
  return Math.sqrt(mean(targets.map((target, i) => ((predictions[i] ?? 0) - target) ** 2)));
}

function mean(values: number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
