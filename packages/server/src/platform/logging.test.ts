import { expect, test } from "vitest";
import { createLogging, type LogFormat, type LogLevel } from "./logging.ts";

const clock = { nowMs: () => Date.UTC(2026, 10, 22, 12) };

function logged(format: LogFormat, level: LogLevel): string[] {
  const written: string[] = [];
  const logging = createLogging({ format, level, clock, write: (text) => void written.push(text) });
  logging.request("debug", { "http.route": "/healthz" });
  logging.request("info", { "http.route": "/v1/infer", duration_ms: 1.5 });
  logging.report("disk nearly full", { freeBytes: 3, folder: "/a b" });
  logging.request("warn", { "error.type": undefined, "http.response.status_code": 503 });
  logging.flush();
  return written.join("").split("\n").slice(0, -1);
}

test("a line of JSON says when, how grave and what, and events come in the order in which they were", () => {
  const time = "2026-11-22T12:00:00.000Z";
  expect(logged("json", "info").map((line) => JSON.parse(line))).toEqual([
    { event: "request", time, level: "info", "http.route": "/v1/infer", duration_ms: 1.5 },
    { event: "disk nearly full", time, level: "warn", freeBytes: 3, folder: "/a b" },
    { event: "request", time, level: "warn", "http.response.status_code": 503 },
  ]);
});

test("text says the same to people", () => {
  expect(logged("text", "debug")).toEqual([
    "2026-11-22T12:00:00.000Z debug request http.route=/healthz",
    "2026-11-22T12:00:00.000Z info request http.route=/v1/infer duration_ms=1.5",
    '2026-11-22T12:00:00.000Z warn disk nearly full freeBytes=3 folder="/a b"',
    "2026-11-22T12:00:00.000Z warn request http.response.status_code=503",
  ]);
});

test("a level leaves out what is less grave", () => {
  expect(logged("json", "warn")).toHaveLength(2);
  expect(logged("json", "error")).toHaveLength(0);
});

test("lines of requests are written within a turn of the event loop, without being asked", async () => {
  const written: string[] = [];
  const logging = createLogging({ format: "json", level: "info", clock, write: (text) => void written.push(text) });
  logging.request("info", {});
  logging.request("info", {});
  expect(written).toHaveLength(0);
  await new Promise((turn) => setImmediate(turn));
  expect(written).toHaveLength(1);
});
