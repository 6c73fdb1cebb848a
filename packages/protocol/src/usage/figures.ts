/** The figures of a fold: what every page, API and audit shows. Same fold, same figures, same bytes of JSON. */
import { hex } from "../bytes.ts";
import type { Role } from "../entry/payload.ts";
import type { Category } from "../model/manifest.ts";
import { type ClosedDay, type DayCoverage, type DayFigures, dayFigures } from "./closed-days.ts";
import { cellOf, count } from "./counting.ts";
import { addOne, type Counts, groupBy, hexOf, order, sum, sumOf } from "./counts.ts";
import {
  type Bound,
  type CoverageFigures,
  independentVerifiers,
  type NodeFigures,
  nodeFigures,
  openCoverage,
  recentOf,
  sumCoverage,
  type VerifierFigures,
  verifierFigures,
} from "./coverage-figures.ts";
import type { Payer, SettlementFault } from "./credits-state.ts";
import { dayOf, OPEN_DAY } from "./day.ts";
import { type DemandFigures, type JudgedDemand, judgedDemand, sumDemand } from "./demand-figures.ts";
import { RULES } from "./fold.ts";
import { dayOfStatement, type ReliedOn, reliedByDay, reliedOn } from "./relied.ts";
import type { Cell, Exclusion, FoldState } from "./state.ts";

/** A model without a valid inference for this many days is idle. */
export const IDLE_AFTER_DAYS = 30;

/** The money of all payers. Amounts are atomic units in decimal. */
export type CreditFigures = {
  payers: number;
  toppedUp: string;
  /** The part of it that was operators' own money. */
  subsidised: string;
  spent: string;
  charged: string;
  refunded: string;
  /** What payers may still spend. */
  balance: string;
};

/** What the holder of a key has earned. Owed is under 0 where a refund came after the payout. */
export type EarningFigures = { key: string; role: Role | null; earned: string; paidOut: string; owed: string };

export type ModelFigures = Counts & {
  rank: number;
  name: string;
  version: string;
  revision: string;
  category: Category;
  state: "active" | "idle" | "yanked";
  /** The last day with a valid inference; `null` before the first. */
  lastUsedDay: string | null;
  demand: DemandFigures & {
    /** Parties that paid for valid inferences with money whose funder the log names, in thirty days; none that is anonymous. */
    payingParties: number;
  };
  verification: CoverageFigures & { recent: Bound };
};

export type Figures = {
  rules: typeof RULES;
  /** How many entries were folded. */
  size: number;
  /** The log's own clock: its last epoch, Unix seconds. `null` before the first. */
  asOfSeconds: number | null;
  /** The day by that clock. What no epoch covers yet has the day `open`. */
  today: string | null;
  totals: Counts & {
    models: number;
    activeModels: number;
    idleModels: number;
    demand: DemandFigures;
    verification: DayCoverage;
  };
  days: (DayFigures & { demand: DemandFigures })[];
  /** The days that are closed, as they stood when they were. */
  closedDays: ClosedDay[];
  /** Ranked by organic inferences, then by the parties that paid, by decisions relied on and by valid inferences. */
  models: ModelFigures[];
  exclusions: Partial<Record<Exclusion, number>>;
  /** Receipt ids under which the first receipt's node signed another one. */
  equivocations: number;
  credits: CreditFigures;
  /** Nodes, publishers and gateways with earnings, in order of their keys' ids. */
  earnings: EarningFigures[];
  /** Settlements that count as nothing, by what is wrong with them: evidence against who signed them. */
  settlementFaults: Partial<Record<SettlementFault, number>>;
  /** Whose word the times are: the log's own, until it has a policy that asks for witnesses. */
  clock: "log" | "witnesses";
  /** Nodes that were checked or disputed, in order of their keys' ids. */
  nodes: NodeFigures[];
  /** Those who take part in lots, in order of their keys' ids. */
  verifiers: VerifierFigures[];
  /** Verifiers that by their names are another's than the log's. */
  independentVerifiers: number;
};

/** Everything the fold counts. */
export function figuresOf(fold: FoldState): Figures {
  const all = withOpenDay(fold);
  const demand = judgedDemand(all);
  const relied = reliedOn(all, demand.clusters);
  const ofCells = reliedByCell(all, relied);
  const ofDays = reliedByDay(all, relied);
  const cells = [...all.cells.values()].filter((cell) => isAnything(cell) || ofCells.has(cell)).sort(byDay);
  const today = fold.timeSeconds === undefined ? null : dayOf(fold.timeSeconds);
  const judged = [...demand.days.values()].flat();
  const models = rankModels(all, cells, today, demand, ofCells);
  const states = (state: ModelFigures["state"]) => models.filter((model) => model.state === state).length;
  const coverage = [...all.proofs.coverage.values()];
  const coverageByDay = groupBy(coverage, ({ day }) => day);
  const missingReveals = [...fold.proofs.missingReveals.values()].reduce((sum, count) => sum + count, 0);
  return {
    rules: RULES,
    size: fold.size,
    asOfSeconds: fold.timeSeconds ?? null,
    today,
    totals: {
      ...sum(cells, relied.decisions.size),
      models: states("active") + states("idle"),
      activeModels: states("active"),
      idleModels: states("idle"),
      demand: sumDemand(judged),
      verification: { ...sumCoverage(coverage), missingReveals },
    },
    days: [...groupBy(cells, ({ day }) => day)].map(([day, own]) => ({
      ...dayFigures(all, day, own, coverageByDay.get(day) ?? [], ofDays.get(day) ?? 0),
      demand: sumDemand(demand.days.get(day) ?? []),
    })),
    closedDays: [...fold.closedDays.values()].sort((a, b) => order(a.day, b.day)),
    models,
    exclusions: sumExclusions(cells),
    equivocations: fold.equivocations.size,
    credits: creditFigures([...fold.credits.payers.values()]),
    earnings: earningFigures(fold),
    settlementFaults: inOrder(fold.credits.faults),
    clock: fold.policy === undefined || fold.policy.quorum.kind === "none" ? "log" : "witnesses",
    nodes: nodeFigures(fold),
    verifiers: verifierFigures(fold),
    independentVerifiers: independentVerifiers(fold),
  };
}

/** The fold with what no epoch covers yet counted under `open`. The fold itself is left as it is. */
export function withOpenDay(fold: FoldState): FoldState {
  const coverage = new Map(fold.proofs.coverage);
  for (const cell of openCoverage(fold, OPEN_DAY)) coverage.set(`${OPEN_DAY} ${cell.model}`, cell);
  const demand = { ...fold.demand, facts: new Map(fold.demand.facts) };
  const proofs = { ...fold.proofs, coverage };
  const open = { ...fold, cells: new Map(fold.cells), demand, proofs };
  for (const event of fold.untimed) count(open, OPEN_DAY, fold.timeSeconds ?? 0, event);
  return open;
}

/** How many decisions of each cell's model are relied on, cells that have nothing else among them. */
function reliedByCell(open: FoldState, { ofModels }: ReliedOn): ReadonlyMap<Cell, number> {
  const counts = new Map<Cell, number>();
  for (const stated of ofModels.values()) {
    const lane = open.receipts.get(stated.receipt)?.lane;
    if (lane !== undefined) addOne(counts, cellOf(open.cells, dayOfStatement(open, stated), lane));
  }
  return counts;
}

function creditFigures(payers: readonly Payer[]): CreditFigures {
  const total = (field: keyof Payer) => sumOf(payers, (payer) => payer[field]);
  const [toppedUp, spent, refunded] = [total("toppedUpAtomic"), total("spentAtomic"), total("refundedAtomic")];
  return {
    payers: payers.length,
    toppedUp: String(toppedUp),
    subsidised: String(total("subsidisedAtomic")),
    spent: String(spent),
    charged: String(total("chargedAtomic")),
    refunded: String(refunded),
    balance: String(toppedUp - spent + refunded),
  };
}

function earningFigures({ credits, keys }: FoldState): EarningFigures[] {
  const rows = [...credits.payees].map(([key, { earnedAtomic, paidOutAtomic }]) => ({
    key: hexOf(key),
    role: keys.get(key)?.role ?? null,
    earned: String(earnedAtomic),
    paidOut: String(paidOutAtomic),
    owed: String(earnedAtomic - paidOutAtomic),
  }));
  return rows.sort((a, b) => order(a.key, b.key));
}

function rankModels(
  fold: FoldState,
  cells: readonly Cell[],
  today: string | null,
  { days, payingParties }: JudgedDemand,
  relied: ReadonlyMap<Cell, number>,
): ModelFigures[] {
  const idleSince = today === null ? "" : dayOf(Date.parse(today) / 1000 - IDLE_AFTER_DAYS * 86_400);
  const byModel = groupBy(cells, ({ model }) => model);
  const coverage = groupBy([...fold.proofs.coverage.values()], ({ model }) => model);
  const judgedByModel = groupBy([...days.values()].flat(), ({ model }) => model);
  const rows = [...fold.models].map(([key, { revision, manifest, yanked }]) => {
    const own = byModel.get(key) ?? [];
    const lastUsedDay = own.findLast(({ valid }) => valid > 0)?.day ?? null; // The open day is after every other.
    const { name, version, category } = manifest;
    const state: ModelFigures["state"] = yanked
      ? "yanked"
      : lastUsedDay !== null && lastUsedDay > idleSince
        ? "active"
        : "idle";
    const counts = sum(
      own,
      own.reduce((all, cell) => all + (relied.get(cell) ?? 0), 0),
    );
    const verification = { ...sumCoverage(coverage.get(key) ?? []), recent: recentOf(fold, key) };
    const demand = { ...sumDemand(judgedByModel.get(key) ?? []), payingParties: payingParties.get(key) ?? 0 };
    const model = { name, version, revision: hex(revision), category, state, lastUsedDay };
    return { rank: 0, ...model, ...counts, demand, verification };
  });
  rows.sort(
    (a, b) =>
      b.demand.organic - a.demand.organic ||
      b.demand.payingParties - a.demand.payingParties ||
      b.decisionsReliedOn - a.decisionsReliedOn ||
      b.valid - a.valid ||
      b.gross - a.gross ||
      order(a.name, b.name) ||
      order(a.revision, b.revision),
  );
  return rows.map((row, i) => ({ ...row, rank: i + 1 }));
}

function sumExclusions(cells: readonly Cell[]): Partial<Record<Exclusion, number>> {
  const sums = new Map<Exclusion, number>();
  for (const { exclusions } of cells)
    for (const [reason, n] of exclusions) sums.set(reason, (sums.get(reason) ?? 0) + n);
  return inOrder(sums);
}

function inOrder<K extends string>(counts: ReadonlyMap<K, number>): Partial<Record<K, number>> {
  return Object.fromEntries([...counts].sort(([a], [b]) => order(a, b))) as Partial<Record<K, number>>;
}

function isAnything({ gross, acknowledged, revenue }: Cell): boolean {
  return gross + acknowledged > 0 || revenue.refundedAtomic > 0n;
}

function byDay(a: Cell, b: Cell): number {
  return order(a.day, b.day);
}
