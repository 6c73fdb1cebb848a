/** The protocol's part of proofs: fields, packing, commitments, quantising, evidence, and the checks that bind them. */

import fc from "fast-check";
import { expect, test } from "vitest";
import { sha256 } from "#platform";
import { hex } from "../bytes.ts";
import { floatTensor } from "../call/tensor.ts";
import { filesRoot } from "../model/codec.ts";
import type { Manifest } from "../model/manifest.ts";
import { answerOf } from "./answer.ts";
import { CEREMONY, ceremonyPoints } from "./ceremony.ts";
import { checkProof, type ProofQuestion } from "./check.ts";
import { CIRCUIT_PATH, type CircuitFile, parseCircuitFile, writeCircuitFile } from "./circuit.ts";
import { commitInput, commitWeights, packValues } from "./commitment.ts";
import { encodeProofEvidence, parseProofEvidence, publicInputsOf } from "./evidence.ts";
import { FIELD_MODULUS, fieldBytes, fieldOf, parseField, signedOf } from "./field.ts";
import { planCircuit } from "./plan.ts";
import { quantise, quantiseRow } from "./quantise.ts";

const CIRCUIT: CircuitFile = {
  architecture: {
    inputShape: [3],
    inputBits: 16,
    layers: [{ op: "dense", outputs: 1, weightBits: 8, biasBits: 24, relu: false }],
    decision: "scores",
  },
  input: { exponents: [8, 0, 14], rounding: "nearest" },
  output: { exponent: 12, answer: "sigmoid" },
};
const SALT = new Uint8Array(32).fill(7);
const INPUT = floatTensor("x", [1, 3], [1.5, -200, 0.25]);
const WEIGHTS = [[3n, -2n, 1n], [100n]];
const OUTPUTS = [3n * 384n + 400n + 4096n + 100n];
const RECEIPT = sha256(Uint8Array.of(1));

test("a number and its element are one another's, negative ones too", () => {
  fc.assert(
    fc.property(fc.bigInt(-(1n << 200n), 1n << 200n), (value) => {
      expect(signedOf(parseField(fieldBytes(value)))).toBe(value);
    }),
  );
  expect(fieldOf(-1n)).toBe(FIELD_MODULUS - 1n);
  expect(() => parseField(new Uint8Array(32).fill(0xff))).toThrow("no field element");
  expect(() => parseField(new Uint8Array(31))).toThrow("no field element");
});

test("packing is injective: different values of so many bits are never packed alike", () => {
  const value = fc.bigInt(-128n, 127n);
  fc.assert(
    fc.property(fc.array(value, { minLength: 40, maxLength: 40 }), fc.nat(39), value, (values, at, other) => {
      const changed = values.with(at, other);
      const isSame = values[at] === other;
      expect(packValues(values, 8, true).join() === packValues(changed, 8, true).join()).toBe(isSame);
    }),
  );
  expect(packValues(new Array(32).fill(0n), 8, true)).toHaveLength(2);
  expect(() => packValues([128n], 8, true)).toThrow("not of 8 bits");
  expect(() => packValues([-1n], 8, false)).toThrow("not of 8 bits");
});

test("an input is scaled by powers of two and rounded, and what does not fit is clamped and counted", () => {
  expect(quantise(CIRCUIT, INPUT)).toEqual({ values: [384n, -200n, 4096n], clampedCount: 0 });
  expect(quantiseRow(CIRCUIT, [1000, -40000, 0.00001])).toEqual({ values: [32767n, -32768n, 0n], clampedCount: 2 });
  expect(quantiseRow(CIRCUIT, [0, 0.5, 0]).values[1]).toBe(1n);
  expect(quantiseRow({ ...CIRCUIT, input: { exponents: [0], rounding: "up" } }, [0.1, -0.1, 2]).values).toEqual([
    1n,
    0n,
    2n,
  ]);
  for (const bad of [Number.NaN, Number.POSITIVE_INFINITY])
    expect(() => quantiseRow(CIRCUIT, [bad, 0, 0])).toThrow("not a finite number");
  expect(() => quantise(CIRCUIT, floatTensor("x", [2, 3], [1, 2, 3, 4, 5, 6]))).toThrow("one row");
});

test("a commitment is of the architecture, the salt and every value", () => {
  const { values } = quantise(CIRCUIT, INPUT);
  const honest = hex(commitInput(CIRCUIT, values, SALT));
  const wider = { ...CIRCUIT, architecture: { ...CIRCUIT.architecture, inputBits: 17 } };
  const others = [
    commitInput(CIRCUIT, values.with(0, 385n), SALT),
    commitInput(CIRCUIT, values, SALT.with(31, 8)),
    commitInput(wider, values, SALT),
    commitWeights(CIRCUIT, WEIGHTS, SALT),
  ].map(hex);
  expect(new Set([honest, ...others]).size).toBe(5);
  expect(() => commitInput(CIRCUIT, values.slice(1), SALT)).toThrow("2 inputs where 3 are due");
  expect(() => commitWeights(CIRCUIT, [[3n, -2n], [100n]], SALT)).toThrow("2 weights0 where 3 are due");
});

test("widths follow from public bit sizes, and hold whatever the weights are", () => {
  const { groups, scoreBits, outputs } = planCircuit(CIRCUIT.architecture);
  expect(groups.map(({ name, count, bits }) => [name, count, bits])).toEqual([
    ["weights0", 3, 8],
    ["bias0", 1, 24],
  ]);
  expect(3n * (1n << 15n) * (1n << 7n) + (1n << 23n)).toBeLessThan(1n << BigInt(scoreBits));
  expect(outputs).toBe(1);
});

test.each([
  ["a layer that there is not", (file: string) => file.replace('"dense"', '"softmax"'), "none of dense"],
  ["a member more", (file: string) => file.replace('"relu"', '"shift": 1, "relu"'), "does not have just"],
  ["too many bits", (file: string) => file.replace('"inputBits": 16', '"inputBits": 64'), "whole number from 2 to 32"],
  ["exponents of other inputs", (file: string) => file.replace("0,\n      14", "14"), "not as many as its inputs"],
  ["an answer that is not decided", (file: string) => file.replace('"sigmoid"', '"index"'), "does not answer what"],
  ["no JSON", (file: string) => file.slice(1), "not JSON"],
])("a circuit file with %s is malformed", (_, edit, message) => {
  const text = new TextDecoder().decode(writeCircuitFile(CIRCUIT));
  expect(parseCircuitFile(writeCircuitFile(CIRCUIT))).toEqual(CIRCUIT);
  expect(edit(text)).not.toBe(text);
  expect(() => parseCircuitFile(new TextEncoder().encode(edit(text)))).toThrow(message);
});

test("a circuit file never breaks its reader with anything but Malformed", () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      expect(() => parseCircuitFile(new TextEncoder().encode(text))).toThrow(/^(has|is) a circuit/);
    }),
  );
});

test("scores become the answer by powers of two and a logistic that is the same everywhere", () => {
  const score = Number(OUTPUTS[0]) / 4096;
  const [chance] = new Float32Array(answerOf(CIRCUIT, "y", OUTPUTS).data.buffer);
  expect(chance).toBeCloseTo(1 / (1 + Math.exp(-score)), 6);
  const index: CircuitFile = { ...CIRCUIT, output: { exponent: 0, answer: "index" } };
  expect(answerOf(index, "y", [3n])).toMatchObject({
    datatype: "INT64",
    shape: [1],
    data: Uint8Array.of(3, 0, 0, 0, 0, 0, 0, 0),
  });
});

test("the ceremony's points are those that its digest names", () => {
  const { g1, g2 } = ceremonyPoints();
  expect(hex(sha256(g2))).toBe(CEREMONY.digest);
  expect(g1).toHaveLength(128);
});

const evidenceOf = (changes: object = {}) =>
  encodeProofEvidence({
    calls: [
      {
        receipt: RECEIPT,
        input: commitInput(CIRCUIT, quantise(CIRCUIT, INPUT).values, SALT),
        outputs: OUTPUTS,
        ...changes,
      },
    ],
    weights: commitWeights(CIRCUIT, WEIGHTS, SALT),
    proof: new Uint8Array(64),
  });

test("evidence is read as it was written, and with a byte changed is malformed or other evidence", () => {
  const bytes = evidenceOf();
  expect(encodeProofEvidence(parseProofEvidence(bytes))).toEqual(bytes);
  for (let at = 0; at < bytes.length; at++) {
    const changed = bytes.with(at, (bytes[at] ?? 0) ^ 1);
    try {
      expect(encodeProofEvidence(parseProofEvidence(changed))).toEqual(changed);
    } catch (error) {
      expect(error).toHaveProperty("name", "Malformed");
    }
  }
  expect(() => parseProofEvidence(bytes.slice(0, -1))).toThrow();
});

test("public inputs are the receipt in two halves, the weights, then each call's input and outputs", () => {
  const { calls, weights } = parseProofEvidence(evidenceOf());
  const [upper, lower, ...rest] = publicInputsOf(calls, weights).map(hex);
  expect(`${upper?.slice(32)}${lower?.slice(32)}`).toBe(hex(RECEIPT));
  expect(rest).toEqual([weights, calls[0]?.input ?? weights, ...OUTPUTS.map(fieldBytes)].map(hex));
});

const file = writeCircuitFile(CIRCUIT);
const artifacts = [{ path: CIRCUIT_PATH, role: "file" as const, sizeBytes: file.length, digest: sha256(file) }];
const MANIFEST: Manifest = {
  name: "example/linear",
  version: "1",
  category: "risk",
  task: "test",
  licence: "Apache-2.0",
  summary: "A model of three numbers.",
  artifacts,
  filesRoot: filesRoot(artifacts),
  adapter: { name: "tensors", version: 1, options: "{}" },
  engine: "judge",
  forms: [[{ name: "x", datatype: "FP32", shape: [-1, 3] }]],
  outputs: [{ name: "y", datatype: "FP32", shape: [-1, 1] }],
  unit: "row",
  quality: [],
  circuit: {
    program: new Uint8Array(32),
    verificationKey: new Uint8Array(32),
    weights: commitWeights(CIRCUIT, WEIGHTS, SALT),
    agreeing: 9,
    measured: 10,
  },
};
const QUESTION: ProofQuestion = {
  evidence: evidenceOf(),
  receiptId: RECEIPT,
  request: { alg: "poseidon2", digest: commitInput(CIRCUIT, quantise(CIRCUIT, INPUT).values, SALT) },
  manifest: MANIFEST,
  circuit: file,
  opened: { input: INPUT, salt: SALT, answer: answerOf(CIRCUIT, "y", OUTPUTS) },
};
const OPENED = { input: INPUT, salt: SALT, answer: answerOf(CIRCUIT, "y", OUTPUTS) };

test("what binds a proof is checked by name, and what is left is the proof itself", () => {
  const { checks, claim } = checkProof(QUESTION);
  expect(checks.map(({ name, state }) => `${name}: ${state}`)).toEqual([
    "circuit: passed",
    "proved receipt: passed",
    "proved input: passed",
    "proved weights: passed",
    "proved answer: passed",
  ]);
  expect(claim).toMatchObject({ calls: 1, proof: new Uint8Array(64) });
  const { opened: _, ...unopened } = QUESTION;
  expect(checkProof(unopened).checks.at(-1)).toMatchObject({ name: "proved answer", state: "not_checked" });
});

test.each<[string, Partial<ProofQuestion>, string]>([
  ["another receipt", { receiptId: sha256(Uint8Array.of(2)) }, "proved receipt"],
  ["another commitment", { request: { alg: "poseidon2", digest: fieldBytes(5n) } }, "proved input"],
  ["a commitment of another kind", { request: { ...QUESTION.request, alg: "sha256" } }, "proved input"],
  ["another circuit", { circuit: new Uint8Array(3) }, "circuit"],
  ["evidence of other outputs", { evidence: evidenceOf({ outputs: [1n] }) }, "proved answer"],
  ["evidence of more outputs", { evidence: evidenceOf({ outputs: [1n, 2n] }) }, "proved answer"],
  ["no evidence", { evidence: new Uint8Array(3) }, "proof"],
  [
    "an input that was not asked",
    { opened: { ...OPENED, input: floatTensor("x", [1, 3], [1.5, -201, 0.25]) } },
    "proved answer",
  ],
  ["a salt that is not the requester's", { opened: { ...OPENED, salt: SALT.with(0, 9) } }, "proved answer"],
  ["an answer that was not given", { opened: { ...OPENED, answer: floatTensor("y", [1, 1], [0.5]) } }, "proved answer"],
  ["an input that is no row", { opened: { ...OPENED, input: floatTensor("x", [1, 2], [1, 2]) } }, "proof"],
])("a proof is refused with %s", (_, changes, name) => {
  const { checks, claim } = checkProof({ ...QUESTION, ...changes });
  expect(checks.at(-1)).toMatchObject({ name, state: "failed" });
  expect(claim).toBeUndefined();
});
