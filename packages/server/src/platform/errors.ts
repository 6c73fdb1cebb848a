/** What stops a request: one class, a closed set of codes, and the status each has. docs/reference/errors.md lists them. */

export const STATUS = {
  invalid_request: 400,
  unauthenticated: 401,
  price_over_maximum: 402,
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 405,
  conflict: 409,
  model_yanked: 410,
  limit_exceeded: 413,
  unsupported_media_type: 415,
  expired: 422,
  rate_limited: 429,
  internal: 500,
  node_failed: 502,
  unavailable: 503,
  deadline_exceeded: 504,
} as const;
export type ErrorCode = keyof typeof STATUS;

/** A request that is refused. The message is for its sender: what is wrong and what to do. */
export class ServiceError extends Error {
  override name = "ServiceError";
  readonly code: ErrorCode;
  /** The receipt that says so, where the request got as far as a node. */
  readonly receiptId: string | undefined;
  /** The methods that a path takes, where the request came with another. */
  readonly allow: readonly string[] | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    options: { cause?: unknown; receiptId?: string; allow?: readonly string[] } = {},
  ) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.code = code;
    this.receiptId = options.receiptId;
    this.allow = options.allow;
  }
}

/** The refusal of a request whose path takes other methods. */
export function methodRefusal(method: string, path: string, allow: readonly string[]): ServiceError {
  return new ServiceError("method_not_allowed", `${path} takes ${allow.join(", ")}, not ${method}`, { allow });
}

/** What keeps the daemon from starting or going on: one sentence for its operator. */
export class OperatorError extends Error {
  override name = "OperatorError";
}

/** The code of a system error, as `EADDRINUSE`; undefined for any other. */
export function systemCode(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}
