/**
 * What a proof will cost, from the architecture alone and before anything is compiled. Measured on the four kinds of model
 * here (docs/operating/proving.md); good to a fifth or so, and what is compiled says it exactly.
 */
import { type Architecture, type Plan, planCircuit } from "@tallystick/protocol";

/** How many calls one proof may be of. Each number is a program of its own. */
export const BATCHES = [1, 4, 16] as const;

const FIXED_GATES = 3_300;

/** Gates of a program of `calls` calls, about. */
export function estimateGates(architecture: Architecture, calls: number): number {
  const plan = planCircuit(architecture);
  return Math.round(FIXED_GATES + gatesOfWeights(plan) + calls * gatesOfCall(plan, architecture));
}

/** CPU seconds of one proof of so many gates, about: measured from 4,000 gates to 150,000. */
export function estimateSeconds(gates: number): number {
  return 0.15 + gates * 5e-5;
}

/** The batch for `calls` calls: the smallest that holds them, or the largest that `isPossible`. */
export function batchFor(calls: number, isPossible: (batch: number) => boolean): number {
  const possible = BATCHES.filter((batch) => batch === 1 || isPossible(batch));
  return possible.find((batch) => batch >= calls) ?? possible.at(-1) ?? 1;
}

/** Holding the weights to their bits, packing and hashing them. */
function gatesOfWeights({ groups }: Plan): number {
  return groups.reduce((sum, { name, count }) => sum + count * (name.startsWith("thresholds") ? 14 : 4.5), 0);
}

function gatesOfCall({ steps, inputs, outputs, scores, inputBits }: Plan, { decision }: Architecture): number {
  let gates = inputs * 6 + 150 + outputs;
  for (const step of steps) {
    if (step.op === "dense") gates += step.inputs * step.outputs + (step.relu ? 7 * step.outputs : 0);
    else if (step.op === "conv") {
      const positions = step.outputs * step.outHeight * step.outWidth;
      gates += positions * (step.channels * step.kernel ** 2 + (step.relu ? 7 : 0));
    } else if (step.op === "trees") gates += step.trees * step.depth * (30 + inputBits);
  }
  return gates + (decision === "argmax" ? 12 * scores : 0);
}
