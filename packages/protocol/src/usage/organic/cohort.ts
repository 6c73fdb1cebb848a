/** Payers who came to a model together and ask of it alike (docs/spec/usage.md, "Organic", `cohort`). */
import type { FoldState, Key } from "../state.ts";
import type { WashRules } from "../wash-rules.ts";
import type { Trade, Window } from "./trades.ts";

const DAY_SECONDS = 86_400;

/** One payer cluster at one model: when it first called it, and what it asked for in the window. */
type Starter = { payer: Key; startSeconds: number; calls: number; units: bigint };

/**
 * Labels what the members of a cohort bought of the model that they came to together; of others of that model nothing. Gives how
 * many cohorts there are of each model.
 */
export function markCohorts(
  fold: FoldState,
  trades: readonly Trade[],
  diversified: ReadonlySet<Key>,
  window: Window,
  { cohort }: WashRules,
): Map<Key, number> {
  const endSeconds = Math.min(window.untilSeconds, fold.timeSeconds ?? 0);
  const judged = new Map<Key, Trade[]>();
  for (const trade of trades) {
    // A scoped tag begins each day, by which its payer's privacy would look like a start.
    if (trade.label !== undefined || trade.valid === 0 || trade.lane.tagMode !== "stable") continue;
    listOf(judged, trade.lane.model).push(trade);
  }
  const counts = new Map<Key, number>();
  for (const [model, ofModel] of judged) {
    if (ofModel.length < cohort.fewest) continue;
    const cohorts = cohortsOf(startersOf(fold, ofModel), endSeconds, cohort);
    const members = new Set(cohorts.flatMap((one) => [...one]));
    counts.set(model, cohorts.length);
    // A payer of many models is one of those who came, or who buys elsewhere could make others a cohort by it.
    for (const trade of ofModel) if (members.has(trade.payer) && !diversified.has(trade.payer)) trade.label = "cohort";
  }
  return counts;
}

function listOf(lists: Map<Key, Trade[]>, name: Key): Trade[] {
  let list = lists.get(name);
  if (list === undefined) {
    list = [];
    lists.set(name, list);
  }
  return list;
}

/** The payer clusters of one model, in order of their first calls of it. */
function startersOf({ demand, timeSeconds = 0 }: FoldState, trades: readonly Trade[]): Starter[] {
  const starters = new Map<Key, Starter>();
  for (const { payer, lane, valid, units } of trades) {
    const startSeconds = demand.firstCalls.get(lane.payer + lane.model) ?? timeSeconds;
    const starter = starters.get(payer);
    if (starter === undefined) starters.set(payer, { payer, startSeconds, calls: valid, units });
    else {
      starter.startSeconds = Math.min(starter.startSeconds, startSeconds);
      starter.calls += valid;
      starter.units += units;
    }
  }
  return [...starters.values()].sort((a, b) => a.startSeconds - b.startSeconds);
}

/**
 * Those who began within the rules' minutes of one another, far more than a model that many come to has by chance, and who
 * nearly all ask alike. Looked at are spans that begin with a first call, a sixth of their length or more apart; those of one
 * after another that have a member in common are one cohort.
 */
function cohortsOf(starters: readonly Starter[], endSeconds: number, cohort: WashRules["cohort"]): Set<Key>[] {
  const spanSeconds = cohort.startMinutes * 60;
  const sinceSeconds = starters[0]?.startSeconds ?? 0;
  const elapsedSeconds = Math.max(DAY_SECONDS, endSeconds - sinceSeconds);
  const cohorts: Set<Key>[] = [];
  let [end, nextSeconds] = [0, sinceSeconds];
  for (const [begin, { startSeconds }] of starters.entries()) {
    if (startSeconds < nextSeconds) continue;
    nextSeconds = startSeconds + spanSeconds / 6;
    while ((starters[end]?.startSeconds ?? Number.POSITIVE_INFINITY) <= startSeconds + spanSeconds) end++;
    const count = end - begin;
    if (count < cohort.fewest || count * elapsedSeconds < cohort.timesEven * starters.length * spanSeconds) continue;
    const alike = alikeOf(starters.slice(begin, end), cohort).map(({ payer }) => payer);
    if (alike.length === 0) continue;
    const last = cohorts.at(-1);
    if (last === undefined || !alike.some((payer) => last.has(payer))) cohorts.push(new Set(alike));
    else for (const payer of alike) last.add(payer);
  }
  return cohorts;
}

/** Those near the middle one, in calls and in units a call, where they are nearly all and their calls vary little. */
function alikeOf(together: readonly Starter[], cohort: WashRules["cohort"]): readonly Starter[] {
  const isNear = [
    ({ calls }: Starter) => BigInt(calls),
    ({ calls, units }: Starter) => (1_000n * units) / BigInt(calls),
  ].map((measure) => {
    const middle = together.map(measure).sort((a, b) => (a < b ? -1 : a > b ? 1 : 0))[(together.length - 1) >> 1] ?? 0n;
    return (one: Starter) => 2n * measure(one) >= middle && measure(one) <= 2n * middle;
  });
  const alike = together.filter((one) => isNear.every((isNearBy) => isNearBy(one)));
  if (alike.length < cohort.fewest || alike.length * 1_000 < cohort.alikePerMille * together.length) return [];
  // The coefficient of variation, squared: the mean of the squares over the square of the mean, less 1.
  const sum = alike.reduce((all, { calls }) => all + BigInt(calls), 0n);
  const squares = alike.reduce((all, { calls }) => all + BigInt(calls) ** 2n, 0n);
  const spread = BigInt(alike.length) * squares - sum ** 2n;
  return spread * 1_000_000n <= BigInt(cohort.variationPerMille) ** 2n * sum ** 2n ? alike : [];
}
