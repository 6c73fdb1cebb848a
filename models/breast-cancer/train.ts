/**
 * Trains the tumour model from breast-cancer.csv and writes model.onnx: the same bytes each time.
 *
 *   npx tsx --conditions=@tallystick/source models/breast-cancer/train.ts
 */

import { isScript } from "../script.ts";
import { encodeLogistic, fitLogistic } from "../train/linear.ts";
import { numbers, readTable, split } from "../train/table.ts";
import { writeModel } from "../train/write.ts";

const SEED = 42;
const PENALTY = 3;

const table = readTable(new URL("breast-cancer.csv", import.meta.url));
export const COLUMNS = table.columns.filter((name) => name !== "malignant");

const features = COLUMNS.map((name) => numbers(table, name));
const examples = {
  features: table.rows.map((_, i) => features.map((values) => values[i] ?? 0)),
  targets: numbers(table, "malignant"),
};

/** The model, trained on three quarters of the data. */
export function train(): Uint8Array {
  const { train } = split(examples, SEED);
  return encodeLogistic("breast-cancer", fitLogistic(train, PENALTY), "malignant_probability");
}

/** The quarter that the model has not seen. */
export const heldOut = split(examples, SEED).test;

if (isScript(import.meta)) writeModel(import.meta.url, train());
