/** How a row of floats becomes the integers that a circuit takes: a power of two each, so that nothing depends on rounding modes. */
import { floats, type Tensor } from "../call/tensor.ts";
import { Malformed } from "../cbor/bytes.ts";
import { type CircuitFile, inputCount } from "./circuit.ts";

/** The integers of one row, and how many of them were too large for their bits and were clamped. */
export type Quantised = { values: bigint[]; clampedCount: number };

/** The row that `input` holds: an FP32 tensor of one row. Throws Malformed where it is not that. */
export function quantise(circuit: CircuitFile, input: Tensor): Quantised {
  const { inputShape } = circuit.architecture;
  if (input.datatype !== "FP32" || input.shape.join() !== [1, ...inputShape].join())
    throw new Malformed(
      `has an input of ${input.datatype} [${input.shape}]; what is proved is one row of FP32 [1,${inputShape}]`,
    );
  return quantiseRow(circuit, floats(input));
}

/** As `quantise`, of the row's values. */
export function quantiseRow(circuit: CircuitFile, row: ArrayLike<number>): Quantised {
  const { architecture, input } = circuit;
  const count = inputCount(architecture);
  if (row.length !== count) throw new Malformed(`has ${row.length} inputs where ${count} are due`);
  const most = 2 ** (architecture.inputBits - 1) - 1;
  const round = input.rounding === "up" ? Math.ceil : Math.round;
  const values: bigint[] = [];
  let clampedCount = 0;
  for (let i = 0; i < count; i++) {
    const scaled = (row[i] ?? 0) * 2 ** exponentOf(circuit, i);
    if (!Number.isFinite(scaled)) throw new Malformed("has an input that is not a finite number");
    const value = Math.max(-most - 1, Math.min(most, round(scaled)));
    if (value !== round(scaled)) clampedCount++;
    values.push(BigInt(value));
  }
  return { values, clampedCount };
}

/** The power of two by which input value `i` is scaled. */
export function exponentOf({ input }: CircuitFile, i: number): number {
  return (input.exponents.length === 1 ? input.exponents[0] : input.exponents[i]) ?? 0;
}
