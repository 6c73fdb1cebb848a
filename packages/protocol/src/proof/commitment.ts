/**
 * Commitments that a circuit opens: Poseidon2 over a domain, a salt, and values packed into field elements
 * (docs/spec/proof.md). The requester commits to its quantised input, the publisher to a model's weights.
 */

import { poseidon2Hash } from "@zkpassport/poseidon2";
import { sha256 } from "#platform";
import { concat, utf8 } from "../bytes.ts";
import { Malformed } from "../cbor/bytes.ts";
import { type Architecture, architectureBytes, type CircuitFile } from "./circuit.ts";
import { fieldBytes, fieldOf, numberOf } from "./field.ts";
import { type ParameterGroup, planCircuit } from "./plan.ts";

/** Bits that are packed into one element: fewer than the field's, so that no packing wraps around. */
export const PACKED_BITS = 248;

/** A model's parameters as integers, one list for each group of its plan. */
export type Weights = readonly (readonly bigint[])[];

export const SALT_SIZE_BYTES = 32;

/** The commitment to the quantised `values` of one row, by a salt of 32 random bytes. */
export function commitInput({ architecture }: CircuitFile, values: readonly bigint[], salt: Uint8Array): Uint8Array {
  const { inputs, inputBits } = planCircuit(architecture);
  if (values.length !== inputs) throw new Malformed(`has ${values.length} inputs where ${inputs} are due`);
  const packed = packValues(values, inputBits, true);
  return fieldBytes(poseidon2Hash([inputDomain(architecture), saltOf(salt), ...packed]));
}

/** The commitment to `weights`, by a salt of 32 random bytes that stays with them. */
export function commitWeights({ architecture }: CircuitFile, weights: Weights, salt: Uint8Array): Uint8Array {
  const { groups } = planCircuit(architecture);
  const packed = groups.flatMap((group, i) => packGroup(group, weights[i] ?? []));
  return fieldBytes(poseidon2Hash([weightsDomain(architecture), saltOf(salt), ...packed]));
}

/** The element that tells inputs of this architecture from all else that is hashed. */
export function inputDomain(architecture: Architecture): bigint {
  return domainOf("tallystick proof input v1\0", architecture);
}

/** As `inputDomain`, of weights. */
export function weightsDomain(architecture: Architecture): bigint {
  return domainOf("tallystick proof weights v1\0", architecture);
}

function domainOf(tag: string, architecture: Architecture): bigint {
  return numberOf(sha256(concat(utf8(tag), architectureBytes(architecture))).subarray(0, 31));
}

/** The element that a salt's 32 bytes are, modulo the field's order. */
export function saltOf(salt: Uint8Array): bigint {
  if (salt.length !== SALT_SIZE_BYTES)
    throw new Malformed(`has a salt of ${salt.length} bytes; ${SALT_SIZE_BYTES} are due`);
  return fieldOf(numberOf(salt));
}

function packGroup({ name, count, bits, isSigned }: ParameterGroup, values: readonly bigint[]): bigint[] {
  if (values.length !== count) throw new Malformed(`has ${values.length} ${name} where ${count} are due`);
  return packValues(values, bits, isSigned);
}

/** `values` in as few elements as hold them, the first in the lowest bits; signed ones are raised by 2^(bits-1). */
export function packValues(values: readonly bigint[], bits: number, isSigned: boolean): bigint[] {
  const lift = isSigned ? 1n << BigInt(bits - 1) : 0n;
  const perElement = Math.floor(PACKED_BITS / bits);
  const packed: bigint[] = [];
  for (const [i, value] of values.entries()) {
    const raised = value + lift;
    if (raised < 0n || raised >> BigInt(bits) !== 0n) throw new Malformed(`has ${value}, which is not of ${bits} bits`);
    const place = i % perElement;
    if (place === 0) packed.push(0n);
    packed[packed.length - 1] = (packed.at(-1) ?? 0n) + (raised << BigInt(bits * place));
  }
  return packed;
}
