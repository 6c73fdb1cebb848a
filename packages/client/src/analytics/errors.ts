/** Why analytics could not do what was asked. */
export type AnalyticsFailure =
  /** DuckDB is not installed. */
  | "missing"
  /** The question is not one, or not one that may be asked. */
  | "refused"
  /** It took too much memory, or its answer is too large; or it took too long. */
  | "limit"
  | "deadline"
  /** Too many wait, or the system starts no process at the moment. */
  | "busy"
  /** Nobody waits for the answer any more; or the engine was closed meanwhile. */
  | "cancelled"
  | "closed"
  | "crashed";

export class AnalyticsError extends Error {
  override name = "AnalyticsError";
  readonly failure: AnalyticsFailure;

  constructor(failure: AnalyticsFailure, message: string, options?: ErrorOptions) {
    super(message, options);
    this.failure = failure;
  }
}
