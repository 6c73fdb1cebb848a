/**
 * What a model revision is: its files by digest, how its inputs become tensors, what runs it.
 * The revision's digest is SHA-256 of the manifest's deterministic CBOR (docs/spec/entry.md), so a revision can be
 * neither renamed nor changed: another byte is another revision.
 */
import type { JsonOperation } from "../call/operation.ts";
import type { Datatype } from "../call/tensor.ts";

export const CATEGORIES = ["vision", "audio", "text", "risk", "forecasting"] as const;
export type Category = (typeof CATEGORIES)[number];

/** A file of a revision. `model` is an ONNX graph, `file` is what an adapter reads, `card` and `example` are for people. */
export type Artifact = {
  path: string;
  role: "model" | "file" | "card" | "example";
  sizeBytes: number;
  digest: Uint8Array;
};

/** A named input or output; -1 in a shape is any size. `columns` names the positions of the last axis. */
export type TensorSpec = {
  name: string;
  datatype: Datatype;
  shape: number[];
  /** What the bytes of a BYTES element are. */
  content?: "text" | "image" | "wav";
  columns?: string[];
};

/** A figure of quality, measured by a script in this repository or stated by the weights' publisher. */
export type Quality = { metric: string; value: string; on: string };

export type Manifest = {
  /** `publisher/model`, lower-case. */
  name: string;
  version: string;
  category: Category;
  task: string;
  licence: string;
  summary: string;
  artifacts: Artifact[];
  /** SHA-256 over the artifacts' digests in order of path: the subject digest of OpenSSF Model Signing v1.0. */
  filesRoot: Uint8Array;
  adapter: { name: string; version: number; options: string };
  /**
   * `judge`: onnxruntime-web, bit-exact everywhere. `native`: onnxruntime-node, faster, compared within a tolerance. `llama`:
   * llama.cpp, likewise. `relay`: it runs elsewhere, at the upstream of this name.
   */
  engine: "judge" | "native" | "relay" | "llama";
  /** The sets of inputs a call in tensors may carry; the first is what a person would send. */
  forms: TensorSpec[][];
  outputs: TensorSpec[];
  /** What is counted: `row`, `image`, `second`, `text`. */
  unit: string;
  quality: Quality[];
  /** OpenAI's operations that this revision serves; none where this lacks. */
  operations?: JsonOperation[];
  /** The most tokens of input and output together. */
  contextLength?: number;
  /** The registered name of who runs it, of a relayed model. */
  upstream?: string;
  /** How far another run's numbers may be off: `absolute + relative × |value|`. Of a revision that does not run on the judge. */
  tolerance?: { absolute: string; relative: string };
  /** The integer circuit by which its answers are proved. */
  circuit?: Circuit;
};

/** An integer circuit of a model, of which a proof says: these weights gave this output on this input. */
export type Circuit = {
  /** SHA-256 of the Noir program's text: the architecture, without weights. */
  program: Uint8Array;
  /** SHA-256 of the verification key, which anybody computes again from the program. */
  verificationKey: Uint8Array;
  /** The Poseidon2 commitment to the weights, big-endian. */
  weights: Uint8Array;
  /** On how many of the measured rows the circuit says what the float model says. */
  agreeing: number;
  measured: number;
};
