/**
 * What the members of an upstream's chunk say, in the words of `Delta` and `Usage`. An odd shape that means the same is read; a
 * value that cannot be is an UpstreamFault. Whole answers have the same members under `message`.
 */
import { isJsonObject, type JsonObject } from "@tallystick/protocol";
import type { FinishReason, TokenLogprob, TopLogprob, Usage } from "../node/generation.ts";
import { malformed } from "./fault.ts";
import { TOKENS_MOST, WORD_LENGTH } from "./limits.ts";

const FINISH_REASONS: Record<string, FinishReason> = {
  stop: "stop",
  length: "length",
  tool_calls: "tool_calls",
  content_filter: "content_filter",
};

/** Half of a surrogate pair: no UTF-8 says it, so what would be signed is not what was read. */
const HALF_A_CHARACTER = /\p{Surrogate}/u;

/** A text; undefined where there is none. */
export function readText(value: unknown, name: string): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "string") throw malformed(`its ${name} is no text`);
  if (HALF_A_CHARACTER.test(value)) throw malformed(`its ${name} has half a character`);
  return value;
}

/** A short text that is there; undefined where it is empty, as in the first chunk of Azure's. */
export function readWord(value: unknown, name: string): string | undefined {
  const word = readText(value, name);
  if (word !== undefined && word.length > WORD_LENGTH) throw malformed(`its ${name} is too long`);
  return word === "" ? undefined : word;
}

export function readFinishReason(value: unknown): FinishReason | undefined {
  if (value === undefined || value === null || value === "") return undefined;
  const reason = typeof value === "string" && Object.hasOwn(FINISH_REASONS, value) ? FINISH_REASONS[value] : undefined;
  if (reason === undefined) throw malformed("its finish_reason is none that an answer ends with");
  return reason;
}

/** Tokens, where both counts are there; a partial object says nothing. */
export function readUsage(value: unknown): Usage | undefined {
  if (!isJsonObject(value)) return undefined;
  const promptTokens = readTokens(value.prompt_tokens);
  const completionTokens = readTokens(value.completion_tokens);
  if (promptTokens === undefined || completionTokens === undefined) return undefined;
  const cachedTokens = readDetail(value.prompt_tokens_details, "cached_tokens");
  const reasoningTokens = readDetail(value.completion_tokens_details, "reasoning_tokens");
  return {
    promptTokens,
    completionTokens,
    ...(cachedTokens === undefined ? {} : { cachedTokens }),
    ...(reasoningTokens === undefined ? {} : { reasoningTokens }),
  };
}

/** A count of tokens; undefined where there is none. */
export function readTokens(value: unknown): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "number" || !Number.isInteger(value) || value < 0 || value > TOKENS_MOST)
    throw malformed("its usage counts what cannot be counted");
  return value;
}

function readDetail(details: unknown, name: string): number | undefined {
  return isJsonObject(details) ? readTokens(details[name]) : undefined;
}

/** Logprobs in the shape of chat, or in that of completions, which some upstreams send for chat as well. */
export function readLogprobs(value: unknown): TokenLogprob[] | undefined {
  if (!isJsonObject(value)) return undefined;
  const { content, refusal, tokens } = value;
  const listed = Array.isArray(content) ? content : Array.isArray(refusal) ? refusal : undefined;
  if (listed !== undefined) return listed.map(readTokenLogprob);
  return Array.isArray(tokens) ? readColumns(value, tokens) : undefined;
}

function readTokenLogprob(value: unknown): TokenLogprob {
  if (!isJsonObject(value)) throw malformed("its logprobs are none");
  const alternatives = value.top_logprobs ?? [];
  if (!Array.isArray(alternatives)) throw malformed("its top_logprobs are no list");
  return { ...readTopLogprob(value), top_logprobs: alternatives.map(readTopLogprob) };
}

function readTopLogprob(value: unknown): TopLogprob {
  if (!isJsonObject(value)) throw malformed("its logprobs are none");
  return tokenLogprob(value.token, value.logprob, value.bytes);
}

function tokenLogprob(token: unknown, logprob: unknown, bytes: unknown): TopLogprob {
  if (typeof token !== "string" || HALF_A_CHARACTER.test(token) || typeof logprob !== "number")
    throw malformed("its logprobs are none");
  if (bytes === undefined || bytes === null) return { token, bytes: null, logprob };
  const isByte = (byte: unknown): byte is number => Number.isInteger(byte) && Number(byte) >= 0 && Number(byte) <= 255;
  if (!Array.isArray(bytes) || !bytes.every(isByte)) throw malformed("its logprobs have bytes that are none");
  return { token, bytes, logprob };
}

/** `tokens`, `token_logprobs` and `top_logprobs`, a column each; the alternatives of a token by their text. */
function readColumns({ token_logprobs, top_logprobs }: JsonObject, tokens: unknown[]): TokenLogprob[] {
  const logprobs: unknown[] = Array.isArray(token_logprobs) ? token_logprobs : [];
  const alternatives: unknown[] = Array.isArray(top_logprobs) ? top_logprobs : [];
  return tokens.map((token, i) => {
    const others = alternatives[i];
    const top = isJsonObject(others)
      ? Object.entries(others).map(([text, logprob]) => tokenLogprob(text, logprob, undefined))
      : [];
    return { ...tokenLogprob(token, logprobs[i], undefined), top_logprobs: top };
  });
}
