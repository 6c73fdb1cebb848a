/**
 * What a node asks of an engine that answers OpenAI's operations, and what the engine tells while it answers. Names and meanings
 * are those of OpenAI's API; `response` is turned into `chat` before an engine sees it.
 */
import type { JsonObject, PublishedModel } from "@tallystick/protocol";
import type { StopSignal } from "../platform/stop.ts";

/** A model as an engine needs to know it. */
export type RunModel = Pick<PublishedModel, "revision" | "manifest">;

/** A call as an engine gets it: the body that was committed to, which names no model and says nothing of streams. */
export type EngineCall = { operation: "chat" | "completion"; body: JsonObject };

export type TopLogprob = { token: string; bytes: number[] | null; logprob: number };
export type TokenLogprob = TopLogprob & { top_logprobs: TopLogprob[] };

/** A piece of a call of a tool: the id and the name come once, with the first piece. */
export type ToolCallDelta = { index: number; id?: string; name?: string; arguments?: string };

/** The next piece of one choice. */
export type Delta = {
  /** Of the choice. */
  index: number;
  content?: string;
  refusal?: string;
  /** What some engines tell of their reasoning: `reasoning_content`. */
  reasoning?: string;
  toolCalls?: ToolCallDelta[];
  logprobs?: TokenLogprob[];
};

export type FinishReason = "stop" | "length" | "tool_calls" | "content_filter";

/** Tokens, each counted once. */
export type Usage = {
  promptTokens: number;
  completionTokens: number;
  cachedTokens?: number;
  reasoningTokens?: number;
};

/** What an upstream said of itself: committed to, never in clear. */
export type UpstreamWords = { model: string; responseId?: string; fingerprint?: string };

/** One try to have a call answered, in order; they are under the receipt's evidence. */
export type Attempt = { at: string; outcome: string; ms: number };

export type FailureReason = "deadline" | "memory" | "crashed" | "engine" | "upstream";

/** Why there is no answer. A failure after pieces were told is one as well: the call costs nothing. */
export type Unanswered =
  /** The caller's fault, in words for them. */
  | { kind: "refused"; message: string; param?: string }
  | { kind: "failed"; reason: FailureReason; message: string; attempts?: Attempt[] }
  /** The caller went away. */
  | { kind: "cancelled"; attempts?: Attempt[] }
  /** Nothing was tried: somebody else may serve it. */
  | { kind: "overloaded"; message: string };

export type Generated =
  | {
      kind: "answered";
      /** By the index of the choice. */
      finishReasons: FinishReason[];
      usage: Usage;
      /** By choice, where another run of the model may have other bits: they are under the receipt's evidence. */
      tokens?: number[][];
      upstream?: UpstreamWords;
      attempts?: Attempt[];
    }
  | Unanswered;

export type Embedded =
  | { kind: "answered"; vectors: Float32Array[]; promptTokens: number; upstream?: UpstreamWords; attempts?: Attempt[] }
  | Unanswered;

export type GenerationOptions = {
  /** A whole number below 2^53 that comes of the receipt's id, for who samples and was given no seed by the caller. */
  seed: number;
  deadlineMs: number;
  /** Aborted once nobody waits for the answer. */
  signal: StopSignal;
  /** Whether somebody reads the pieces as they come. Where not, the answer may as well come in one. */
  isStreamed: boolean;
  /** Told each piece in order. A promise is waited for: the caller reads more slowly than the engine writes. */
  onDelta(delta: Delta): void | Promise<void>;
};

/** What answers OpenAI's operations: models that run here, and upstreams. */
export type Generator = {
  generate(model: RunModel, call: EngineCall, options: GenerationOptions): Promise<Generated>;
  /** One vector for each input, in order. */
  embed(
    model: RunModel,
    body: JsonObject,
    options: Pick<GenerationOptions, "deadlineMs" | "signal">,
  ): Promise<Embedded>;
  /** What of `body` this model cannot honour, in words for its sender, before anything is signed; undefined where nothing. */
  fault(
    model: RunModel,
    operation: "chat" | "completion" | "embedding",
    body: JsonObject,
  ): { message: string; param: string } | undefined;
};

const TENSORS_ONLY: Unanswered = { kind: "refused", message: "this node answers calls in tensors alone" };

/** What a node says of OpenAI's operations that has no engine for them. */
export const NO_GENERATOR: Generator = {
  generate: async () => TENSORS_ONLY,
  embed: async () => TENSORS_ONLY,
  fault: () => undefined,
};
