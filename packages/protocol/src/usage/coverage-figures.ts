/** What verification comes to, in figures: tiers, checks, and how much may be wrong for all that (docs/spec/usage.md, "Proof coverage"). */
import { hex } from "../bytes.ts";
import { upperBound } from "../lot/bound.ts";
import { joinShapes, listShapes, populationOf, type Shapes } from "../lot/shapes.ts";
import { gradeOf, mayAct, reliedBy } from "./grade.ts";
import type { VerifierRecord } from "./lot-state.ts";
import { type Coverage, GRADES, type Grade, type Standing } from "./proof-state.ts";
import { countStratum, createCoverage } from "./regrade.ts";
import { bytesOf, type FoldState, type Key } from "./state.ts";

/**
 * Of `settled` receipts, those of lots whose checks are all done, the share that is wrong is at most `upperBound` at 99 %
 * confidence: in decimal, six digits; null where there are none.
 */
export type Bound = {
  population: number;
  checked: number;
  failures: number;
  settled: number;
  upperBound: string | null;
};

/** `waiting` are those that no lot has drawn yet. */
type AskedFigures = Coverage["asked"];

/** What of valid receipts is verified how, and what the lot found among those that it may draw. */
export type CoverageFigures = {
  /** Valid receipts by the tier that they have reached. */
  tiers: Record<Grade, number>;
  /** Valid receipts that no lot can draw, of which nothing is bounded. */
  unopenable: number;
  /** Receipts whose epoch's lot is closed, and how many of them were drawn. */
  population: number;
  drawn: number;
  checked: number;
  failures: number;
  /** Failures for want of an opening. */
  unopened: number;
  omitted: number;
  undecided: number;
  undrawnEpochs: number;
  /** Receipts whose requesters asked that they be run again: all are drawn, and the bound is not of them. */
  asked: AskedFigures;
  /** Checks that no lot drew. */
  requested: number;
  requestedFailures: number;
  disputesUpheld: number;
  /** Receipts of lots whose checks are all done: what the bound is of. */
  settled: number;
  upperBound: string | null;
};

const SUMMED = [
  "unopenable",
  "population",
  "drawn",
  "checked",
  "failures",
  "unopened",
  "omitted",
  "undecided",
  "undrawnEpochs",
  "requested",
  "requestedFailures",
  "disputesUpheld",
] as const;

const ASKED = [
  "population",
  "waiting",
  "drawn",
  "checked",
  "failures",
  "unopened",
  "omitted",
  "undecided",
] as const satisfies readonly (keyof AskedFigures)[];

type Summed = Record<(typeof SUMMED)[number], number>;

export function sumCoverage(cells: readonly Coverage[]): CoverageFigures {
  const total = (countOf: (cell: Coverage) => number) => cells.reduce((all, cell) => all + countOf(cell), 0);
  const byTier = GRADES.map((grade) => [grade, total(({ tiers }) => tiers[grade])]);
  const counts = Object.fromEntries(SUMMED.map((field) => [field, total((cell) => cell[field])])) as Summed;
  const asked = Object.fromEntries(ASKED.map((field) => [field, total((cell) => cell.asked[field])])) as AskedFigures;
  const shapes = joinShapes(cells.map((cell) => cell.shapes));
  return {
    tiers: Object.fromEntries(byTier) as Record<Grade, number>,
    ...counts,
    asked,
    settled: populationOf(listShapes(shapes)),
    upperBound: upperBound(shapes, counts.failures + total(({ lost }) => lost)),
  };
}

/** A share in percent with two digits, rounded up: a bound is not made less by being shown. */
export function percentOf(share: string): string {
  const hundredths = Math.ceil(Number(share.replace(".", "")) / 100);
  return `${Math.floor(hundredths / 100)}.${String(hundredths % 100).padStart(2, "0")} %`;
}

/** What of the trailing day, by the log's clock, was drawn, checked and found. */
export function recentOf({ lots }: FoldState, model: Key): Bound {
  const bounded: { shapes: Shapes; lost: number } = { shapes: new Map(), lost: 0 };
  const bound = { population: 0, checked: 0, failures: 0 };
  for (const stratum of lots.windows.get(model)?.strata ?? []) {
    countStratum(bounded, stratum, 1);
    bound.population += stratum.population;
    bound.checked += stratum.checked;
    bound.failures += stratum.failures;
  }
  const settled = populationOf(listShapes(bounded.shapes));
  return { ...bound, settled, upperBound: upperBound(bounded.shapes, bound.failures + bounded.lost) };
}

/** The coverage of what has no time yet, as it stands. */
export function openCoverage(fold: FoldState, day: string): Coverage[] {
  const cells = new Map<Key, Coverage>();
  const isRelied = reliedBy(fold);
  for (const event of fold.untimed) {
    const receipt = event.kind === "inference" ? fold.receipts.get(event.receipt) : undefined;
    if (event.kind !== "inference" || receipt === undefined || receipt.exclusion !== undefined) continue;
    const { model } = event.lane;
    const cell = cells.get(model) ?? createCoverage(day, model);
    cells.set(model, cell);
    const examination = fold.proofs.examinations.get(event.receipt);
    cell.tiers[gradeOf(fold, receipt, examination, undefined, isRelied)]++;
    if (!receipt.openable) cell.unopenable++;
  }
  return [...cells.values()];
}

export type NodeFigures = { key: string; name: string } & Standing;
export type VerifierFigures = { key: string; name: string; waiting: number } & Omit<
  VerifierRecord,
  "chains" | "waiting"
>;

/** The nodes that were checked or disputed, in order of their keys' ids. */
export function nodeFigures({ proofs, keys }: FoldState): NodeFigures[] {
  const nodes = [...proofs.standings].map(([key, { checked, failures, unopened, disputesUpheld }]) => ({
    ...{ key: hex(bytesOf(key)), name: keys.get(key)?.name ?? "" },
    ...{ checked, failures, unopened, disputesUpheld },
  }));
  return nodes.sort((a, b) => (a.key < b.key ? -1 : 1));
}

/** The verifiers that took part in a lot or checked anything, in order of their keys' ids. */
export function verifierFigures({ lots, keys }: FoldState): VerifierFigures[] {
  const verifiers = [...lots.verifiers].map(([key, { chains: _, waiting, ...counts }]) => ({
    ...{ key: hex(bytesOf(key)), name: keys.get(key)?.name ?? "", waiting: waiting.size },
    ...counts,
  }));
  return verifiers.sort((a, b) => (a.key < b.key ? -1 : 1));
}

/** What the log calls the keys that its own operator holds. */
const OWN_NAME = /^local-/;

/** Verifiers that by their names are another's than the log's: where there is none, nothing stands against grinding. */
export function independentVerifiers(fold: FoldState): number {
  return [...fold.keys].filter(([key, { name }]) => mayAct(fold, key, "verifier") && !OWN_NAME.test(name)).length;
}
