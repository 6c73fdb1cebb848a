/** What a circuit's integers say: the tensor that is answered, the same on every machine. */
import { floatTensor, type Tensor } from "../call/tensor.ts";
import { exp } from "../elementary.ts";
import type { CircuitFile } from "./circuit.ts";

/** The answer named `name` of one row whose circuit gave `outputs`. */
export function answerOf({ output }: CircuitFile, name: string, outputs: readonly bigint[]): Tensor {
  if (output.answer === "index") return indexTensor(name, outputs);
  const scores = outputs.map((value) => Number(value) * 2 ** -output.exponent);
  const values = output.answer === "sigmoid" ? scores.map(sigmoid) : scores;
  return floatTensor(name, [1, values.length], values);
}

/** The logistic function from additions, multiplications and divisions alone. */
function sigmoid(x: number): number {
  const power = exp(-Math.abs(x));
  return x < 0 ? power / (1 + power) : 1 / (1 + power);
}

function indexTensor(name: string, outputs: readonly bigint[]): Tensor {
  const data = new Uint8Array(8 * outputs.length);
  const view = new DataView(data.buffer);
  for (const [i, value] of outputs.entries()) view.setBigInt64(8 * i, value, true);
  return { name, datatype: "INT64", shape: [outputs.length], data };
}
