import { Hono } from "hono";
import { expect, test } from "vitest";
import { cors } from "./cors.ts";
import { ServiceError } from "./errors.ts";
import { errorResponse } from "./http.ts";

const app = new Hono();
app.use(cors);
app.post("/v1/chat/completions", (c) => c.json({}, 200, { "x-receipt-id": "ab" }));
app.post("/v1/raw", () => new Response("made elsewhere"));
app.post("/v1/refused", () => {
  throw new ServiceError("unauthenticated", "who are you");
});
app.get("/metrics", (c) => c.text("private"));
app.onError((error, c) => errorResponse(c, error, () => {}));

const ORIGIN = { origin: "https://app.example" };
const PREFLIGHT = { ...ORIGIN, "access-control-request-method": "POST" };

test("a browser is told that a page may send what stock clients send", async () => {
  const asked = "authorization,content-type,idempotency-key,x-stainless-retry-count,x-tally-seal";
  const headers = { ...PREFLIGHT, "access-control-request-headers": asked };
  const answer = await app.request("/v1/chat/completions", { method: "OPTIONS", headers });
  expect(answer.status).toBe(204);
  expect(answer.headers.get("access-control-allow-origin")).toBe("*");
  expect(answer.headers.get("access-control-allow-headers")).toBe(asked);
  expect(answer.headers.get("access-control-allow-methods")).toContain("POST");
  expect(answer.headers.get("access-control-allow-credentials")).toBeNull();
});

test.each(["/v1/chat/completions", "/v1/raw", "/v1/refused", "/v1/nothing"])(
  "a page may read the answer of %s and its headers, also where it is a refusal",
  async (path) => {
    const { headers } = await app.request(path, { method: "POST", headers: ORIGIN });
    expect(headers.get("access-control-allow-origin")).toBe("*");
    expect(headers.get("access-control-expose-headers")).toBe("*");
  },
);

test("what is no API is not for pages of others", async () => {
  const answer = await app.request("/metrics", { headers: ORIGIN });
  expect(answer.headers.get("access-control-allow-origin")).toBeNull();
  const preflight = await app.request("/metrics", { method: "OPTIONS", headers: PREFLIGHT });
  expect(preflight.status).toBe(404);
});

test("what a browser does not ask for is not repeated", async () => {
  const headers = { ...PREFLIGHT, "access-control-request-headers": "x y;z" };
  const answer = await app.request("/v1/raw", { method: "OPTIONS", headers });
  expect(answer.headers.get("access-control-allow-headers")).toBe("authorization, content-type");
});
