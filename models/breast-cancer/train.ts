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

const parts = split(examples, SEED);
/** Three quarters of the data. */
export const trained = parts.train;
/** The quarter that the model has not seen. */
export const heldOut = parts.test;

/** The model, trained on three quarters of the data. */
export function train(): Uint8Array {
  return encodeLogistic("breast-cancer", fitLogistic(trained, PENALTY), "malignant_probability");
}

if (isScript(import.meta)) writeModel(import.meta.url, train());
