/** The assignment of a program's inputs: what is public and what is private of so many calls, as the witness solver takes it. */
import type { InputMap } from "@noir-lang/noir_js";
import {
  answerOf,
  type CircuitFile,
  commitInput,
  contextOf,
  fieldOf,
  type ProvedCall,
  planCircuit,
  quantise,
  saltOf,
  type Tensor,
  type Weights,
} from "@tallystick/protocol";
import { interpret } from "./interpreter.ts";

/** One call to be proved: its receipt, and the input and the salt of the requester's commitment. */
export type CallToProve = { receiptId: Uint8Array; input: Tensor; salt: Uint8Array };

/** A call as the circuit sees it. */
export type OpenedCall = { call: ProvedCall; values: readonly bigint[]; salt: Uint8Array };

/** The integers of a call's input, and what the interpreter says comes of them. Throws Malformed. */
export function openCall(circuit: CircuitFile, weights: Weights, { receiptId, input, salt }: CallToProve): OpenedCall {
  const { values } = quantise(circuit, input);
  const outputs = interpret(circuit.architecture, weights, values);
  return { call: { receipt: receiptId, input: commitInput(circuit, values, salt), outputs }, values, salt };
}

/** What a circuit answers to `input` in the output `name`, and how many of its values were clamped. Throws Malformed. */
export function answerCall(circuit: CircuitFile, weights: Weights, name: string, input: Tensor) {
  const { values, clampedCount } = quantise(circuit, input);
  return { outputs: [answerOf(circuit, name, interpret(circuit.architecture, weights, values))], clampedCount };
}

/** The inputs of the program of `calls`, by name. */
export function assign(
  { architecture }: CircuitFile,
  weights: Weights,
  weightsSalt: Uint8Array,
  calls: readonly OpenedCall[],
): InputMap {
  const groups = planCircuit(architecture).groups.map(({ name }, i) => [name, (weights[i] ?? []).map(element)]);
  return {
    context: calls.map(({ call }) => contextOf(call.receipt).map(element)),
    weights_salt: element(saltOf(weightsSalt)),
    input_salts: calls.map(({ salt }) => element(saltOf(salt))),
    x: calls.map(({ values }) => values.map(element)),
    ...Object.fromEntries(groups),
  };
}

function element(value: bigint): string {
  return `0x${fieldOf(value).toString(16)}`;
}
