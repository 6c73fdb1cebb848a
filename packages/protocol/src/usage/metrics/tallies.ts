/** Rows in the making: for each dimension and key what its lanes come to, by the last stratum that receipts are in. */
import { APPS_NAMED } from "../../limits.ts";
import { hexOf, order, UNPUBLISHED } from "../counts.ts";
import type { Label } from "../judgement.ts";
import { type Lane, NO_MODEL } from "../lanes.ts";
import type { Exclusion, FoldState, Key } from "../state.ts";
import { type Dimension, OTHER } from "./metric.ts";
import {
  addLater,
  addSums,
  createSums,
  isTold,
  type Portion,
  type Rank,
  raise,
  rankOf,
  type Sums,
} from "./portions.ts";
import type { Series } from "./series.ts";

/** Of each cluster, its receipts by the last stratum they are in. */
export type Shares = [number, number, number, number];

export type Tally = {
  excluded: number;
  failed: number;
  /** By rank, from 1: the valid that are not organic, the organic that are not of the floor, the floor. */
  sums: [Sums, Sums, Sums];
  payers: Map<Key, Shares>;
  /** The highest rank of a receipt of each. */
  tags: Map<Key, Rank>;
};

/** What each rank of a row begins with: most rows have but one. */
const NOTHING: Sums = createSums();

/** By dimension, then key. */
export type Tallies = Map<Dimension, Map<string, Tally>>;

/** Columns that are there by label or by reason, and not by lane. */
const COLUMN_OF_LABEL: Partial<Record<Label, string>> = { declared_owner: "declared_owner", too_few: "too_few" };
const COLUMN_OF_EXCLUSION: Partial<Record<Exclusion, string>> = { test_traffic: "test", probe_traffic: "probe" };

/** What a document's tallies know of lanes: under which keys each is, and whose it is. */
export class Lanes {
  readonly #fold: FoldState;
  readonly #clusterOf: (member: Key) => Key;
  readonly #apps: ReadonlySet<string>;
  readonly #hex = new Map<Key, string>();
  readonly #keys = new Map<Lane, [Dimension, string][]>();
  readonly #clusters = new Map<Key, Key>();

  constructor(fold: FoldState, clusterOf: (member: Key) => Key, apps: ReadonlySet<string>) {
    this.#fold = fold;
    this.#clusterOf = clusterOf;
    this.#apps = apps;
  }

  /** The payer's cluster; undefined where nobody can tell one payer from another. */
  payerOf(lane: Lane): Key | undefined {
    return isTold(lane) ? this.clusterOf(lane.payer) : undefined;
  }

  clusterOf(member: Key): Key {
    let cluster = this.#clusters.get(member);
    if (cluster === undefined) {
      cluster = this.#clusterOf(member);
      this.#clusters.set(member, cluster);
    }
    return cluster;
  }

  keysOf(lane: Lane): readonly [Dimension, string][] {
    let keys = this.#keys.get(lane);
    if (keys === undefined) {
      const published = this.#fold.models.get(lane.model);
      keys = [
        ["network", ""],
        ["model", this.revisionOf(lane.model)],
        ["publisher", published === undefined ? UNPUBLISHED : this.hexOf(published.publisher)],
        ["node", this.hexOf(lane.node)],
        ["category", published?.manifest.category ?? UNPUBLISHED],
        ["app", this.#appOf(lane)],
        ["column", `custody_${lane.custody}`],
        ["column", lane.tagMode],
        ["column", lane.funding],
      ];
      this.#keys.set(lane, keys);
    }
    return keys;
  }

  #appOf({ app = "" }: Lane): string {
    return app === "" || this.#apps.has(app) ? app : OTHER;
  }

  revisionOf(model: Key): string {
    return model === NO_MODEL ? UNPUBLISHED : this.hexOf(model);
  }

  hexOf(key: Key): string {
    let text = this.#hex.get(key);
    if (text === undefined) {
      text = hexOf(key);
      this.#hex.set(key, text);
    }
    return text;
  }
}

/** The apps with rows of their own: those with most organic receipts on the days, then valid, then any; of equals, the first by name. */
export function namedApps({ demand }: FoldState, series: Series, days: readonly string[]): ReadonlySet<string> {
  const counts = new Map<string, Shares>();
  for (const day of days)
    for (const [lane, facts] of demand.facts.get(day) ?? []) {
      if (lane.app === undefined) continue;
      const own: Shares = counts.get(lane.app) ?? [0, 0, 0, 0];
      counts.set(lane.app, own);
      const rank = rankOf(series, day, lane);
      for (const { gross, valid } of facts) {
        own[0] += gross;
        own[1] += valid;
        if (rank > 1) own[2] += valid;
      }
    }
  counts.delete(OTHER); // Whoever takes that name is in that row.
  const ranked = [...counts]
    .filter(([, [gross]]) => gross > 0)
    .sort(([a, one], [b, two]) => two[2] - one[2] || two[1] - one[1] || two[0] - one[0] || order(a, b));
  return new Set(ranked.slice(0, APPS_NAMED).map(([app]) => app));
}

/** What portions add up to, under every key of every dimension. `withPayers` where rows count payers. */
export function tally(lanes: Lanes, portions: Iterable<Portion>, withPayers: boolean): Tallies {
  const tallies: Tallies = new Map();
  const ofLane = new Map<Lane, Tally[]>();
  for (const portion of portions) {
    const { lane, exclusions, label } = portion;
    let own = ofLane.get(lane);
    if (own === undefined) {
      own = lanes.keysOf(lane).map(([by, key]) => tallyOf(tallies, by, key));
      ofLane.set(lane, own);
    }
    const payer = withPayers ? lanes.payerOf(lane) : undefined;
    for (const one of own) addPortion(one, portion, payer);
    for (const [reason, count] of exclusions) {
      addExcluded(tallyOf(tallies, "reason", reason), portion, payer, count);
      const column = COLUMN_OF_EXCLUSION[reason];
      if (column !== undefined) addExcluded(tallyOf(tallies, "column", column), portion, payer, count);
    }
    if (label === undefined) continue;
    addValid(tallyOf(tallies, "reason", label), portion, payer);
    const column = COLUMN_OF_LABEL[label];
    if (column !== undefined) addValid(tallyOf(tallies, "column", column), portion, payer);
  }
  return tallies;
}

export function tallyOf(tallies: Tallies, by: Dimension, key: string): Tally {
  const rows = tallies.get(by) ?? new Map<string, Tally>();
  tallies.set(by, rows);
  let row = rows.get(key);
  if (row === undefined) {
    row = { excluded: 0, failed: 0, sums: [NOTHING, NOTHING, NOTHING], payers: new Map(), tags: new Map() };
    rows.set(key, row);
  }
  return row;
}

function addPortion(into: Tally, portion: Portion, payer: Key | undefined): void {
  into.failed += portion.exclusions.get("not_ok") ?? 0;
  if (portion.excluded > 0) addExcluded(into, portion, payer, portion.excluded);
  addValid(into, portion, payer);
}

function addExcluded(into: Tally, { lane }: Portion, payer: Key | undefined, count: number): void {
  into.excluded += count;
  if (payer !== undefined) addPayer(into, lane, payer, 0, count);
}

function addValid(into: Tally, { lane, rank, sums }: Portion, payer: Key | undefined): void {
  const at = rank === 3 ? 2 : rank === 2 ? 1 : 0;
  if (into.sums[at] === NOTHING) into.sums[at] = createSums();
  addSums(into.sums[at], sums, sums.inferences);
  addLater(into.sums[at], sums);
  if (payer !== undefined && sums.inferences > 0) addPayer(into, lane, payer, rank, sums.inferences);
}

function addPayer(into: Tally, lane: Lane, payer: Key, rank: Rank, count: number): void {
  let shares = into.payers.get(payer);
  if (shares === undefined) {
    shares = [0, 0, 0, 0];
    into.payers.set(payer, shares);
  }
  shares[rank] += count;
  raise(into.tags, lane.payer, rank);
}
