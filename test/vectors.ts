/** Our own vectors, test/vectors/*.json: cases that any language can read. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** A case: what it is, whether it must be refused, and what its file says it has beside that. */
export type Vector = { desc: string; wantErr: boolean };

/** The cases of one file of test/vectors. Their form is what that file's reader says it is. */
export function readVectors<V extends Vector>(name: string): V[] {
  return JSON.parse(readFileSync(join(import.meta.dirname, "vectors", name), "utf8"));
}

/** What `value` says as a vector has it: bytes in hex, amounts in decimal. */
export function jsonOf(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString("hex");
  if (typeof value === "bigint") return String(value);
  if (Array.isArray(value)) return value.map(jsonOf);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, jsonOf(part)]));
}
