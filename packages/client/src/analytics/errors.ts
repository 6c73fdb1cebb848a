/** Why analytics could not do what was asked: the engine is not there, the question is refused, or it took too much; or too many wait. */
export type AnalyticsFailure = "missing" | "refused" | "limit" | "busy" | "crashed";

export class AnalyticsError extends Error {
  override name = "AnalyticsError";
  readonly failure: AnalyticsFailure;

  constructor(failure: AnalyticsFailure, message: string, options?: ErrorOptions) {
    super(message, options);
    this.failure = failure;
  }
}
