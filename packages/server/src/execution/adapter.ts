/**
 * An adapter turns what a caller sends (an image, a WAV, a text, tensors) into what a model's graph takes,
 * and what the graph gives into what the caller wants. It is named and versioned in the revision's manifest,
 * and it is deterministic: the same bytes in give the same bytes out on every machine, for the node and the judge alike.
 */
import type { Tensor } from "@tallystick/protocol";
import type { ClaimedTokens, Generation, GenerationRequest } from "./generation.ts";

/** What an adapter stands on: the revision's sessions, files and options, and nothing else. */
export type Kit = {
  /** Runs the ONNX artifact at `path` in the manifest. `feeds` are named as the graph's inputs are. */
  run(path: string, feeds: Tensor[]): Promise<Tensor[]>;
  /** The bytes of any artifact of the manifest. */
  file(path: string): Uint8Array;
  /** The manifest's `adapter.options`, parsed JSON. */
  options: unknown;
  /** The manifest's, in tokens. */
  contextLength: number | undefined;
};

/** One call's answer: outputs and how many of the manifest's units they took, or what its sender did wrong. */
export type Outcome = { ok: true; outputs: Tensor[]; unitCount: number } | { ok: false; message: string };

export type Adapter = {
  name: string;
  version: number;
  /** Answers each call at its own place. What is thrown is a fault of ours or of the graph, never of one input. */
  run(calls: Tensor[][], kit: Kit): Promise<Outcome[]>;
  /** Writes text. What is thrown is a fault likewise; which bits come depends on this request alone. */
  generate?(request: GenerationRequest, kit: Kit, claimed?: ClaimedTokens): Generation;
};
