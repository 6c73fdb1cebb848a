/** Runs a tabular model over rows, as a node does. */
import { floats, floatTensor } from "@tallystick/protocol";
import type { Model } from "../load.ts";

/** What the one output of `model` says to each of `rows`. */
export async function predict(model: Model, rows: number[][]): Promise<Float32Array> {
  const outputs = await model.answer([floatTensor("features", [rows.length, rows[0]?.length ?? 0], rows.flat())]);
  const [output] = outputs.values();
  if (output === undefined) throw new Error("the model gave no output");
  return floats(output);
}
