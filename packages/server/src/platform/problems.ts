/**
 * The types of problems (RFC 9457): what each code of a refusal means and what to do about it. The page `/errors` and the table in
 * docs/reference/errors.md say the same.
 */
import type { ErrorCode } from "./errors.ts";

export type ProblemType = {
  /** The same for every refusal of the type. */
  title: string;
  meaning: string;
  remedy: string;
};

/** Where the page of all types is; a type is a part of it. */
export const PROBLEMS_PATH = "/errors";

/** The URI reference that names a type, for good. */
export const problemUri = (code: ErrorCode): string => `${PROBLEMS_PATH}#${code}`;

export const PROBLEMS: Readonly<Record<ErrorCode, ProblemType>> = {
  invalid_request: {
    title: "The request cannot be answered as it is",
    meaning:
      "the body, a parameter or an id is malformed, or is not what the model takes; or a question in SQL asks for what it may not, or for more than an answer holds",
    remedy: "change the request as the message says; with a `receiptId`, the model itself refused the input",
  },
  unauthenticated: {
    title: "The API key is missing or not valid",
    meaning: "no API key, or one that is unknown, revoked or expired",
    remedy: "send `authorization: Bearer KEY`; a local network's key is in `keys/api-key` of its data folder",
  },
  price_over_maximum: {
    title: "The price is over the maximum",
    meaning: "the call costs, or may cost, more than it allows",
    remedy:
      "set `parameters.max_price`, or the authorization's maximum, to what the call may cost; or let its answer have fewer tokens",
  },
  insufficient_quota: {
    title: "The balance or the budget does not cover the call",
    meaning: "the account's balance, or the budget of its API key, does not cover the call",
    remedy:
      "top up the account, or use a key with a larger budget; waiting does not help, so stock clients do not retry",
  },
  forbidden: {
    title: "Not permitted to this key",
    meaning: "a signature does not hold, its key may not say this, or the API key has not the scope or the model",
    remedy:
      "sign with the key that the message names; enrol a relier's key first, and set the TXT record that is named where it has a domain; use an API key with the scope that is named; the network's own roles cannot rely",
  },
  not_found: {
    title: "Nothing there",
    meaning: "no such model, receipt, opening, proof, artifact, tile or path",
    remedy:
      "`GET /v1/models` lists the models; a receipt can be relied on once a checkpoint covers it, within a second",
  },
  method_not_allowed: {
    title: "The path takes another method",
    meaning: "the path takes another method",
    remedy: "use one of those in the header `allow`",
  },
  conflict: {
    title: "The log has something else already",
    meaning:
      "the authorization or its nonce was used, the nonce is outside the window, the receipt is no valid inference, the log has that statement already or the opposite of it, or the session key is granted to another account",
    remedy:
      "sign a new authorization with the next nonce; do not send the old one again; for a session, make a new session key",
  },
  idempotency_conflict: {
    title: "The request was taken before",
    meaning: "a request with this `Idempotency-Key` was taken before, and its answer is not kept",
    remedy: "look at the receipt that is named; without one, in the log. To run it again, send a new key",
  },
  model_yanked: {
    title: "The revision was withdrawn",
    meaning: "the revision was withdrawn by its publisher",
    remedy: "take another revision from `GET /v1/models`",
  },
  policy_unmet: {
    title: "No answer meets the acceptance policy",
    meaning: "no answer that is offered is one that the policy of the call, or of its API key, accepts",
    remedy: "ask for another model, or accept less: the message names the demand (docs/policy.md)",
  },
  limit_exceeded: {
    title: "The body is too large",
    meaning: "the body is over the limit of its path",
    remedy: "send less at once; the message names the limit",
  },
  unsupported_media_type: {
    title: "The path takes another content type",
    meaning: "the path takes another content type, or no compressed body",
    remedy:
      "send `application/cbor` to `POST /v1/infer`, or JSON to `POST /v2/models/{model}/infer`; send it uncompressed",
  },
  expired: {
    title: "The authorization or its session has ended",
    meaning: "the authorization or its session has ended",
    remedy: "sign a new authorization, in a new session if need be; check the clock of this machine",
  },
  idempotency_mismatch: {
    title: "The Idempotency-Key is of another request",
    meaning: "this `Idempotency-Key` was used for another request",
    remedy: "a new request has a new key; the same request has the same path and bytes",
  },
  rate_limited: {
    title: "Too many requests",
    meaning:
      "the API key's requests or units a minute, or calls at once, are used up; too many strangers' keys enrolled, or affiliations, audits and disputes of labels came, from one address or from all; or too many disputes of a key, or checks, wait",
    remedy:
      "wait as `retry-after` and `retry-after-ms` say, and try again; `x-ratelimit-*` and `ratelimit` say what is left; a dispute can be sent again once the referee has decided one",
  },
  cancelled: {
    title: "The caller went away",
    meaning: "the caller went away before the answer was whole; of a call the receipt says so, and it cost nothing",
    remedy: "nothing: nobody waits for it",
  },
  internal: {
    title: "A fault of the server",
    meaning: "a fault of the server, which its operator was told of",
    remedy: "report it to the operator, with the time",
  },
  node_failed: {
    title: "The node gave no answer",
    meaning: "the node took the call and gave no answer: it crashed, or ran out of memory",
    remedy: "look at the input's size; a new call gets another worker",
  },
  unavailable: {
    title: "Not at the moment",
    meaning: "more waits than can be served, the log cannot write, or the network is stopping",
    remedy: "try again after `retry-after`; where it goes on, its operator must look at the disk",
  },
  deadline_exceeded: {
    title: "It took too long",
    meaning: "the model did not answer within the time a call may take, or a question in SQL took longer than it may",
    remedy: "send a smaller input, or ask the operator for a longer deadline; in SQL, ask for less",
  },
};
