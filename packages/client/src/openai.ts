/** For who has a client of `openai`: the same client, whose answers are signed for and checked (docs/clients/openai.md). */
import type { OpenAI } from "openai";
import { createVerifiedFetch, type VerifiedFetchOptions } from "./verified-fetch.ts";

export { findTallystickError } from "./errors.ts";
export { type AnswerReceipt, receiptOf } from "./receipt-of.ts";

/**
 * A client like `openai` whose calls are signed here and whose answers are checked before they are given. The network is the
 * client's own base URL, and its API key opens the session, where the options name no other.
 */
export function verified<Client extends OpenAI>(openai: Client, options: Partial<VerifiedFetchOptions> = {}): Client {
  const url = options.url ?? openai.baseURL.replace(/\/v1\/*$/, "");
  const own = openai.apiKey === null ? {} : { apiKey: openai.apiKey };
  const fetch = createVerifiedFetch({ ...own, ...options, url });
  return openai.withOptions({ baseURL: `${url.replace(/\/+$/, "")}/v1`, fetch });
}
