/** How a refusal is written: as a problem (RFC 9457) on routes of our own, and in the shape of whoever else a path is of. */
import { type ErrorCode, type ServiceError, STATUS } from "./errors.ts";
import { PROBLEMS, problemUri } from "./problems.ts";

/** OpenAI's errors, the Open Inference Protocol's, else a problem: on the paths of C2SP too, which says nothing of such bodies. */
export type RefusalShape = "openai" | "oip" | "problem";

/** A model's list and page are OpenAI's; its badge is ours. */
const OF_OTHERS: readonly [shape: RefusalShape, path: RegExp][] = [
  ["problem", /^\/v1\/models\/.+\/badge\.svg$/],
  ["openai", /^\/v1\/(?:chat|completions|embeddings|responses|models)(?:\/|$)/],
  ["oip", /^\/v2(?:\/|$)/],
];

export function refusalShapeOf(path: string): RefusalShape {
  return OF_OTHERS.find(([, pattern]) => pattern.test(path))?.[0] ?? "problem";
}

/** The shape that OpenAI's clients read: on their routes all there is, in the middle of a stream, and as `error` of a problem. */
export type ErrorBody = { message: string; type: string; param: string | null; code: ErrorCode; receiptId?: string };

/** What a refusal says to OpenAI's clients: in an answer, or in the middle of a stream. */
export function errorBody({ code, message, param, receiptId }: ServiceError): Record<"error", ErrorBody> {
  const error = { message, type: typeOf(code), param: param ?? null, code };
  return { error: receiptId === undefined ? error : { ...error, receiptId } };
}

export function writeRefusal(refusal: ServiceError, shape: RefusalShape): { contentType: string; body: string } {
  const { code, message, receiptId } = refusal;
  switch (shape) {
    case "openai":
      return { contentType: "application/json", body: JSON.stringify(errorBody(refusal)) };
    case "oip": {
      const receipt = receiptId === undefined ? {} : { receipt_id: receiptId };
      return { contentType: "application/json", body: JSON.stringify({ error: message, code, ...receipt }) };
    }
    case "problem": {
      const problem = { type: problemUri(code), title: PROBLEMS[code].title, status: STATUS[code], detail: message };
      return { contentType: "application/problem+json", body: JSON.stringify({ ...problem, ...errorBody(refusal) }) };
    }
  }
}

/** The class that OpenAI's clients know a refusal by. */
function typeOf(code: ErrorCode): string {
  const status = STATUS[code];
  if (code === "insufficient_quota") return "insufficient_quota";
  if (status === 401) return "authentication_error";
  if (status === 403) return "permission_error";
  if (status === 429) return "rate_limit_error";
  return status >= 500 ? "server_error" : "invalid_request_error";
}
