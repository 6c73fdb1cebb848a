/** A call in tensors as the engine of this node answers it. */
import { CALL_SIZE_BYTES, type Tensor } from "@tallystick/protocol";
import type { Unanswered } from "./generation.ts";

/** How running a call ended. */
export type Execution =
  | { kind: "answered"; outputs: Tensor[]; unitCount: number }
  | Exclude<Unanswered, { kind: "cancelled" }>;

/** How one ended that was tried. */
export type Concluded = Exclude<Execution, { kind: "overloaded" }>;

/** The outputs that were asked for, in that order; all of them where none was named. */
export function choose(execution: Concluded, wanted: readonly string[]): Concluded {
  if (execution.kind !== "answered" || wanted.length === 0) return execution;
  const outputs = wanted.map((name) => execution.outputs.find((output) => output.name === name));
  const missing = wanted[outputs.indexOf(undefined)];
  if (missing !== undefined) return { kind: "refused", message: `the model has no output "${missing}"` };
  return { ...execution, outputs: outputs.filter((output) => output !== undefined) };
}

/** Room for what an answer's canonical bytes have beside its data: names, datatypes and shapes of its outputs. */
const ANSWER_HEADS_BYTES = 65_536;

/** An answer of more bytes than a commitment is over is none: it gets a failed receipt, as every call without an answer. */
export function bounded(execution: Concluded): Concluded {
  if (execution.kind !== "answered") return execution;
  const sizeBytes = execution.outputs.reduce((sum, { data }) => sum + data.length, 0);
  if (sizeBytes <= CALL_SIZE_BYTES - ANSWER_HEADS_BYTES) return execution;
  return {
    kind: "failed",
    reason: "engine",
    message: `its answer has ${sizeBytes} bytes, more than ${CALL_SIZE_BYTES}`,
  };
}
