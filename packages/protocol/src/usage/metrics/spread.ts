/** How use is spread over models, nodes and publishers, and who is new to it. */
import { UNPUBLISHED } from "../counts.ts";
import type { Key } from "../state.ts";
import type { Making, Rows } from "./documents.ts";
import { rowOf } from "./documents.ts";
import { effective, effectiveByEntropy, fewestForHalf, gini, hhi, ratio, topShare } from "./formulas.ts";
import { LISTED } from "./metric.ts";
import {
  amountsByStratum,
  countRanks,
  cumulate,
  inferencesOf,
  mapQuad,
  put,
  putRatio,
  type Quad,
  rankOfShares,
} from "./rows.ts";
import { listedModels } from "./supply.ts";
import type { Shares, Tallies, Tally } from "./tallies.ts";

/** What one row has by the last stratum that receipts are in. */
const sharesOf = ({ excluded, sums }: Tally): Shares => [
  excluded,
  sums[0].inferences,
  sums[1].inferences,
  sums[2].inferences,
];

export function putNetwork(making: Making, rows: Rows, tallies: Tallies, days: readonly string[]): void {
  const whole = tallies.get("network")?.get("");
  putDensity(making, rows, tallies, days);
  if (whole === undefined) return;
  // A lane may have nothing but what came later of receipts before the period.
  const used = [...(tallies.get("model") ?? [])].filter(([, one]) => inferencesOf(one)[0] > 0);
  const models = used.filter(([revision]) => revision !== UNPUBLISHED);
  const nodes = [...(tallies.get("node")?.values() ?? [])].filter((one) => inferencesOf(one)[0] > 0).map(sharesOf);
  putActiveModels(making, rows, models);
  const row = rowOf(rows, "network", "");
  put(row, "active_nodes", countRanks(nodes.map(rankOfShares)));
  const byModel = amountsByStratum(models.map(([, one]) => sharesOf(one)));
  const putOf = (id: Parameters<typeof put>[1], formula: (amounts: number[]) => number | null) =>
    putRatio(row, id, mapQuad(byModel, formula));
  putOf("hhi_models", hhi);
  putOf("effective_models", effective);
  putOf("effective_models_by_entropy", effectiveByEntropy);
  putOf("top_model_share", (amounts) => topShare(amounts, 1));
  putOf("top10_model_share", (amounts) => topShare(amounts, 10));
  putOf("fewest_models_for_half", fewestForHalf);
  const populations = populationsOf(making, models);
  putRatio(
    row,
    "gini_models",
    mapQuad(byModel, (amounts, at) => gini(amounts, populations[at] ?? 0)),
  );
  putRatio(row, "effective_nodes", mapQuad(amountsByStratum(nodes), effective));
  putNew(making, rows, whole, days);
  putSeveralSellers(making, rows, days);
  const all = inferencesOf(whole);
  for (const [app, one] of tallies.get("app") ?? []) {
    const own = inferencesOf(one);
    if (own[0] === 0) continue;
    putRatio(
      rowOf(rows, "app", app),
      "app_share",
      mapQuad(own, (count, at) => ratio(count, all[at] ?? 0)),
    );
  }
}

/** Of each stratum how many models are listed or used in it: what another has of its own makes none more equal. */
function populationsOf(making: Making, models: readonly [string, Tally][]): Shares {
  const listed = new Set(listedModels(making).map(({ revision }) => revision));
  const unlisted = models.filter(([revision]) => !listed.has(revision)).map(([, one]) => sharesOf(one));
  const [gross, valid, organic, floor] = countRanks(unlisted.map(rankOfShares));
  return [gross + listed.size, valid + listed.size, organic + listed.size, floor + listed.size];
}

function putActiveModels({ fold, lanes }: Making, rows: Rows, models: readonly [string, Tally][]): void {
  const listing = new Map([...fold.models].map(([key, model]) => [lanes.hexOf(key), model]));
  const used = new Map<string, Map<string, Shares[]>>(LISTED.map((by) => [by, new Map()]));
  for (const [revision, one] of models) {
    const model = listing.get(revision);
    const keys = {
      network: "",
      publisher: lanes.hexOf(model?.publisher ?? ""),
      category: model?.manifest.category ?? "",
    };
    for (const by of LISTED) {
      const known = used.get(by)?.get(keys[by]) ?? [];
      known.push(sharesOf(one));
      used.get(by)?.set(keys[by], known);
    }
  }
  for (const by of LISTED)
    for (const [key, own] of used.get(by) ?? [])
      put(rowOf(rows, by, key), "active_models", countRanks(own.map(rankOfShares)));
}

function putDensity(making: Making, rows: Rows, tallies: Tallies, days: readonly string[]): void {
  const listed = listedModels(making);
  for (const by of LISTED) {
    const counts = new Map<string, number>();
    for (const { keys } of listed) counts.set(keys[by], (counts.get(keys[by]) ?? 0) + 1);
    for (const [key, count] of counts) {
      const one = tallies.get(by)?.get(key);
      const quad: Shares = one === undefined ? [0, 0, 0, 0] : inferencesOf(one);
      putRatio(
        rowOf(rows, by, key),
        "inference_density",
        mapQuad(quad, (own) => ratio(own, count * days.length)),
      );
    }
  }
}

/** Of the payers, those that a stratum had not seen before the period. */
function putNew(making: Making, rows: Rows, whole: Tally, days: readonly string[]): void {
  const row = rowOf(rows, "network", "");
  const { firsts } = making;
  const since = days[0] ?? "";
  const [payers, inferences, all]: Shares[] = [
    [0, 0, 0, 0],
    [0, 0, 0, 0],
    [0, 0, 0, 0],
  ];
  for (const [payer, shares] of whole.payers)
    cumulate(shares).forEach((count, at) => {
      if (count === 0 || payers === undefined || inferences === undefined || all === undefined) return;
      all[at] = (all[at] ?? 0) + count;
      if ((firsts[at]?.get(payer) ?? since) < since) return;
      payers[at] = (payers[at] ?? 0) + 1;
      inferences[at] = (inferences[at] ?? 0) + count;
    });
  if (payers === undefined || inferences === undefined || all === undefined) return;
  put(row, "new_payers", payers);
  put(row, "new_inferences", inferences);
  putRatio(
    row,
    "returning_share",
    mapQuad(all, (count, at) => ratio(count - (inferences[at] ?? 0), count)),
  );
}

/** What is bought by those who buy of several sellers that nothing ties to one another. */
function putSeveralSellers({ fold, lanes, portions }: Making, rows: Rows, days: readonly string[]): void {
  type Buyer = { shares: Shares; sellers: [Set<Key>, Set<Key>, Set<Key>, Set<Key>] };
  const buyers = new Map<Key, Buyer>();
  for (const { lane, rank, excluded, sums } of portions(days)) {
    const payer = lanes.payerOf(lane);
    if (payer === undefined) continue;
    const seller = lanes.clusterOf(fold.models.get(lane.model)?.publisher ?? "");
    const buyer = buyers.get(payer) ?? { shares: [0, 0, 0, 0], sellers: [new Set(), new Set(), new Set(), new Set()] };
    buyers.set(payer, buyer);
    buyer.shares[0] += excluded;
    buyer.shares[rank] += sums.inferences;
    if (excluded + sums.inferences > 0) buyer.sellers[0].add(seller);
    if (sums.inferences > 0) for (let at = 1; at <= rank; at++) buyer.sellers[at]?.add(seller);
  }
  const several: Shares = [0, 0, 0, 0];
  const all: Shares = [0, 0, 0, 0];
  for (const { shares, sellers } of buyers.values())
    cumulate(shares).forEach((count, at) => {
      all[at] = (all[at] ?? 0) + count;
      if ((sellers[at]?.size ?? 0) > 1) several[at] = (several[at] ?? 0) + count;
    });
  const quad: Quad = mapQuad(several, (count, at) => ratio(count, all[at] ?? 0));
  putRatio(rowOf(rows, "network", ""), "multi_model_share", quad);
}
