import { Hono } from "hono";
import { expect, test } from "vitest";
import { type ErrorCode, ServiceError, STATUS } from "./errors.ts";
import { errorResponse, parseJson, withoutRetries } from "./http.ts";
import { PROBLEMS } from "./problems.ts";

/** What a request gets that fails with `error`, of a call at that price. */
async function answerTo(error: unknown, priceAtomic = 0n): Promise<Response> {
  const app = new Hono();
  app.onError((failure, c) => errorResponse(c, failure, () => {}));
  app.get("/", (c) => withoutRetries(c, priceAtomic, () => Promise.reject(error)));
  return app.request("/");
}

const TYPES: Partial<Record<ErrorCode, string>> = {
  unauthenticated: "authentication_error",
  forbidden: "permission_error",
  insufficient_quota: "insufficient_quota",
  rate_limited: "rate_limit_error",
  not_found: "invalid_request_error",
  idempotency_conflict: "invalid_request_error",
  node_failed: "server_error",
};

test("a refusal of our own route is a problem, with OpenAI's four members and the receipt's id in its error", async () => {
  for (const [code, type] of Object.entries(TYPES) as [ErrorCode, string][]) {
    const answer = await answerTo(new ServiceError(code, "says why"));
    expect(answer.status).toBe(STATUS[code]);
    expect(answer.headers.get("content-type")).toBe("application/problem+json");
    expect(await answer.json()).toEqual({
      ...{ type: `/errors#${code}`, title: PROBLEMS[code].title, status: STATUS[code], detail: "says why" },
      error: { message: "says why", type, param: null, code },
    });
  }
  const failed = await answerTo(new ServiceError("node_failed", "why", { receiptId: "ab", param: "model" }));
  expect(await failed.json()).toMatchObject({ error: { param: "model", receiptId: "ab" } });
  // The second is where OpenAI's clients look for what they call the request's id.
  for (const name of ["x-receipt-id", "x-request-id"]) expect(failed.headers.get(name)).toBe("ab");
});

test("when to try again is said in seconds and in milliseconds", async () => {
  const said = async (error: ServiceError) => {
    const { headers } = await answerTo(error);
    return [headers.get("retry-after"), headers.get("retry-after-ms")];
  };
  expect(await said(new ServiceError("rate_limited", "", { retryAfterMs: 1_500 }))).toEqual(["2", "1500"]);
  expect(await said(new ServiceError("unavailable", ""))).toEqual(["1", "1000"]);
  expect(await said(new ServiceError("forbidden", ""))).toEqual([null, null]);
});

test("stock clients are told not to send again what may have run at a price, and what is refused again anyway", async () => {
  const [ran, lost] = [{ receiptId: "ab" }, { isOutcomeUnknown: true }];
  const cases: [unknown, bigint, string | null][] = [
    [new ServiceError("node_failed", "", ran), 5n, "false"],
    [new ServiceError("node_failed", "", ran), 0n, null],
    [new ServiceError("unavailable", "", lost), 5n, "false"],
    [new ServiceError("unavailable", ""), 5n, null],
    [new ServiceError("rate_limited", ""), 5n, null],
    [new Error("a bug"), 5n, "false"],
    [new ServiceError("conflict", ""), 0n, "false"],
    [new ServiceError("idempotency_conflict", ""), 0n, "false"],
  ];
  for (const [error, price, says] of cases)
    expect((await answerTo(error, price)).headers.get("x-should-retry"), String(error)).toBe(says);
});

/** What becomes of a body of JSON. */
function outcomeOf(json: string): unknown {
  try {
    return parseJson(Buffer.from(json));
  } catch (error) {
    return error instanceof ServiceError ? error.code : error;
  }
}

test("JSON that is built to be slow to read is refused before it is read", () => {
  const nested = (depth: number) => `${"[".repeat(depth)}${"]".repeat(depth)}`;
  expect(outcomeOf(nested(65))).toEqual(JSON.parse(nested(65)));
  expect(outcomeOf(nested(66))).toBe("invalid_request");
  expect(outcomeOf(nested(4_000_000))).toBe("invalid_request");
  expect(outcomeOf(`[${"{},".repeat(1_000_000)}1]`)).toBe("limit_exceeded");
  expect(outcomeOf(`{${'"a":1,'.repeat(1_000_000)}"b":1}`)).toBe("limit_exceeded");
});

test("brackets and colons in a text are no structure, whatever is escaped around them", () => {
  for (const text of ["[".repeat(300_000), ":".repeat(300_000), '\\"['.repeat(100_000), "\\\\", '"{"', "\\"])
    expect(outcomeOf(JSON.stringify({ text }))).toEqual({ text });
  expect(outcomeOf('{"a":"')).toBe("invalid_request");
});
