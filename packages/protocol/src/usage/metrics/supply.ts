/** What is listed against what is used: idle models, how long the first inference takes, what a rank costs. */
import { STRATA } from "../judgement.ts";
import { type Key, timeOf } from "../state.ts";
import { DAY_SECONDS } from "./days.ts";
import { type Making, type Rows, rowOf } from "./documents.ts";
import { medianHours, ratio, reachedBy, type Watched } from "./formulas.ts";
import { LISTED, PARTS } from "./metric.ts";
import { type Rank, raise, rankOf } from "./portions.ts";
import { amountsOf, countRanks, cumulate, mapQuad, put, putRatio, type Quad, type Row, rankOfShares } from "./rows.ts";
import { type Shares, type Tallies, tally } from "./tallies.ts";

export type ListedModel = {
  model: Key;
  revision: string;
  /** Under which key of each dimension it is. */
  keys: Record<(typeof LISTED)[number], string>;
  publishedSeconds: number;
};

/** The models that are published by the end of the day, and not yanked as far as the fold goes. */
export function listedModels({ fold, lanes, endSeconds }: Making): ListedModel[] {
  return [...fold.models].flatMap(([model, { index, yanked, publisher, manifest }]) => {
    const publishedSeconds = timeOf(fold, index);
    if (yanked || publishedSeconds === undefined || publishedSeconds >= endSeconds) return [];
    const keys = { network: "", publisher: lanes.hexOf(publisher), category: manifest.category };
    return [{ model, revision: lanes.hexOf(model), keys, publishedSeconds }];
  });
}

export function supplyRows(making: Making, rows: Rows, { week, month }: Record<"week" | "month", string[]>): void {
  const { lanes, portions } = making;
  const ofWeek = tally(lanes, portions(week), true);
  const ofMonth = tally(lanes, portions(month), true);
  putTrailing(rows, ofWeek, "payers_7d");
  putTrailing(rows, ofMonth, "payers_30d");
  putStickiness(making, rows, ofMonth, month);
  const listed = listedModels(making);
  for (const by of LISTED) {
    const groups = new Map<string, ListedModel[]>();
    for (const model of listed) {
      const own = groups.get(model.keys[by]) ?? [];
      own.push(model);
      groups.set(model.keys[by], own);
    }
    for (const [key, own] of groups) putListing(making, rowOf(rows, by, key), own, ofMonth);
  }
  putCostToFake(rows, listed, ofMonth);
}

function putTrailing(rows: Rows, tallies: Tallies, id: "payers_7d" | "payers_30d"): void {
  for (const by of PARTS)
    for (const [key, { payers }] of tallies.get(by) ?? [])
      put(rowOf(rows, by, key), id, countRanks([...payers.values()].map(rankOfShares)));
}

/** The mean of the daily payers by the payers of all thirty days. */
function putStickiness(making: Making, rows: Rows, ofMonth: Tallies, days: readonly string[]): void {
  const daily = new Map<Row, Shares>();
  for (const day of days)
    for (const [row, ranks] of payersOn(making, rows, day)) {
      const sums: Shares = daily.get(row) ?? [0, 0, 0, 0];
      daily.set(row, sums);
      countRanks(ranks.values()).forEach((count, at) => {
        sums[at] = (sums[at] ?? 0) + count;
      });
    }
  for (const by of ["network", "model"] as const)
    for (const [key, { payers }] of ofMonth.get(by) ?? []) {
      const row = rowOf(rows, by, key);
      const all = countRanks([...payers.values()].map(rankOfShares));
      const quad = mapQuad(daily.get(row) ?? [0, 0, 0, 0], (sum, at) => ratio(sum, days.length * (all[at] ?? 0)));
      putRatio(row, "stickiness", quad);
    }
}

/** The payers of one day and the last stratum that each is in, of the network and of each model. */
function payersOn({ fold, series, lanes }: Making, rows: Rows, day: string): Map<Row, Map<Key, Rank>> {
  const payers = new Map<Row, Map<Key, Rank>>();
  const network = rowOf(rows, "network", "");
  for (const [lane, facts] of fold.demand.facts.get(day) ?? []) {
    const payer = lanes.payerOf(lane);
    if (payer === undefined || !facts.some(({ gross }) => gross > 0)) continue;
    const rank = facts.some(({ valid }) => valid > 0) ? rankOf(series, day, lane) : 0;
    for (const row of [network, rowOf(rows, "model", lanes.revisionOf(lane.model))]) {
      const own = payers.get(row) ?? new Map<Key, Rank>();
      payers.set(row, own);
      raise(own, payer, rank);
    }
  }
  return payers;
}

function putListing(making: Making, row: Row, listed: readonly ListedModel[], ofMonth: Tallies): void {
  const { endSeconds } = making;
  const used = ofMonth.get("model");
  const countWhere = (models: readonly ListedModel[], is: (payers: number, inferences: number) => boolean): Shares =>
    countsOf(models, (model) => {
      const one = used?.get(model.revision);
      const inferences = cumulate([one?.excluded ?? 0, ...sumsOf(one?.sums)]);
      const payers = countRanks([...(one?.payers.values() ?? [])].map(rankOfShares));
      return mapQuad(payers, (count, at) => (is(count, inferences[at] ?? 0) ? 1 : 0));
    });
  const count = listed.length;
  put(row, "listed_models", [count, count, count, count]);
  put(
    row,
    "idle_models",
    countWhere(listed, (_, inferences) => inferences === 0),
  );
  const old = listed.filter(({ publishedSeconds }) => publishedSeconds <= endSeconds - 30 * DAY_SECONDS);
  const shareOf = (counts: Shares) => mapQuad(counts, (own) => ratio(own, old.length));
  putRatio(row, "idle_share", shareOf(countWhere(old, (_, inferences) => inferences === 0)));
  for (const fewest of [1, 3, 10] as const)
    putRatio(row, `active_model_ratio_${fewest}`, shareOf(countWhere(old, (payers) => payers >= fewest)));
  putFirsts(making, row, listed);
}

const sumsOf = (sums: { inferences: number }[] = []): [number, number, number] => [
  sums[0]?.inferences ?? 0,
  sums[1]?.inferences ?? 0,
  sums[2]?.inferences ?? 0,
];

function countsOf(models: readonly ListedModel[], quadOf: (model: ListedModel) => Quad): Shares {
  const counts: Shares = [0, 0, 0, 0];
  for (const model of models)
    quadOf(model).forEach((value, at) => {
      if (value === 1) counts[at] = (counts[at] ?? 0) + 1;
    });
  return counts;
}

/** How long models waited for their first inference, by stratum. */
function putFirsts({ series, endSeconds }: Making, row: Row, listed: readonly ListedModel[]): void {
  const endHour = endSeconds / 3_600;
  const watched = STRATA.map((stratum) =>
    listed.map(({ model, publishedSeconds }): Watched => {
      const published = Math.floor(publishedSeconds / 3_600);
      const first = series.firstHours[stratum].get(model);
      const came = first !== undefined && first < endHour;
      return { came, hours: Math.max(0, (came ? first : endHour) - published) };
    }),
  );
  const quadOf = (formula: (all: Watched[]) => number | null): Quad => {
    const [gross = null, valid = null, organic = null, floor = null] = watched.map(formula);
    return [gross, valid, organic, floor];
  };
  putRatio(row, "hours_to_first_inference", quadOf(medianHours));
  for (const days of [1, 7, 30] as const)
    putRatio(
      row,
      `reached_${days}d`,
      quadOf((all) => reachedBy(all, days * 24)),
    );
}

/** A tenth of what a model lacks to be above others by what it earned: what nobody gets back who does not hold the gateway. */
function putCostToFake(rows: Rows, listed: readonly ListedModel[], ofMonth: Tallies): void {
  const used = ofMonth.get("model");
  const revenues = listed.map(({ revision }) => {
    const one = used?.get(revision);
    return { revision, amounts: one === undefined ? [0n, 0n, 0n] : amountsOf(one, ({ priceAtomic }) => priceAtomic) };
  });
  const ranked = [0, 1, 2].map((at) => descending(revenues.map(({ amounts }) => amounts[at] ?? 0n)));
  const above = ranked.map(nextAbove);
  const costOf = (own: bigint, above: bigint | undefined) =>
    above === undefined ? null : String((above - own + 1n + 9n) / 10n);
  for (const { revision, amounts } of revenues) {
    const [next, tenth] = [nullQuad(), nullQuad()];
    amounts.forEach((own, at) => {
      next[at + 1] = costOf(own, above[at]?.get(own));
      const last = ranked[at]?.[9];
      tenth[at + 1] = costOf(own, last !== undefined && last > own ? last : undefined);
    });
    putRatio(rowOf(rows, "model", revision), "cost_to_fake_rank", next);
    putRatio(rowOf(rows, "model", revision), "cost_to_fake_top10", tenth);
  }
}

const descending = (amounts: bigint[]) => amounts.sort((a, b) => (a > b ? -1 : a < b ? 1 : 0));

/** Of each amount the least that is more; of the most there is none. */
function nextAbove(descending: readonly bigint[]): Map<bigint, bigint> {
  const above = new Map<bigint, bigint>();
  descending.forEach((amount, i) => {
    const before = descending[i - 1];
    if (before !== undefined && before > amount) above.set(amount, before);
  });
  return above;
}

const nullQuad = (): Quad => [null, null, null, null];
