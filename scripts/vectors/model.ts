/** test/vectors/model: manifests, their revisions and their files roots. */
import { createHash } from "node:crypto";
import { cbor, type Item, map } from "./cbor.ts";

const sha256 = (...parts: (string | Uint8Array)[]) =>
  parts.reduce((hash, part) => hash.update(part), createHash("sha256")).digest();

const artifact = (path: string, role = 1): Item => map([1, path], [2, role], [3, path.length], [4, sha256(path)]);
const spec = (name: string, shape: Item = [-1, 2]): Item => map([1, name], [2, 11], [3, shape]);
const root = (...paths: string[]) => sha256(...paths.map((path) => sha256(path)));

const GOOD: [number, Item][] = [
  [0, 1],
  [1, "example/double"],
  [2, "1.0.0"],
  [3, 4],
  [4, "regression"],
  [5, "Apache-2.0"],
  [6, "Doubles each of two numbers."],
  [7, [artifact("card.md", 3), artifact("model.onnx")]],
  [8, root("card.md", "model.onnx")],
  [9, map([1, "table"], [2, 1], [3, "{}"])],
  [10, 1],
  [11, [[spec("x")]]],
  [12, [spec("y")]],
  [13, "row"],
  [14, [map([1, "mean error"], [2, "0"], [3, "the example"])]],
];

function manifest(change: Record<number, Item> = {}): Buffer {
  const added = Object.keys(change)
    .map(Number)
    .filter((key) => !GOOD.some(([known]) => known === key))
    .map((key): [number, Item] => [key, change[key] ?? 0]);
  return cbor(map(...GOOD.map(([key, item]): [number, Item] => [key, change[key] ?? item]), ...added));
}

/** What makes a model that is asked in JSON alone; and one whose answers come of an upstream. */
const SPOKEN: Record<number, Item> = { 11: [], 12: [], 13: "token", 15: [2, 5] };
const RELAYED: Record<number, Item> = { ...SPOKEN, 7: [], 8: root(), 10: 3, 17: "acme" };

export function manifestVectors(): object[] {
  const good = (desc: string, bytes: Buffer, name: string, filesRoot: Buffer) => ({
    desc,
    wantErr: false,
    hex: bytes.toString("hex"),
    name,
    revision: sha256(bytes).toString("hex"),
    filesRoot: filesRoot.toString("hex"),
  });
  const bad = (desc: string, change: Record<number, Item>) => ({
    desc,
    wantErr: true,
    hex: manifest(change).toString("hex"),
  });
  const input = (pairs: [number, Item][]) => ({ 11: [[map(...pairs)]] });
  const files = (...paths: string[]) => ({ 7: paths.map((path) => artifact(path)), 8: root(...paths) });
  return [
    good("a model of two files", manifest(), "example/double", root("card.md", "model.onnx")),
    good("a model without a publisher in its name", manifest({ 1: "double" }), "double", root("card.md", "model.onnx")),
    good("a model of no files", manifest({ 7: [], 8: root() }), "example/double", root()),
    good(
      "inputs in two forms, with content and columns",
      manifest({
        11: [[map([1, "page"], [2, 13], [3, [1]], [4, 2])], [map([1, "x"], [2, 11], [3, [-1, 2]], [5, ["a", "b"]])]],
      }),
      "example/double",
      root("card.md", "model.onnx"),
    ),
    bad("format 2", { 0: 2 }),
    bad("a name in upper case", { 1: "Example/Double" }),
    bad("a name with two slashes", { 1: "a/b/c" }),
    bad("a name of 129 letters", { 1: "a".repeat(129) }),
    bad("a version with a space", { 2: "1 0" }),
    bad("a category that nobody knows", { 3: 6 }),
    bad("a task with an underscore", { 4: "text_detection" }),
    bad("a summary of 301 letters", { 6: "a".repeat(301) }),
    bad("a files root of other files", { 8: root("model.onnx") }),
    bad("a files root in another order", { 8: root("model.onnx", "card.md") }),
    bad("files that are not in order of path", files("model.onnx", "card.md")),
    bad("a file twice", files("card.md", "card.md")),
    bad("a path with a slash", files("a/b")),
    bad("a path out of the folder", files("..")),
    bad("a hidden file", files(".hidden")),
    bad("a file's digest of 31 bytes", { 7: [map([1, "a"], [2, 1], [3, 1], [4, new Uint8Array(31)])] }),
    bad("a role of a file that nobody knows", { 7: [artifact("a", 5)], 8: root("a") }),
    good("a relayed model, which takes no tensors", manifest({ ...RELAYED, 16: 131_072 }), "example/double", root()),
    good(
      "a language model that runs at its node",
      manifest({ ...SPOKEN, 16: 2048 }),
      "example/double",
      root("card.md", "model.onnx"),
    ),
    good("a model of llama.cpp", manifest({ ...SPOKEN, 10: 4 }), "example/double", root("card.md", "model.onnx")),
    good(
      "a model that takes tensors and serves embeddings",
      manifest({ 15: [4] }),
      "example/double",
      root("card.md", "model.onnx"),
    ),
    bad("an engine that nobody knows", { 10: 5 }),
    bad("no forms and no operations", { 11: [], 12: [] }),
    bad("no forms and an empty list of operations", { ...SPOKEN, 15: [] }),
    bad("forms and an empty list of operations", { 15: [] }),
    bad("an operation twice", { ...SPOKEN, 15: [2, 2] }),
    bad("the operation infer, which forms stand for", { ...SPOKEN, 15: [1, 2] }),
    bad("an operation that nobody knows", { ...SPOKEN, 15: [2, 6] }),
    bad("an operation by its name", { ...SPOKEN, 15: ["chat"] }),
    bad("five operations", { ...SPOKEN, 15: [2, 3, 4, 5, 2] }),
    bad("a context under 0", { ...SPOKEN, 16: -1 }),
    bad("a context as text", { ...SPOKEN, 16: "2k" }),
    bad("a relayed model without its upstream", { ...SPOKEN, 10: 3 }),
    bad("an upstream of a model that runs at its node", { ...SPOKEN, 17: "acme" }),
    bad("an upstream's name in upper case", { ...RELAYED, 17: "Acme" }),
    bad("an upstream's name as a URL", { ...RELAYED, 17: "https://acme.example" }),
    bad("an upstream's name of no letter", { ...RELAYED, 17: "" }),
    bad("a key of a manifest that nobody knows", { 18: 0 }),
    bad("an adapter of version 256", { 9: map([1, "table"], [2, 256], [3, "{}"]) }),
    bad("five forms", { 11: Array(5).fill([spec("x")]) }),
    bad("a size of -2", { 11: [[spec("x", [-2])]] }),
    bad("a shape of nine axes", { 11: [[spec("x", Array(9).fill(1))]] }),
    bad(
      "a content that nobody knows",
      input([
        [1, "x"],
        [2, 13],
        [3, [1]],
        [4, 4],
      ]),
    ),
    bad(
      "a key of an input that nobody knows",
      input([
        [1, "x"],
        [2, 11],
        [3, [1]],
        [6, 0],
      ]),
    ),
    bad("a quality as one text", { 14: "good" }),
  ];
}
