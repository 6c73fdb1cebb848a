/** Boosted trees of ONNX as complete binary trees of integers, in which every `x ≤ threshold` stays exact. */
import type { CircuitFile } from "@tallystick/protocol";
import type { Choices, ImportedModel } from "./import.ts";
import type { Attributes, Graph } from "./onnx.ts";
import { largestExponent, quantiseAll } from "./rounding.ts";
import { UnsupportedModel } from "./unsupported.ts";

type TreeNode =
  | { kind: "leaf"; value: number }
  | { kind: "branch"; feature: number; threshold: number; left: number; right: number };
/** The nodes of one tree by their ids; 0 is its root. */
type Tree = Map<number, TreeNode>;

/** The circuit of a TreeEnsembleRegressor. Thresholds round down and inputs up, so that no comparison turns. */
export function importTrees(graph: Graph, choices: Choices): ImportedModel {
  const [node, last, ...rest] = graph.nodes;
  const isAnswered = last === undefined || last.op === "Sigmoid";
  const final = last ?? node;
  if (node === undefined || !isAnswered || rest.length > 0 || final?.outputs[0] !== graph.outputs.join())
    throw new UnsupportedModel(
      `the operator ${last?.op ?? "of the output"} comes after the trees, and is not proved there`,
    );
  const { attributes } = node;
  checkForm(attributes);
  const trees = readTrees(attributes);
  const [base = 0] = attributes.floats("base_values");
  const depth = Math.max(1, ...trees.map((tree) => depthOf(tree, 0, 0)));
  if (depth > 10) throw new UnsupportedModel(`the trees are ${depth} levels deep; at most 10 are proved`);
  const leafBits = choices.weightBits;
  const complete = trees.map((tree) => completeTree(tree, depth));
  const leaves = complete.flatMap((tree) => tree.leaves);
  const exponent = largestExponent([...leaves, base], leafBits);
  const isLogistic = last?.op === "Sigmoid" || attributes.text("post_transform").includes("LOGISTIC");
  const circuit: CircuitFile = {
    architecture: {
      inputShape: graph.inputShape,
      inputBits: choices.inputBits,
      layers: [{ op: "trees", trees: trees.length, depth, leafBits }],
      decision: "scores",
    },
    input: { exponents: choices.exponents, rounding: "up" },
    output: { exponent, answer: isLogistic ? "sigmoid" : "score" },
  };
  const weights = [
    complete.flatMap((tree) => tree.features.map(BigInt)),
    complete.flatMap((tree) => tree.thresholds.map((value, i) => threshold(choices, tree.features[i] ?? 0, value))),
    quantiseAll(leaves, exponent, leafBits, "leaves"),
    quantiseAll([base], exponent, leafBits, "base values"),
  ];
  return { circuit, weights };
}

function checkForm(attributes: Attributes): void {
  const [aggregate = "SUM"] = attributes.text("aggregate_function");
  const [transform = "NONE"] = attributes.text("post_transform");
  if (attributes.integer("n_targets", 1) !== 1 || aggregate !== "SUM" || !["NONE", "LOGISTIC"].includes(transform))
    throw new UnsupportedModel("the operator TreeEnsembleRegressor is not of one sum of trees");
  const mode = attributes.strings("nodes_modes").find((one) => one !== "BRANCH_LEQ" && one !== "LEAF");
  if (mode !== undefined) throw new UnsupportedModel(`trees with nodes of ${mode} are not proved; BRANCH_LEQ is`);
}

function readTrees(attributes: Attributes): Tree[] {
  const ids = attributes.integers("nodes_nodeids");
  const of = attributes.integers("nodes_treeids");
  const features = attributes.integers("nodes_featureids");
  const values = attributes.floats("nodes_values");
  const modes = attributes.strings("nodes_modes");
  const lefts = attributes.integers("nodes_truenodeids");
  const rights = attributes.integers("nodes_falsenodeids");
  const leafNodes = attributes.integers("target_nodeids");
  const leafWeights = attributes.floats("target_weights");
  const leaves = new Map(
    attributes.integers("target_treeids").map((tree, i) => [`${tree}:${leafNodes[i]}`, leafWeights[i] ?? 0]),
  );
  const trees = new Map<number, Tree>();
  for (const [i, id] of ids.entries()) {
    const tree = trees.get(of[i] ?? 0) ?? new Map();
    trees.set(of[i] ?? 0, tree);
    if (modes[i] === "LEAF") tree.set(id, { kind: "leaf", value: leaves.get(`${of[i]}:${id}`) ?? 0 });
    else
      tree.set(id, {
        kind: "branch",
        feature: features[i] ?? 0,
        threshold: values[i] ?? 0,
        left: lefts[i] ?? 0,
        right: rights[i] ?? 0,
      });
  }
  return [...trees.values()];
}

function nodeOf(tree: Tree, id: number, level: number): TreeNode {
  const node = tree.get(id);
  if (node === undefined || level > 64) throw new UnsupportedModel("the trees have a branch that leads nowhere");
  return node;
}

function depthOf(tree: Tree, id: number, level: number): number {
  const node = nodeOf(tree, id, level);
  return node.kind === "leaf"
    ? 0
    : 1 + Math.max(depthOf(tree, node.left, level + 1), depthOf(tree, node.right, level + 1));
}

type CompleteTree = { features: number[]; thresholds: number[]; leaves: number[] };

/** The tree with all its leaves at `depth`: a leaf above is repeated, behind branches that decide nothing. */
function completeTree(tree: Tree, depth: number): CompleteTree {
  const branches = 2 ** depth - 1;
  const zeros = () => new Array<number>(branches).fill(0);
  const complete: CompleteTree = { features: zeros(), thresholds: zeros(), leaves: [...zeros(), 0] };
  function place(id: number, position: number, level: number): void {
    const node = nodeOf(tree, id, level);
    if (level === depth) {
      complete.leaves[position - branches] = node.kind === "leaf" ? node.value : 0;
      return;
    }
    const [left, right] = node.kind === "leaf" ? [id, id] : [node.left, node.right];
    if (node.kind === "branch") {
      complete.features[position] = node.feature;
      complete.thresholds[position] = node.threshold;
    }
    place(left, 2 * position + 1, level + 1);
    place(right, 2 * position + 2, level + 1);
  }
  place(0, 0, 0);
  return complete;
}

/** A threshold at its feature's scale. One beyond the input's bits stands at the end of them, where it decides the same. */
function threshold({ inputBits, exponents }: Choices, feature: number, value: number): bigint {
  const limit = 2 ** (inputBits - 1);
  const exponent = exponents.length === 1 ? exponents[0] : exponents[feature];
  const scaled = Math.floor(value * 2 ** (exponent ?? 0));
  return BigInt(Math.max(-limit, Math.min(limit - 1, scaled)));
}
