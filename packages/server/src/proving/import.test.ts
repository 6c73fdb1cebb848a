/** ONNX as integers: held against the float model by the judge's own engine, and what is not proved refused by name. */
import { answerOf, floats, quantiseRow } from "@tallystick/protocol";
import * as ort from "onnxruntime-web";
import { describe, expect, test } from "vitest";
import { encodeModel, floatConstant, type Graph, type Node } from "../../../../models/onnx.ts";
import { FIXTURE_NAMES, fixtureRow, importFixture, readFixture } from "../../../../test/proving.ts";
import { estimateGates } from "./estimate.ts";
import { importModel, readWeights } from "./import.ts";
import { interpret } from "./interpreter.ts";

ort.env.wasm.numThreads = 1;
ort.env.logLevel = "error";
const ROWS = 200;

describe.each(FIXTURE_NAMES)("%s", (name) => {
  test("says what the float model says, but where that is nearly undecided", async () => {
    const model = importFixture(name);
    const { circuit, weights } = model;
    const session = await ort.InferenceSession.create(readFixture(name));
    let agreeing = 0;
    for (let seed = 0; seed < ROWS; seed++) {
      // Rows that both see alike: what the circuit's inputs stand for.
      const row = fixtureRow(model, seed).map((value) => Math.round(value * 2 ** (circuit.input.exponents[0] ?? 0)));
      const scaled = Float32Array.from(row, (value) => value / 2 ** (circuit.input.exponents[0] ?? 0));
      const input = new ort.Tensor("float32", scaled, [1, ...circuit.architecture.inputShape]);
      const [output] = Object.values(await session.run({ x: input }));
      const { values, clampedCount } = quantiseRow(circuit, scaled);
      expect(clampedCount).toBe(0);
      const outputs = interpret(circuit.architecture, weights, values);
      const [value = Number.NaN] = Array.from(output?.data ?? [], Number);
      if (circuit.output.answer === "index") agreeing += Number(outputs[0]) === value ? 1 : 0;
      else {
        const [answer = Number.NaN] = floats(answerOf(circuit, "y", outputs));
        const threshold = circuit.output.answer === "sigmoid" ? 0.5 : 0;
        agreeing += answer >= threshold === value >= threshold ? 1 : 0;
        expect(Math.abs(answer - value)).toBeLessThan(0.02);
      }
    }
    expect(agreeing / ROWS).toBeGreaterThan(0.97);
  });

  test("has the same integers again from its description, and no other model's", () => {
    const { circuit, weights } = importFixture(name);
    expect(readWeights(circuit, readFixture(name))).toEqual(weights);
    const other = name === "mlp" ? "cnn" : "mlp";
    expect(() => readWeights(circuit, readFixture(other))).toThrow();
  });
});

test("what a proof will cost is known beforehand to a quarter", () => {
  // Gates as Barretenberg 5.0.0 counts them.
  const counted: Record<string, number> = { logreg30: 3956, mlp: 6037, gbt: 13375, cnn: 7223 };
  for (const [name, gates] of Object.entries(counted)) {
    const estimate = estimateGates(importFixture(name).circuit.architecture, 1);
    expect([name, Math.abs(estimate / gates - 1) < 0.25 ? "near" : estimate]).toEqual([name, "near"]);
  }
});

const CHOICES = { inputBits: 16, weightBits: 8, exponents: [8] };
const WEIGHT = floatConstant("w", [0.5, -1, 0.25, 1], [2, 2]);
const dense: Node = { op: "MatMul", inputs: ["x", "w"], outputs: ["h"] };

/** A model of a row of two, with `nodes` and the last one's output. */
function modelOf(nodes: Node[], changes: Partial<Graph> = {}): Uint8Array {
  const last = nodes.at(-1)?.outputs[0] ?? "";
  return encodeModel({
    name: "refused",
    inputs: [{ name: "x", type: "FP32", shape: ["rows", 2] }],
    outputs: [{ name: last, type: "FP32", shape: ["rows", 2] }],
    nodes,
    constants: [WEIGHT],
    ...changes,
  });
}

test.each<[string, Uint8Array, string]>([
  ["an inner Tanh", modelOf([dense, { op: "Tanh", inputs: ["h"], outputs: ["t"] }]), "the operator Tanh"],
  ["a Softmax", modelOf([dense, { op: "Softmax", inputs: ["h"], outputs: ["p"] }]), "the operator Softmax"],
  ["a MaxPool", modelOf([{ op: "MaxPool", inputs: ["x"], outputs: ["p"] }]), "the operator MaxPool"],
  [
    "classified trees",
    modelOf([{ op: "TreeEnsembleClassifier", inputs: ["x"], outputs: ["p"] }]),
    "TreeEnsembleClassifier",
  ],
  [
    "a layer after a Sigmoid",
    modelOf([
      dense,
      { op: "Sigmoid", inputs: ["h"], outputs: ["s"] },
      { op: "MatMul", inputs: ["s", "w"], outputs: ["z"] },
    ]),
    "MatMul comes after",
  ],
  [
    "a Gemm that is scaled",
    modelOf([{ op: "Gemm", inputs: ["x", "w"], outputs: ["h"], attributes: { alpha: { float: 2 } } }]),
    "the operator Gemm",
  ],
  ["a branch", modelOf([dense, { op: "Add", inputs: ["h", "x"], outputs: ["z"] }]), "the operator Add takes more"],
  [
    "an ArgMax of the last of equals",
    modelOf([
      dense,
      { op: "ArgMax", inputs: ["h"], outputs: ["i"], attributes: { axis: 1, keepdims: 0, select_last_index: 1 } },
    ]),
    "the operator ArgMax",
  ],
  [
    "rows of any width",
    modelOf([dense], { inputs: [{ name: "x", type: "FP32", shape: ["rows", "width"] }] }),
    "rows of a fixed shape",
  ],
  ["bytes that are no model", Uint8Array.of(1, 2, 3), "not ONNX"],
])("a model with %s is refused by name", (_, bytes, message) => {
  expect(() => importModel(bytes, CHOICES)).toThrow(message);
});

test("two layers and a ReLU are the integers that a person works out", () => {
  const model = importModel(
    modelOf([
      dense,
      { op: "Relu", inputs: ["h"], outputs: ["r"] },
      { op: "MatMul", inputs: ["r", "w"], outputs: ["z"] },
    ]),
    CHOICES,
  );
  // Weights of at most 1 in 8 bits are scaled by 64; the first layer takes the inputs' 2^-8 into its own.
  expect(model.weights[0]).toEqual([32n, 16n, -64n, 64n]);
  expect(model.circuit.output).toEqual({ exponent: 14 + 6, answer: "score" });
  const { values } = quantiseRow(model.circuit, [1, 2]);
  expect(values).toEqual([256n, 512n]);
  expect(interpret(model.circuit.architecture, model.weights, values)).toEqual([
    (256n * 32n + 512n * 16n) * 32n + (256n * -64n + 512n * 64n) * 16n,
    (256n * 32n + 512n * 16n) * -64n + (256n * -64n + 512n * 64n) * 64n,
  ]);
});
