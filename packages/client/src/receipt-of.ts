/** The receipt in an answer of OpenAI's form, whichever client handed it over, and the opening that it makes. */
import {
  type Check,
  callOf,
  encodeCall,
  encodeJsonAnswer,
  isJsonObject,
  type JsonObject,
  type JsonOperation,
  type Opening,
  parseReceiptMember,
  type ReceiptMember,
} from "@tallystick/protocol";
import { fieldOf } from "./http.ts";
import { ANSWER_OF } from "./openai-route.ts";

export type AnswerReceipt = ReceiptMember & {
  /** The receipt's id in hex, as `tally verify` takes it. */
  receiptId: string;
  /** What this SDK checked before it gave the answer out. Empty where the answer came by another way: then nothing was. */
  checks: Check[];
};

/** The receipt in a completion, a chunk, a response, or an event that holds one; undefined where there is none. Throws Malformed. */
export function receiptOf(answer: unknown): AnswerReceipt | undefined {
  const found = fieldOf(answer, "receipt") ?? fieldOf(fieldOf(answer, "response"), "receipt");
  if (found === undefined) return undefined;
  const checks = fieldOf(found, "checks");
  return {
    ...parseReceiptMember(found),
    receiptId: String(fieldOf(found, "id")),
    checks: Array.isArray(checks) ? checks.flatMap(checkOf) : [],
  };
}

function checkOf(value: unknown): Check[] {
  const [name, detail, state] = ["name", "detail", "state"].map((key) => String(fieldOf(value, key)));
  if (name === undefined || detail === undefined) return [];
  // An answer in which a check failed is never given out.
  return state === "passed" || state === "not_checked" ? [{ name, detail, state }] : [];
}

/**
 * What opens a receipt's commitments, from the bodies of a request and of its whole answer: for `receiptFile` and `receipt`.
 * Undefined where the answer has no receipt with both salts.
 */
export function openingOf(operation: JsonOperation, request: JsonObject, answer: object): Opening | undefined {
  const receipt = receiptOf(answer);
  if (receipt?.requestSalt === undefined || !isJsonObject(answer)) return undefined;
  return {
    request: { salt: receipt.requestSalt, bytes: encodeCall(callOf(operation, request)) },
    response: { salt: receipt.responseSalt, bytes: encodeJsonAnswer(ANSWER_OF[operation](answer)) },
  };
}
