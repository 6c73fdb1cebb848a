/** What an upstream says with a status other than 200, and how much of it anybody is shown. */

import type { IncomingHttpHeaders } from "node:http";
import { findJson, isJsonObject, type JsonObject } from "@tallystick/protocol";
import type { Response } from "./exchange.ts";
import { UpstreamFault } from "./fault.ts";
import { REFUSAL_SHOWN_LENGTH, REFUSAL_SIZE_BYTES } from "./limits.ts";

/** An upstream that answered with a status. Its own words are apart from the message, which is ours. */
export class StatusFault extends UpstreamFault {
  readonly status: number;
  readonly retryAfterMs: number;
  /** What it said of the request, for who sent it. */
  readonly words: string | undefined;
  readonly param: string | undefined;
  /** A word of the API's for what is wrong, as `invalid_api_key`: for the operator. */
  readonly code: string | undefined;

  constructor(status: number, said: Omit<Said, "status">) {
    super(`status_${status}`, `the upstream answered with the status ${status}`);
    this.status = status;
    this.retryAfterMs = said.retryAfterMs;
    this.words = said.words;
    this.param = said.param;
    this.code = said.code;
  }
}

type Said = Pick<StatusFault, "status" | "retryAfterMs" | "words" | "param" | "code">;

/** Reads the refusal in `response`, as far as it is shown to anybody. */
export async function readRefusal({ status, headers, next }: Response, nowMs: number): Promise<StatusFault> {
  const parts: Uint8Array[] = [];
  for (let sizeBytes = 0; sizeBytes < REFUSAL_SIZE_BYTES; ) {
    const chunk = await next();
    if (chunk === undefined) break;
    sizeBytes += chunk.length;
    parts.push(chunk);
  }
  const said = parseRefusal(Buffer.concat(parts).toString("utf8"));
  const { param } = said;
  const code = [said.code, said.type].find((word) => typeof word === "string" && /^[a-zA-Z0-9_.-]{1,64}$/.test(word));
  return new StatusFault(status, {
    retryAfterMs: retryAfterMs(headers, nowMs),
    words: typeof said.message === "string" ? said.message : undefined,
    param: typeof param === "string" ? param : undefined,
    code: typeof code === "string" ? code : undefined,
  });
}

/** OpenAI's error object, Ollama's error text, FastAPI's detail: whichever it is, as OpenAI's object. */
function parseRefusal(text: string): JsonObject {
  const value = findJson(text);
  if (!isJsonObject(value)) return {};
  const { error, detail } = value;
  if (isJsonObject(error)) return error;
  if (typeof error === "string") return { message: error };
  return typeof detail === "string" ? { message: detail } : value;
}

/** `retry-after` in either of its forms, and the finer one of OpenAI's; 0 where there is none. */
function retryAfterMs(headers: IncomingHttpHeaders, nowMs: number): number {
  const [finer, given] = [headers["retry-after-ms"], headers["retry-after"]];
  const fromSeconds =
    given === undefined ? 0 : /^\d{1,9}$/.test(given) ? Number(given) * 1_000 : Date.parse(given) - nowMs;
  const durationMs = typeof finer === "string" && /^\d{1,9}$/.test(finer) ? Number(finer) : fromSeconds;
  return Number.isFinite(durationMs) ? Math.max(durationMs, 0) : 0;
}

/** An upstream's words as its caller may see them: one line, short, and none of what is only between the upstream and its operator. */
export function shownWords(
  words: string,
  secrets: readonly string[],
  names: readonly [theirs: string, ours: string][],
): string {
  let shown = words;
  const hidden = (text: string) => text.length > 2; // Less would be found in any word.
  for (const secret of secrets.filter(hidden)) shown = shown.replaceAll(secret, "…");
  for (const [theirs, ours] of names.filter(([theirs]) => hidden(theirs))) shown = shown.replaceAll(theirs, ours);
  shown = shown
    .replace(/\b(?:sk|pk|key|hf|gsk|xai)[-_][A-Za-z0-9_*.-]{6,}/g, "…")
    .replace(/[\p{Cc}\p{Surrogate}\s]+/gu, " ")
    .trim();
  return shown.length > REFUSAL_SHOWN_LENGTH ? `${shown.slice(0, REFUSAL_SHOWN_LENGTH)}…` : shown;
}
