/** Text that a model writes, as it is asked for and as it comes: in pieces, with an end that says what came of it. */
import { utf8 } from "@tallystick/protocol";
import type { Tolerance } from "./compare.ts";
import { GENERATION_LIMITS } from "./limits.ts";

export type GenerationRequest = {
  prompt: { kind: "chat"; messages: { role: string; content: string }[] } | { kind: "text"; text: string };
  /** Without one, up to the model's context. */
  maxTokens: number | undefined;
  /** 0 takes the likeliest token each time. */
  temperature: number;
  topP: number;
  /** A whole number below 2^53: with the same request it gives the same tokens. */
  seed: number;
  stop: string[];
  choiceCount: number;
  /** How many of the likeliest tokens are told at each place; without it, no probabilities at all. */
  topLogprobs: number | undefined;
  frequencyPenalty: number;
  presencePenalty: number;
  /** Whether the prompt, which is a text, comes before what is written. */
  echo: boolean;
};

/** A token and the natural logarithm of its probability, as the model gave it: before temperature and penalties. */
export type TokenLogprob = Logprob & { top: Logprob[] };
export type Logprob = { token: string; bytes: number[]; logprob: number };

/** More of the choice `index`. Its text is whole characters, and never of a stop string. */
export type GenerationDelta = { index: number; text: string; logprobs: TokenLogprob[] };

export type FinishedChoice = { index: number; finishReason: "stop" | "length"; tokens: number[] };

/** Tokens that somebody says were written, by choice, and how far another run's logits may be from those they came of. */
export type ClaimedTokens = { tokens: number[][]; tolerance: Tolerance };

export type GenerationEnd =
  | { kind: "answered"; choices: FinishedChoice[]; promptTokens: number; completionTokens: number }
  /** The caller's fault. */
  | { kind: "refused"; message: string }
  /** Too many wait already, and this one was not tried. */
  | { kind: "overloaded"; message: string }
  | { kind: "failed"; reason: "deadline" | "memory" | "crashed" | "engine"; message: string }
  | { kind: "cancelled" };

/** What an adapter's generation comes to. */
export type GenerationOutcome = GenerationEnd & { kind: "answered" | "refused" };

/** A generation under way: it yields after each pass of the model, so that it can be left off there. */
export type Generation = AsyncGenerator<GenerationDelta[], GenerationOutcome>;

/** What no model takes, in words for the caller. */
export function generationFault(request: GenerationRequest): string | undefined {
  const { prompt, maxTokens = 0, temperature, topP, seed, stop, choiceCount, topLogprobs, echo } = request;
  const { stops, stopBytes, choices, topTokens, promptBytes } = GENERATION_LIMITS;
  const whole = (value: number, most: number) => Number.isInteger(value) && value >= 0 && value <= most;
  const within = (value: number, least: number, most: number) => value >= least && value <= most;
  if (!whole(maxTokens, Number.MAX_SAFE_INTEGER)) return "max_tokens must be a whole number from 0";
  if (!within(temperature, 0, 2)) return "temperature must be 0 to 2";
  if (!(topP > 0 && topP <= 1)) return "top_p must be more than 0 and at most 1";
  if (!whole(seed, Number.MAX_SAFE_INTEGER)) return "seed must be a whole number from 0, below 2^53";
  if (stop.length > stops) return `stop may have ${stops} strings, not ${stop.length}`;
  if (stop.some((text) => text === "" || utf8(text).length > stopBytes))
    return `a stop string must have 1 to ${stopBytes} bytes`;
  if (choiceCount < 1 || !whole(choiceCount, choices)) return `n must be 1 to ${choices}`;
  if (topLogprobs !== undefined && !whole(topLogprobs, topTokens)) return `top_logprobs must be 0 to ${topTokens}`;
  for (const penalty of [request.frequencyPenalty, request.presencePenalty])
    if (!within(penalty, -2, 2)) return "frequency_penalty and presence_penalty must be -2 to 2";
  if (promptSize(request) > promptBytes) return `the prompt is longer than ${promptBytes} bytes`;
  if (prompt.kind === "chat" && prompt.messages.length === 0) return "messages are missing: send at least one";
  if (echo && prompt.kind === "chat") return "echo is for a prompt of text: leave it out of a chat";
  if (echo && topLogprobs !== undefined) return "echo and logprobs do not go together here: leave one of them out";
  return undefined;
}

/** The bytes of a request's text. */
export function promptSize({ prompt }: GenerationRequest): number {
  if (prompt.kind === "text") return utf8(prompt.text).length;
  return prompt.messages.reduce((sum, { role, content }) => sum + utf8(role).length + utf8(content).length, 0);
}
