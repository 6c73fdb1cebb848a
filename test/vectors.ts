/** Our own vectors, test/vectors/*.json: cases that any language can read. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** A case: what it is, whether it must be refused, and what its file says it has beside that. */
export type Vector = { desc: string; wantErr: boolean };

/** The cases of one file of test/vectors. Their form is what that file's reader says it is. */
export function readVectors<V extends Vector>(name: string): V[] {
  return JSON.parse(readFileSync(join(import.meta.dirname, "vectors", name), "utf8"));
}
