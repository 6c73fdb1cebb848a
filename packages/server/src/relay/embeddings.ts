/** The vectors of an upstream's answer to an embedding: in numbers or in base64 of little-endian FP32, in the order of the inputs. */
import { isJsonObject, type Json, type JsonObject } from "@tallystick/protocol";
import type { UpstreamWords } from "../node/generation.ts";
import { malformed, UpstreamFault } from "./fault.ts";
import { readTokens, readWord } from "./pieces.ts";

export type Vectors = { vectors: Float32Array[]; promptTokens: number; upstream: UpstreamWords };

/** Reads the vectors for `count` inputs, of `dimensions` where so many were asked for. Throws an UpstreamFault. */
export function readVectors(answer: unknown, count: number, dimensions: Json | undefined): Vectors {
  if (!isJsonObject(answer)) throw malformed("it is no object");
  if (answer.error !== undefined && answer.error !== null)
    throw new UpstreamFault("error", "the upstream answered with an error");
  const { data, usage } = answer;
  if (!Array.isArray(data) || data.length !== count) throw malformed("it has not one vector for each input");
  const vectors = new Map<number, Float32Array>();
  for (const row of data) {
    if (!isJsonObject(row)) throw malformed("a vector is none");
    vectors.set(readIndex(row, count, vectors), readVector(row.embedding));
  }
  const inOrder = [...vectors].sort(([a], [b]) => a - b).map(([, vector]) => vector);
  const size = typeof dimensions === "number" ? dimensions : inOrder[0]?.length;
  if (inOrder.some((vector) => vector.length !== size || vector.length === 0))
    throw malformed("its vectors have not the dimensions that were asked for, or not the same");
  const promptTokens = isJsonObject(usage) ? readTokens(usage.prompt_tokens) : undefined;
  if (promptTokens === undefined)
    throw new UpstreamFault("no_usage", "the upstream did not say how many tokens it used");
  const responseId = readWord(answer.id, "id");
  const upstream = {
    model: readWord(answer.model, "model") ?? "",
    ...(responseId === undefined ? {} : { responseId }),
  };
  return { vectors: inOrder, promptTokens, upstream };
}

function readIndex({ index }: JsonObject, count: number, taken: Map<number, unknown>): number {
  if (typeof index !== "number" || !Number.isInteger(index) || index < 0 || index >= count || taken.has(index))
    throw malformed("a vector has an index that none has, or another has as well");
  return index;
}

function readVector(value: unknown): Float32Array {
  const vector = typeof value === "string" ? decodeVector(value) : Array.isArray(value) ? numbers(value) : undefined;
  if (vector === undefined || !vector.every(Number.isFinite)) throw malformed("a vector is none");
  return vector;
}

function numbers(value: readonly unknown[]): Float32Array | undefined {
  const isNumber = (item: unknown): item is number => typeof item === "number";
  return value.every(isNumber) ? Float32Array.from(value) : undefined;
}

function decodeVector(text: string): Float32Array | undefined {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return undefined;
  const bytes = Buffer.from(text, "base64");
  if (bytes.length % 4 !== 0) return undefined;
  return Float32Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readFloatLE(4 * i));
}
