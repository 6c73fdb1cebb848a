import fc from "fast-check";
import { expect, test } from "vitest";
import { RUNS } from "../../../../test/runs.ts";
import { jsonOf, readVectors, type Vector } from "../../../../test/vectors.ts";
import { equal, hex, parseHex } from "../bytes.ts";
import { Malformed } from "../cbor/bytes.ts";
import type { Json } from "../json/canonical.ts";
import { CALL_SIZE_BYTES, NAME_LENGTH, TENSOR_RANK, TENSORS_PER_CALL } from "../limits.ts";
import {
  type CommittedField,
  commit,
  commitField,
  encodeAnswer,
  encodeCall,
  encodeJsonAnswer,
  fieldSalt,
  parseAnswer,
  parseAnyAnswer,
  parseCall,
  parseJsonAnswer,
  type TensorCall,
  unitStep,
} from "./call.ts";
import { bytesTensor, DATATYPES, type Tensor } from "./tensor.ts";

function parseTensorCall(bytes: Uint8Array): TensorCall {
  const call = parseCall(bytes);
  if (call.operation !== "infer") throw new Error(`is of the operation ${call.operation}`);
  return call;
}

type CallVector = Vector & { hex: string; says: object };
type CommitmentVector = Vector & { tag: "request" | "response"; salt: string; bytes: string; digest: string };
const calls = readVectors<CallVector>("call/calls.json");
const answers = readVectors<CallVector>("call/answers.json");
const commitments = readVectors<CommitmentVector>("call/commitments.json");
const units = readVectors<Vector & { count: number; step: number }>("call/units.json");
const bytesOf = (text: string) => parseHex(text) ?? new Uint8Array(0);

test.each(calls)("a call with $desc", ({ hex: text, says, wantErr }) => {
  if (wantErr) {
    expect(() => parseCall(bytesOf(text))).toThrow(Malformed);
    return;
  }
  expect(jsonOf(parseCall(bytesOf(text)))).toEqual(says);
  expect(hex(encodeCall(parseCall(bytesOf(text))))).toBe(text);
});

test.each(answers)("an answer with $desc", ({ hex: text, says, wantErr }) => {
  if (wantErr) {
    expect(() => parseAnyAnswer(bytesOf(text))).toThrow(Malformed);
    return;
  }
  const found = parseAnyAnswer(bytesOf(text));
  const isJson = "body" in found;
  expect(jsonOf(isJson ? found.body : found.outputs)).toEqual(says);
  expect(hex(isJson ? encodeJsonAnswer(found.body) : encodeAnswer(found.outputs))).toBe(text);
  // Who expects the one kind refuses the other.
  expect(() => (isJson ? parseAnswer : parseJsonAnswer)(bytesOf(text))).toThrow(Malformed);
  expect(jsonOf((isJson ? parseJsonAnswer : parseAnswer)(bytesOf(text)))).toEqual(says);
});

type FieldVector = Vector & { field: CommittedField; salt: string; bytes: string; digest: string };

test.each(readVectors<FieldVector>("call/fields.json"))("$desc", ({ field, salt, bytes, digest, wantErr }) => {
  const holds = () => hex(commitField(field, bytesOf(salt), bytesOf(bytes))) === digest;
  if (salt.length === 64) expect(holds()).toBe(!wantErr);
  else expect(holds).toThrow(Malformed);
});

test("each field has a salt of its own, from which neither another's nor the response's follows", () => {
  const salt = bytesOf("07".repeat(32));
  const fields: CommittedField[] = ["evidence", "upstream model", "upstream response id", "upstream fingerprint"];
  const salts = [salt, ...fields.map((field) => fieldSalt(field, salt))].map(hex);
  expect(new Set(salts).size).toBe(5);
});

const nested = (depth: number): Json => (depth === 0 ? 1 : [nested(depth - 1)]);

test("a JSON call is read as it was written, and what JSON cannot say is not written", () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string({ unit: "grapheme" }), fc.jsonValue()), (body) => {
      const bytes = encodeCall({ operation: "chat", body: JSON.parse(JSON.stringify(body)) });
      const found = parseCall(bytes);
      expect(hex(encodeCall(found))).toBe(hex(bytes));
    }),
    RUNS,
  );
  const encoded = (input: Json) => encodeCall({ operation: "response", body: { input } });
  expect(parseCall(encoded(nested(63)))).toEqual({ operation: "response", body: { input: nested(63) } });
  expect(() => encoded(nested(64))).toThrow("64 deep");
  expect(() => encoded("\ud83d")).toThrow("surrogate");
  expect(() => encodeJsonAnswer({ text: "\ude00" })).toThrow("surrogate");
  expect(() => encodeJsonAnswer([])).not.toThrow();
  expect(() => parseJsonAnswer(encodeJsonAnswer([]))).toThrow("no JSON object");
});

test("a JSON call or answer over 32 MiB is neither written nor read", () => {
  const body = { input: "a".repeat(CALL_SIZE_BYTES) };
  expect(() => encodeCall({ operation: "embedding", body })).toThrow(Malformed);
  expect(() => encodeJsonAnswer(body)).toThrow(Malformed);
  expect(() => parseAnyAnswer(new Uint8Array(CALL_SIZE_BYTES + 1))).toThrow(`at most ${CALL_SIZE_BYTES}`);
});

test("a count that is none becomes the step 0, and does not run on", () => {
  for (const count of [Number.NaN, -1, Number.NEGATIVE_INFINITY]) expect(unitStep(count)).toBe(0);
});

test("the last step is 2^32, and what is over it becomes that", () => {
  expect(unitStep(2 ** 32)).toBe(2 ** 32);
  for (const count of [2 ** 32 + 1, 2 ** 33, Number.MAX_SAFE_INTEGER, Number.POSITIVE_INFINITY])
    expect(unitStep(count)).toBe(2 ** 32);
});

test.each(commitments)("a commitment over $desc", ({ tag, salt, bytes, digest, wantErr }) => {
  const holds = () => hex(commit(tag, bytesOf(salt), bytesOf(bytes)).digest) === digest;
  if (salt.length === 64) expect(holds()).toBe(!wantErr);
  else expect(holds).toThrow(Malformed);
});

test.each(units)("$desc is counted as $step", ({ count, step }) => {
  expect(unitStep(count)).toBe(step);
});

const tensor: fc.Arbitrary<Tensor> = fc
  .record({
    name: fc.string({ maxLength: 6 }),
    datatype: fc.constantFrom("BOOL" as const, "INT16" as const, "FP32" as const, "FP64" as const, "BYTES" as const),
    shape: fc.array(fc.nat(3), { maxLength: 3 }),
    seed: fc.nat(255),
  })
  .map(({ name, datatype, shape, seed }) => {
    const count = shape.reduce((product, size) => product * size, 1);
    if (datatype === "BYTES") {
      const elements = Array.from({ length: count }, (_, i) => new Uint8Array(i % 4).fill(seed));
      return bytesTensor(name, elements, shape);
    }
    return { name, datatype, shape, data: new Uint8Array(count * DATATYPES[datatype]).fill(seed) };
  });
const call: fc.Arbitrary<TensorCall> = fc.record({
  operation: fc.constant("infer" as const),
  inputs: fc.uniqueArray(tensor, { selector: ({ name }) => name, maxLength: 5 }),
  outputs: fc.array(fc.string({ maxLength: 4 }), { maxLength: 3 }),
});

test("a call is the same bytes in whatever order its inputs came", () => {
  fc.assert(
    fc.property(call, fc.nat(), (some, turn) => {
      const at = turn % (some.inputs.length + 1);
      const turned = { ...some, inputs: [...some.inputs.slice(at), ...some.inputs.slice(0, at)].reverse() };
      expect(equal(encodeCall(turned), encodeCall(some))).toBe(true);
      expect(encodeCall(parseTensorCall(encodeCall(some)))).toEqual(encodeCall(some));
    }),
    RUNS,
  );
});

test("an answer keeps the order of its outputs", () => {
  fc.assert(
    fc.property(fc.array(tensor, { maxLength: 4 }), (outputs) => {
      expect(parseAnswer(encodeAnswer(outputs))).toEqual(outputs);
    }),
    RUNS,
  );
});

const one: Tensor = { name: "x", datatype: "UINT8", shape: [1], data: Uint8Array.of(1) };
const callOf = (...inputs: Tensor[]): TensorCall => ({ operation: "infer", inputs, outputs: [] });

test("what could not be read back is not written", () => {
  expect(() => encodeCall(callOf(one, one))).toThrow("each name once");
  expect(() => encodeCall(callOf({ ...one, shape: [2] }))).toThrow('"x" of UINT8 with shape [2] takes 2 bytes, not 1');
  expect(() => encodeAnswer([{ ...one, shape: [2] }])).toThrow(Malformed);
});

test("a call has at most 64 inputs of at most eight axes, with names of at most 128 letters", () => {
  const named = Array.from({ length: TENSORS_PER_CALL + 1 }, (_, i) => ({ ...one, name: `x${i}` }));
  expect(parseTensorCall(encodeCall(callOf(...named.slice(1)))).inputs).toHaveLength(TENSORS_PER_CALL);
  expect(() => encodeCall(callOf(...named))).toThrow(Malformed);
  const ofRank = (rank: number) => encodeCall(callOf({ ...one, shape: Array(rank).fill(1) }));
  expect(parseTensorCall(ofRank(TENSOR_RANK)).inputs[0]?.shape).toHaveLength(TENSOR_RANK);
  expect(() => ofRank(TENSOR_RANK + 1)).toThrow(Malformed);
  const ofName = (length: number) => encodeCall(callOf({ ...one, name: "x".repeat(length) }));
  expect(parseTensorCall(ofName(NAME_LENGTH)).inputs[0]?.name).toHaveLength(NAME_LENGTH);
  expect(() => ofName(NAME_LENGTH + 1)).toThrow(Malformed);
});

test("a call has at most 32 MiB, all its inputs together", () => {
  const half = (name: string, more: number): Tensor => {
    const data = new Uint8Array(CALL_SIZE_BYTES / 2 - 40 + more);
    return { name, datatype: "UINT8", shape: [data.length], data };
  };
  const longest = encodeCall(callOf(half("a", 0), half("b", 0)));
  expect(longest.length).toBeLessThanOrEqual(CALL_SIZE_BYTES);
  expect(parseTensorCall(longest).inputs).toHaveLength(2);
  expect(() => encodeCall(callOf(half("a", 40), half("b", 40)))).toThrow("at most 33554432");
  expect(() => parseTensorCall(new Uint8Array(CALL_SIZE_BYTES + 1))).toThrow("at most 33554432");
  expect(() => parseAnswer(new Uint8Array(CALL_SIZE_BYTES + 1))).toThrow("at most 33554432");
});

test("units go up to the next step, which is its own step, and never by more than half", () => {
  // The least n of which n · n is not below 2^k, searched for in whole numbers.
  const ladder = new Set(
    Array.from({ length: 65 }, (_, k) => {
      let [below, above] = [0n, 2n ** 53n];
      while (above - below > 1n) {
        const middle = (below + above) / 2n;
        if (middle * middle >= 2n ** BigInt(k)) above = middle;
        else below = middle;
      }
      return Number(above);
    }),
  );
  fc.assert(
    fc.property(fc.oneof(fc.nat(1_000), fc.nat(2 ** 31 - 1), fc.integer({ min: 1, max: 2 ** 32 })), (count) => {
      const step = unitStep(count);
      expect(step).toBeGreaterThanOrEqual(count);
      expect(step).toBeLessThanOrEqual(Math.max(1, Math.ceil(count * Math.SQRT2)));
      expect(unitStep(step)).toBe(step);
      expect(count === 0 || ladder.has(step)).toBe(true);
    }),
    RUNS,
  );
  for (let count = 1; count < 5_000; count++) expect(unitStep(count)).toBeGreaterThanOrEqual(unitStep(count - 1));
});
