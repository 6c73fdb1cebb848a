/** What each receipt counts as in the coverage of its day: counted when it has a time, and again when something is learnt of it. */
import { addShape } from "../lot/shapes.ts";
import { dayOf } from "./day.ts";
import { gradeOf, NO_VERDICTS, reliedBy, verdictsOf } from "./grade.ts";
import { type Fact, findFact } from "./lanes.ts";
import type { Stratum } from "./lot-state.ts";
import type { Checked, Coverage, Examination, Proofs, Standing, Verdicts } from "./proof-state.ts";
import { type FoldState, type Key, timeOf, type UsedReceipt } from "./state.ts";

/** The coverage of one model and day, made where there is none. */
export function coverageOf({ coverage }: Proofs, day: string, model: Key): Coverage {
  const name = `${day} ${model}`;
  let cell = coverage.get(name);
  if (cell === undefined) {
    cell = createCoverage(day, model);
    coverage.set(name, cell);
  }
  return cell;
}

export function createCoverage(day: string, model: Key): Coverage {
  const tiers = { none: 0, signed: 0, attested: 0, reexecuted: 0, proved: 0 };
  const drawn = { population: 0, drawn: 0, checked: 0, failures: 0, unopened: 0, omitted: 0, undecided: 0 };
  const asked = { ...drawn, waiting: 0 };
  const others = { undrawnEpochs: 0, requested: 0, requestedFailures: 0, disputesUpheld: 0, lost: 0 };
  return { day, model, tiers, unopenable: 0, ...drawn, asked, ...others, shapes: new Map() };
}

/** What is known of the examination of a receipt, made where nothing is. */
export function examinationOf({ examinations }: Proofs, receipt: Key): Examination {
  let examination = examinations.get(receipt);
  if (examination === undefined) {
    examination = { draw: undefined, checks: [], disputes: [], rulings: [], counted: NO_VERDICTS };
    examinations.set(receipt, examination);
  }
  return examination;
}

/** Counts a receipt as what it is by all that is known, where it has a time. */
export function regrade(fold: FoldState, id: Key): void {
  const receipt = fold.receipts.get(id);
  const timeSeconds = receipt && timeOf(fold, receipt.index);
  if (receipt === undefined || timeSeconds === undefined) return;
  const day = dayOf(timeSeconds);
  gradeAt(fold, id, receipt, { timeSeconds, day, fact: findFact(fold.demand, day, timeSeconds, receipt.lane) });
}

/** The same for all receipts, once a root is not relied on any more. */
export function regradeAll(fold: FoldState): void {
  for (const id of fold.receipts.keys()) regrade(fold, id);
}

/** When a receipt was, and what it is counted in, as long as that is looked back to. */
type Dated = { timeSeconds: number; day: string; fact: Fact | undefined };

/** The same for one of which the caller knows that. */
export function gradeAt(fold: FoldState, id: Key, receipt: UsedReceipt, { timeSeconds, day, fact }: Dated): void {
  const { proofs } = fold;
  const examination = proofs.examinations.get(id);
  const isRelied = reliedBy(fold);
  if (receipt.exclusion === undefined) {
    const { tiers } = coverageOf(proofs, day, receipt.model);
    const tier = gradeOf(fold, receipt, examination, timeSeconds, isRelied);
    for (const counted of [tiers, fact?.tiers]) {
      if (counted === undefined) continue;
      if (receipt.tier !== undefined) counted[receipt.tier]--;
      counted[tier]++;
    }
    if (receipt.tier === undefined && !receipt.openable) coverageOf(proofs, day, receipt.model).unopenable++;
    receipt.tier = tier;
  }
  if (examination === undefined) return;
  const next = verdictsOf(examination, timeSeconds, isRelied);
  const cell = coverageOf(proofs, day, receipt.model);
  const standing = standingOf(proofs, receipt.node);
  const stratum = examination.draw?.stratum;
  for (const [verdicts, sign] of [
    [examination.counted, -1],
    [next, 1],
  ] as const) {
    addDrawn(stratum === undefined ? cell.asked : cell, verdicts, sign);
    addVerdicts(cell, standing, verdicts, sign);
  }
  if (stratum !== undefined) moveInStratum(fold, stratum, examination.counted.drawn, next.drawn);
  examination.counted = next;
}

function standingOf({ standings }: Proofs, node: Key): Standing {
  let standing = standings.get(node);
  if (standing === undefined) {
    standing = { checked: 0, failures: 0, unopened: 0, disputesUpheld: 0 };
    standings.set(node, standing);
  }
  return standing;
}

const isChecked = ({ drawn }: Verdicts) => drawn === "passed" || drawn === "failed";

/** What a lot drew by chance is counted apart from what it drew because somebody asked. */
function addDrawn(counts: Checked, verdicts: Verdicts, sign: 1 | -1): void {
  if (isChecked(verdicts)) counts.checked += sign;
  if (verdicts.drawn === "failed") counts.failures += sign;
  if (verdicts.unopened) counts.unopened += sign;
  if (verdicts.undecided) counts.undecided += sign;
  if (verdicts.omitted) counts.omitted += sign;
}

function addVerdicts(cell: Coverage, standing: Standing, verdicts: Verdicts, sign: 1 | -1): void {
  const { drawn, requested } = verdicts;
  if (requested !== undefined) cell.requested += sign;
  if (requested === "failed") cell.requestedFailures += sign;
  if (verdicts.upheld) cell.disputesUpheld += sign;
  // A receipt is one receipt of its node, however many found it wrong.
  if (isChecked(verdicts) || requested !== undefined) standing.checked += sign;
  if (drawn === "failed" || requested === "failed") standing.failures += sign;
  if (verdicts.unopened) standing.unopened += sign;
  if (verdicts.upheld) standing.disputesUpheld += sign;
}

function moveInStratum(fold: FoldState, stratum: Stratum, from: Verdicts["drawn"], to: Verdicts["drawn"]): void {
  if (from === to) return;
  changeStratum(fold, stratum, () => {
    for (const [verdict, sign] of [
      [from, -1],
      [to, 1],
    ] as const) {
      if (verdict === "lost") stratum.lost += sign;
      else if (verdict !== undefined) stratum.checked += sign;
      if (verdict === "failed") stratum.failures += sign;
    }
  });
}

/** Changes a stratum, and with it what it is counted in. */
function changeStratum({ proofs, lots }: FoldState, stratum: Stratum, change: () => void): void {
  const cell = coverageOf(proofs, stratum.day, stratum.model);
  const planned = stratum.isRecent ? lots.windows.get(stratum.model)?.planned : undefined;
  countStratum(cell, stratum, -1);
  if (planned !== undefined) addShape(planned, plannedOf(stratum), -1);
  change();
  countStratum(cell, stratum, 1);
  if (planned !== undefined) addShape(planned, plannedOf(stratum), 1);
}

/**
 * Counts a stratum among those that bound what is wrong, once no check of it is waited for. Of what was drawn and is not
 * known, anybody may have chosen that it should not be: it is bounded as if it were wrong.
 */
export function countStratum(bounded: Pick<Coverage, "shapes" | "lost">, stratum: Stratum, sign: 1 | -1): void {
  const { population, drawn, checked, lost } = stratum;
  if (checked + lost < drawn) return;
  addShape(bounded.shapes, { population, checked: drawn }, sign);
  bounded.lost += sign * lost;
}

/** What of a stratum is checked or will be, as far as is known. */
export function plannedOf({ population, drawn, lost }: Stratum): { population: number; checked: number } {
  return { population, checked: drawn - lost };
}
