import { concat, utf8 } from "@tallystick/protocol";
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  endlessGraph,
  floatWeights,
  type Graph,
  integerWeights,
  logisticGraph,
  modelFile,
  oneOperator,
  swellingGraph,
} from "../../../../test/graphs.ts";
import { graphFaults } from "./gate.ts";
import { GRAPH_LIMITS } from "./limits.ts";

const FOUR = { shape: [4] };
const good = modelFile(logisticGraph());
const node = (operator: string, more: object = {}) => ({ operator, inputs: ["x"], outputs: ["y"], ...more });
const weighted = (weight: Parameters<typeof modelFile>[0]["weights"]) =>
  modelFile({ ...oneOperator("Add", FOUR), weights: weight ?? [] });

/** `depth` graphs, each in a branch of the last. */
function nested(depth: number): Graph {
  const graph = oneOperator("Identity", FOUR);
  return depth === 0 ? graph : { ...graph, nodes: [node("If", { graphs: { then_branch: nested(depth - 1) } })] };
}

test.each([
  ["a logistic regression", good],
  ["an If, which chooses and does not repeat", modelFile(nested(1))],
  ["a graph that its input can blow up, which only a bound on memory can stop", modelFile(swellingGraph(1))],
  ["Dropout as in inference", modelFile(oneOperator("Dropout", FOUR, [floatWeights("ratio", [], [0.5])]))],
])("the gate lets %s pass", (_, file) => {
  expect(graphFaults(file)).toEqual([]);
});

const external = {
  name: "w",
  dims: [4],
  dataType: 1,
  dataLocation: 1,
  externalData: [{ key: "location", value: "../../etc/passwd" }],
};
const training = { inputs: ["x", "ratio", "training"], outputs: ["y"], operator: "Dropout" };

test.each([
  ["an endless loop", modelFile(endlessGraph()), /operator Loop, which repeats/],
  [
    "a loop in a branch of an If",
    modelFile({ ...nested(0), nodes: [node("If", { graphs: { else_branch: endlessGraph() } })] }),
    /operator Loop/,
  ],
  ["a random operator", modelFile(oneOperator("RandomNormalLike", FOUR)), /RandomNormalLike, which draws random/],
  [
    "a random operator of another domain",
    modelFile({ ...nested(0), nodes: [node("Bernoulli", { domain: "com.microsoft" })] }),
    /Bernoulli/,
  ],
  ["Dropout as in training", modelFile({ ...nested(0), nodes: [training] }), /Dropout as in training/],
  [
    "an operator of an unknown domain",
    modelFile({ ...nested(0), nodes: [node("Evil", { domain: "com.evil" })] }),
    /domain "com.evil"/,
  ],
  ["weights in another file", weighted([external]), /another file/],
  [
    "a tensor of more elements than fit anywhere",
    weighted([{ ...floatWeights("w", [4], [1, 2, 3, 4]), dims: [2 ** 20, 2 ** 20] }]),
    /1099511627776 elements/,
  ],
  ["a tensor of a negative size", weighted([{ ...floatWeights("w", [4], [1, 2, 3, 4]), dims: [-4] }]), /NaN elements/],
  [
    "a tensor with less data than its shape says",
    weighted([{ ...floatWeights("w", [4], [1, 2, 3, 4]), dims: [5] }]),
    /does not fit its 5/,
  ],
  [
    "a tensor with fewer listed values than its shape says",
    weighted([{ name: "w", dims: [3], dataType: 7, int64Data: [1, 2] }]),
    /does not fit its 3/,
  ],
  [
    "a lying tensor inside a node",
    modelFile({
      ...nested(0),
      nodes: [
        node("If", { graphs: { b: { ...nested(0), weights: [{ ...integerWeights("w", [1], [1]), dims: [9] }] } } }),
      ],
    }),
    /does not fit its 9/,
  ],
  ["graphs inside graphs inside graphs", modelFile(nested(GRAPH_LIMITS.depth + 1)), /more than 8 deep/],
  [
    "functions of its own",
    modelFile(logisticGraph(), { functions: [{ name: "f", node: [] }] }),
    /functions of its own/,
  ],
  ["training steps", modelFile(logisticGraph(), { trainingInfo: [{}] }), /training steps/],
  ["no operator set", modelFile(logisticGraph(), { opsetImport: [] }), /names no operator set/],
  ["no bytes", new Uint8Array(), /has 0 graphs/],
  [
    "bytes that the engine would read in its own format",
    concat(Uint8Array.of(8, 8, 0x12, 4), utf8("ORTM"), good),
    /own format/,
  ],
  ["two graphs, of which a library would show only the last", concat(modelFile(endlessGraph()), good), /has 2 graphs/],
])("the gate stops %s", (_, file, message) => {
  expect(graphFaults(file).join()).toMatch(message);
});

test("every file cut short is stopped, wherever it was cut", () => {
  for (let length = 0; length < good.length; length++) expect(graphFaults(good.subarray(0, length))).not.toEqual([]);
});

test("the gate answers on any bytes, and never lets them pass by accident", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      expect(graphFaults(bytes)).not.toEqual([]);
    }),
  );
});

test.each([
  [{ sizeBytes: good.length - 1 }, /at most \d+ are allowed/],
  [{ nodes: 1 }, /more than 1 nodes/],
  [{ elements: 29 }, /30 elements; at most 29/],
  [{ fields: 5 }, /more than 5 fields/],
])("a graph beyond the limits %o is stopped", (limits, message) => {
  expect(graphFaults(good, { ...GRAPH_LIMITS, ...limits }).join()).toMatch(message);
});
