/** Whether a witness meets its constraints, as the ACIR says them: computed here, without the prover. */
import { FIELD_MODULUS as P } from "@tallystick/protocol";
import { permute } from "@zkpassport/poseidon2";
import type { Acir, Constraint } from "./acir.ts";
import { witnessesOf } from "./acir-determined.ts";

export type Values = ReadonlyMap<number, bigint>;

/** The witnesses whose value could be one more, and every constraint still be met. */
export function looseOf({ constraints, publicInputs }: Acir, values: Values): Set<number> {
  const tables = tablesOf(constraints);
  const about = new Map<number, Constraint[]>(publicInputs.map((a) => [a, []]));
  for (const one of constraints)
    for (const a of new Set(
      one.kind === "read" ? [...witnessesOf(one), ...(tables.get(one.table) ?? [])] : witnessesOf(one),
    ))
      about.set(a, [...(about.get(a) ?? []), one]);
  const loose = new Set<number>();
  for (const [a, some] of about) {
    const edited = new Map(values).set(a, ((values.get(a) ?? 0n) + 1n) % P);
    if (some.every((one) => isMet(one, edited, tables))) loose.add(a);
  }
  return loose;
}

function isMet(constraint: Constraint, values: Values, tables: ReadonlyMap<number, number[]>): boolean {
  const of = (a: number) => values.get(a) ?? 0n;
  switch (constraint.kind) {
    case "zero": {
      const { products, terms, constant } = constraint.expression;
      const quadratic = products.reduce((sum, { coefficient, a, b }) => sum + coefficient * of(a) * of(b), constant);
      return terms.reduce((sum, { coefficient, a }) => sum + coefficient * of(a), quadratic) % P === 0n;
    }
    case "range":
      return of(constraint.a) >> BigInt(constraint.bits) === 0n;
    case "permutation":
      return permute(constraint.inputs.map(of)).every((value, i) => value === of(constraint.outputs[i] ?? -1));
    case "table":
      return true; // What it holds is held by who reads it.
    case "read": {
      const place = tables.get(constraint.table)?.[Number(of(constraint.index))];
      return place !== undefined && of(place) === of(constraint.value);
    }
  }
}

function tablesOf(constraints: readonly Constraint[]): Map<number, number[]> {
  const tables = new Map<number, number[]>();
  for (const one of constraints) if (one.kind === "table") tables.set(one.table, one.contents);
  return tables;
}
