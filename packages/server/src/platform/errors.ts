/** What stops a request: one class, a closed set of codes, and the status each has. docs/reference/errors.md lists them. */

export const STATUS = {
  invalid_request: 400,
  unauthenticated: 401,
  price_over_maximum: 402,
  insufficient_quota: 402,
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 405,
  conflict: 409,
  idempotency_conflict: 409,
  model_yanked: 410,
  policy_unmet: 412,
  limit_exceeded: 413,
  unsupported_media_type: 415,
  expired: 422,
  idempotency_mismatch: 422,
  rate_limited: 429,
  cancelled: 499,
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
  /** The parameter that is at fault, by its name in the request. */
  readonly param: string | undefined;
  /** When to try again, where that is known. */
  readonly retryAfterMs: number | undefined;
  /** What else its answer says in headers: of a limit, how much is left of it. */
  readonly headers: Readonly<Record<string, string>>;
  /** Whether work may have been done that nobody can tell of: a receipt that the log may have or lack. */
  readonly isOutcomeUnknown: boolean;

  constructor(code: ErrorCode, message: string, options: RefusalOptions = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.code = code;
    this.receiptId = options.receiptId;
    this.allow = options.allow;
    this.param = options.param;
    this.retryAfterMs = options.retryAfterMs;
    this.headers = options.headers ?? {};
    this.isOutcomeUnknown = options.isOutcomeUnknown ?? false;
  }
}

export type RefusalOptions = {
  cause?: unknown;
  receiptId?: string;
  allow?: readonly string[];
  param?: string;
  retryAfterMs?: number;
  headers?: Readonly<Record<string, string>>;
  isOutcomeUnknown?: boolean;
};

/** Codes of what may have failed while it ran. */
const OF_WORK: ReadonlySet<ErrorCode> = new Set(["internal", "node_failed", "deadline_exceeded", "cancelled"]);

/** Whether a request may have been worked on before it failed. Where not, the same request can be sent again. */
export function mayHaveRun(error: unknown): boolean {
  if (!(error instanceof ServiceError)) return true;
  return error.receiptId !== undefined || error.isOutcomeUnknown || OF_WORK.has(error.code);
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
