/**
 * Closed days as they stood: what of the fold the rows of a day's receipts are made of, taken as the day closes, so that nothing
 * is replayed for them (rows.ts, docs/operating/analytics.md).
 */
import type { Entry } from "../entry/entry.ts";
import { dayOf } from "./day.ts";
import { applyEntry } from "./fold.ts";
import type { DemandStratum, Label } from "./judgement.ts";
import type { Lane } from "./lanes.ts";
import type { DayDocument } from "./metrics/documents.ts";
import type { Series } from "./metrics/series.ts";
import { clustersOf } from "./organic/clusters.ts";
import type { Grade } from "./proof-state.ts";
import { reliedOn } from "./relied.ts";
import { type Asked, createFold, type Event, type Exclusion, type FoldState, type Key } from "./state.ts";
import type { WashRules } from "./wash-rules.ts";

type Inference = Event & { kind: "inference" };

/** A fold, with what it takes to make rows of its days as they close. */
export type RowFold = {
  fold: FoldState;
  /** The receipts of days that are not closed, in order, and the time that epochs gave them. */
  open: Map<string, { receipt: Inference; timeSeconds: number }[]>;
  /** Days that have closed and whose rows nobody has made yet, in the order in which they closed. */
  closed: Map<string, ClosedRows>;
};

/** Closed days whose rows may wait to be made, and receipts in them; beyond that those that closed first are left to a replay. */
const WAITING_DAYS = 62;
const WAITING_RECEIPTS = 4_194_304;

/** Sets of rules that a fold may keep. */
const MOST_SETS = 8;

/** What receipts of a day that stood alike as it was closed share. `reliedBy` has a bit for each set of rules. */
type Shared = Pick<Asked, "status" | "tier"> & {
  lane: Lane;
  exclusion: Exclusion | undefined;
  reached: Grade | undefined;
  acknowledged: boolean;
  reliedBy: number;
};

/** What a set of rules made of those: why they are not organic, or the highest stratum that they count in. */
type JudgedAs = Label | Exclude<DemandStratum, "valid">;

/** What one set of rules made of a day: its document, and how it judged each of `shared`. */
export type JudgedRows = { rules: WashRules; document: DayDocument; verdicts: JudgedAs[]; relied: boolean[] };

/** A day as it stood when it was closed: all that its rows are made of. Plain data, which nothing changes. */
export type ClosedRows = {
  day: string;
  /** How many entries had been folded. */
  size: number;
  /** The checkpoint in the epoch that closed the day, which covers every receipt of it: a signed note. */
  checkpoint: Uint8Array;
  models: Map<Key, { model: string; version: string; category: string; publisher: Key }>;
  shared: Shared[];
  /** The receipts, in order, in columns: these cross to another process. */
  receipts: {
    id: Key[];
    decision: (Key | undefined)[];
    index: Float64Array;
    timeSeconds: Float64Array;
    /** Where in `shared` is what it shares. */
    shared: Uint32Array;
    units: Float64Array;
    /** Not a number where there are none. */
    outputUnits: Float64Array;
    priceAtomic: BigUint64Array;
    subsidisedAtomic: BigUint64Array;
    refundedAtomic: BigUint64Array;
  };
  /** By each set of rules that the fold keeps. */
  judged: JudgedRows[];
};

export function createRowFold(fold: FoldState = createFold()): RowFold {
  if (fold.series.length > MOST_SETS) throw new RangeError(`rows are made by ${MOST_SETS} sets of rules at most`);
  return { fold, open: new Map(), closed: new Map() };
}

/** Takes the next entry into the fold, and the days that it closes into `closed`. */
export function applyToRows(state: RowFold, entry: Entry): void {
  const { fold } = state;
  if (entry.kind !== "epoch") {
    applyEntry(fold, entry);
    return;
  }
  const undated = fold.untimed.slice();
  const [epochs, days] = [fold.times.seconds.length, fold.closedDays.size];
  applyEntry(fold, entry);
  const epoch = fold.epochs.at(-1);
  if (epoch === undefined || fold.times.seconds.length === epochs) return;
  keepOpen(
    state,
    epoch.timeSeconds,
    undated.filter(({ index }) => index < epoch.size),
  );
  for (const day of [...fold.closedDays.keys()].slice(days)) keepClosed(state, day, entry.says.checkpoint.slice());
}

/** Receipts that are dated to a day that was closed before are in no rows, as they are in no figure of a closed day. */
function keepOpen({ fold, open }: RowFold, timeSeconds: number, dated: readonly Event[]): void {
  const day = dayOf(timeSeconds);
  const receipts = dated.filter((event) => event.kind === "inference");
  if (receipts.length === 0 || fold.closedDays.has(day)) return;
  const kept = open.get(day) ?? [];
  open.set(day, kept);
  for (const receipt of receipts) kept.push({ receipt, timeSeconds });
}

function keepClosed({ fold, open, closed }: RowFold, day: string, checkpoint: Uint8Array): void {
  const receipts = open.get(day) ?? [];
  open.delete(day);
  closed.set(day, closedRows(fold, day, checkpoint, receipts));
  let waiting = [...closed.values()].reduce((sum, rows) => sum + rows.receipts.id.length, 0);
  for (const [known, rows] of closed) {
    if ((waiting <= WAITING_RECEIPTS && closed.size <= WAITING_DAYS) || known === day) return;
    closed.delete(known);
    waiting -= rows.receipts.id.length;
  }
}

/** How the receipts of `day` stand: as of its closing, where the fold has just closed it. */
export function closedRows(
  fold: FoldState,
  day: string,
  checkpoint: Uint8Array,
  own: readonly { receipt: Inference; timeSeconds: number }[],
): ClosedRows {
  const reliedBy = reliedBySets(fold);
  const { shared, positionOf } = createShared();
  const receipts = createColumns(own.length);
  let i = -1;
  for (const { receipt, timeSeconds } of own) {
    i++;
    const { receipt: id, index, lane, exclusion, units, asked } = receipt;
    const known = fold.receipts.get(id);
    if (known === undefined) throw new RangeError("a receipt that has a day is in the fold");
    const { tier: reached, acknowledged, decision } = known;
    const { status, tier } = asked;
    receipts.id.push(id);
    receipts.decision.push(asked.decision);
    receipts.index[i] = index;
    receipts.timeSeconds[i] = timeSeconds;
    receipts.shared[i] = positionOf(lane, status, tier, exclusion, reached, acknowledged, reliedBy.get(decision) ?? 0);
    receipts.units[i] = units;
    receipts.outputUnits[i] = asked.outputUnits ?? Number.NaN;
    receipts.priceAtomic[i] = asked.priceAtomic;
    const payment = fold.credits.payments.get(id);
    if (payment === undefined) continue;
    receipts.subsidisedAtomic[i] = payment.subsidisedAtomic;
    receipts.refundedAtomic[i] = payment.refundedAtomic;
  }
  const judged = fold.series.flatMap((series, set) => judgedRows(series, day, shared, 1 << set) ?? []);
  return { day, size: fold.size, checkpoint, models: modelsOf(fold, shared), shared, receipts, judged };
}

function createColumns(count: number): ClosedRows["receipts"] {
  return {
    id: [],
    decision: [],
    index: new Float64Array(count),
    timeSeconds: new Float64Array(count),
    shared: new Uint32Array(count),
    units: new Float64Array(count),
    outputUnits: new Float64Array(count),
    priceAtomic: new BigUint64Array(count),
    subsidisedAtomic: new BigUint64Array(count),
    refundedAtomic: new BigUint64Array(count),
  };
}

/** By which sets of rules each decision is relied on: a bit each. */
function reliedBySets(fold: FoldState): Map<Key, number> {
  const bits = new Map<Key, number>();
  if (fold.demand.relied.size === 0) return bits;
  for (const [set, { rules }] of fold.series.entries())
    for (const decision of reliedOn(fold, clustersOf(fold, rules)).decisions.keys())
      bits.set(decision, (bits.get(decision) ?? 0) | (1 << set));
  return bits;
}

function modelsOf(fold: FoldState, shared: readonly Shared[]): ClosedRows["models"] {
  const models: ClosedRows["models"] = new Map();
  for (const { lane } of shared) {
    const known = models.has(lane.model) ? undefined : fold.models.get(lane.model);
    if (known === undefined) continue;
    const { name: model, version, category } = known.manifest;
    models.set(lane.model, { model, version, category, publisher: known.publisher });
  }
  return models;
}

/** What receipts share, each once, in the order of the first that has it. */
function createShared() {
  const shared: Shared[] = [];
  const positions = new Map<Lane, Map<number, number>>();
  const words = new Map<string | undefined, number>();
  const numberOf = (word: string | undefined) => {
    const known = words.get(word);
    if (known !== undefined) return known;
    words.set(word, words.size);
    return words.size - 1;
  };
  return {
    shared,
    /** One parameter each: an object for every receipt would cost more than all the rest. */
    positionOf(
      lane: Lane,
      status: Shared["status"],
      tier: Shared["tier"],
      exclusion: Shared["exclusion"],
      reached: Shared["reached"],
      acknowledged: boolean,
      reliedBy: number,
    ): number {
      // Each of the four is one of a few words: fewer than 64 together.
      const ofWords = ((numberOf(status) * 64 + numberOf(tier)) * 64 + numberOf(exclusion)) * 64 + numberOf(reached);
      const name = (ofWords * 2 + Number(acknowledged)) * 2 ** MOST_SETS + reliedBy;
      let ofLane = positions.get(lane);
      if (ofLane === undefined) {
        ofLane = new Map();
        positions.set(lane, ofLane);
      }
      let position = ofLane.get(name);
      if (position === undefined) {
        position = shared.push({ lane, status, tier, exclusion, reached, acknowledged, reliedBy }) - 1;
        ofLane.set(name, position);
      }
      return position;
    },
  };
}

function judgedRows(series: Series, day: string, shared: readonly Shared[], bit: number): JudgedRows | undefined {
  const document = series.documents.get(day);
  if (document === undefined) return undefined;
  const [labels, floors] = [series.labels.get(day), series.floors.get(day)];
  const verdicts = shared.map(({ lane, exclusion }): JudgedAs => {
    if (exclusion !== undefined) return "gross";
    return labels?.get(lane) ?? (floors?.has(lane) ? "floor" : "organic");
  });
  return { rules: series.rules, document, verdicts, relied: shared.map(({ reliedBy }) => (reliedBy & bit) !== 0) };
}

/** A verdict in the columns of a row. */
export function verdictOf(verdict: JudgedAs): { label: Label | null; stratum: DemandStratum } {
  if (verdict === "gross" || verdict === "organic" || verdict === "floor") return { label: null, stratum: verdict };
  return { label: verdict, stratum: "valid" };
}
