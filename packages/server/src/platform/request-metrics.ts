/** What is measured of requests. The GenAI names and buckets are those of OpenTelemetry's semantic conventions, as Prometheus spells them. */
import type { Metrics } from "./metrics.ts";
import type { Ended } from "./requests.ts";

const HTTP_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const CALL_SECONDS = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
const FIRST_TOKEN_SECONDS = [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];
const TOKENS = [1, 4, 16, 64, 256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216, 67_108_864];

const METHODS = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);

export type RequestMetrics = {
  refused(reason: string): void;
  ended(request: Ended): void;
};

export function createRequestMetrics(
  metrics: Metrics,
  current: { inFlight(): number; streams(): number },
): RequestMetrics {
  const requests = metrics.counter({
    name: "tally_requests_total",
    help: "Requests that were answered, by route, status and the model that was called.",
    labels: ["http_request_method", "http_route", "http_response_status_code", "gen_ai_request_model"],
  });
  const durations = metrics.histogram(
    {
      name: "http_server_request_duration_seconds",
      help: "From a request's head to the end of its answer.",
      labels: ["http_route"],
    },
    HTTP_SECONDS,
  );
  const called = ["gen_ai_operation_name", "gen_ai_request_model"];
  const calls = metrics.histogram(
    {
      name: "gen_ai_server_request_duration_seconds",
      help: "From a call's head to the end of its answer.",
      labels: [...called, "error_type"],
    },
    CALL_SECONDS,
  );
  const firstTokens = metrics.histogram(
    {
      name: "gen_ai_server_time_to_first_token_seconds",
      help: "From a call's head to the first of its answer.",
      labels: called,
    },
    FIRST_TOKEN_SECONDS,
  );
  const tokens = metrics.histogram(
    { name: "gen_ai_client_token_usage", help: "Tokens of a call, by kind.", labels: [...called, "gen_ai_token_type"] },
    TOKENS,
  );
  const receipts = metrics.counter({
    name: "tally_receipts_total",
    help: "Receipts given with an answer since the start, by status.",
    labels: ["status"],
  });
  const limited = metrics.counter({
    name: "tally_rate_limited_total",
    help: "Requests over the limits of their key, or over a limit of strangers'.",
    labels: ["http_route"],
  });
  const refusals = metrics.counter({
    name: "tally_refused_total",
    help: "Requests for which there was no room: requests, streams, or draining.",
    labels: ["reason"],
  });
  metrics.gauge({ name: "tally_requests_in_flight", help: "Requests that are being answered." }, current.inFlight);
  metrics.gauge({ name: "tally_streams_in_flight", help: "Answers that are being streamed." }, current.streams);

  return {
    refused: (reason) => refusals.add([reason]),

    ended({ method, route, status, durationMs, operation, model, firstTokenMs, tokens: used, errorCode, receiptId }) {
      requests.add([METHODS.has(method) ? method : "other", route, String(status), model ?? ""]);
      durations.observe([route], durationMs / 1000);
      if (status === 429) limited.add([route]);
      if (operation === undefined || model === undefined) return;
      calls.observe([operation, model, errorCode ?? ""], durationMs / 1000);
      if (receiptId !== undefined) receipts.add([errorCode === undefined ? "ok" : "failed"]);
      if (firstTokenMs !== undefined) firstTokens.observe([operation, model], firstTokenMs / 1000);
      if (used === undefined) return;
      tokens.observe([operation, model, "input"], used.input);
      tokens.observe([operation, model, "output"], used.output);
    },
  };
}
