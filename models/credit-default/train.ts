/**
 * Trains the credit model from german-credit.csv and writes model.onnx: the same bytes each time.
 *
 *   npx tsx --conditions=@tallystick/source models/credit-default/train.ts
 */

import { isScript } from "../script.ts";
import { fitBoosting } from "../train/boosting.ts";
import { encodeLogistic, fitLogistic, score } from "../train/linear.ts";
import { rocAuc } from "../train/metrics.ts";
import { column, type Examples, numbers, readTable, split } from "../train/table.ts";
import { writeModel } from "../train/write.ts";

const SEED = 42;
const PENALTY = 30;

const NUMBERS = [
  "duration_months",
  "amount_dm",
  "instalment_rate_class",
  "residence_class",
  "existing_credits",
  "telephone",
];

// Left out: age_years, personal_status (which is sex and marriage), foreign_worker, dependents.
const WORDS = [
  "checking_account",
  "credit_history",
  "purpose",
  "savings",
  "employment",
  "other_debtors",
  "property",
  "other_instalments",
  "housing",
  "job",
];

const { examples, columns } = readExamples();
export const COLUMNS = columns;

/** The data set with a column of 0 and 1 for each word, named `column.word`. */
function readExamples(): { examples: Examples; columns: string[] } {
  const table = readTable(new URL("german-credit.csv", import.meta.url));
  const named = NUMBERS.map((name) => ({ name, values: numbers(table, name) }));
  for (const name of WORDS) {
    const words = column(table, name);
    for (const word of [...new Set(words)].sort())
      named.push({ name: `${name}.${word}`, values: words.map((cell) => (cell === word ? 1 : 0)) });
  }
  const features = table.rows.map((_, i) => named.map(({ values }) => values[i] ?? 0));
  return { examples: { features, targets: numbers(table, "defaulted") }, columns: named.map(({ name }) => name) };
}

const parts = split(examples, SEED);
/** Three quarters of the data. */
export const trained = parts.train;
/** The quarter that the model has not seen. */
export const heldOut = parts.test;

/** The model, trained on three quarters of the data. */
export function train(): Uint8Array {
  return encodeLogistic("credit-default", fitLogistic(trained, PENALTY), "default_probability");
}

/** The area under the ROC curve that a way to learn has on average over 20 other ways to cut the data. */
export function meanRocAuc(learn: (train: Examples) => (row: number[]) => number): number {
  let sum = 0;
  for (let seed = 1; seed <= 20; seed++) {
    const { train, test } = split(examples, seed * 7919);
    sum += rocAuc(test.features.map(learn(train)), test.targets);
  }
  return sum / 20;
}

/** This model's way to learn. */
export function learnLogistic(train: Examples): (row: number[]) => number {
  const model = fitLogistic(train, PENALTY);
  return (row) => score(model, row);
}

if (isScript(import.meta)) {
  writeModel(import.meta.url, train());
  console.log(`mean ROC AUC over 20 splits: ${meanRocAuc(learnLogistic).toFixed(3)}`);
  console.log(`and of boosted trees: ${meanRocAuc(fitBoosting).toFixed(3)}`);
}
