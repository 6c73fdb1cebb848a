import { expect, test } from "vitest";
import { createTestClock } from "../../../../test/network.ts";
import { ServiceError } from "../platform/errors.ts";
import { createStrangerLimit } from "./stranger-limits.ts";

const START_MS = Date.UTC(2026, 10, 22, 12);
const LIMITS = { name: "words", what: "words", perMinute: 6, perMinuteInAll: 60 };

function limitOf() {
  const clock = createTestClock(START_MS);
  const limit = createStrangerLimit(clock, LIMITS);
  const say = (network: string, times = 1) => {
    const headers: Record<string, string> = {};
    for (let i = 0; i < times; i++) limit.take({ network, headers });
    return headers;
  };
  return { clock, limit, say };
}

function refusalOf(work: () => unknown): ServiceError {
  try {
    work();
  } catch (error) {
    if (error instanceof ServiceError) return error;
  }
  return expect.unreachable();
}

test("who has used up the limit of one address is told when to come back, and nobody else notices", () => {
  const { clock, say } = limitOf();
  say("192.0.2.1", 6);
  const refusal = refusalOf(() => say("192.0.2.1"));
  expect(refusal).toMatchObject({ code: "rate_limited", retryAfterMs: 10_000 });
  expect(refusal.message).toBe("at most 6 words in a minute from one address: try again in 10 seconds");
  expect(refusal.headers.ratelimit).toBe('"words";r=0;t=60, "words-of-all";r=54;t=6');
  expect(say("192.0.2.2").ratelimit).toMatch(/^"words";r=5;t=10, /);
  clock.advance(10_000);
  say("192.0.2.1");
  expect(refusalOf(() => say("192.0.2.1")).code).toBe("rate_limited");
});

test("however many addresses there are, all together have a limit, and a refusal counts for nothing", () => {
  const { clock, say } = limitOf();
  for (let i = 0; i < 60; i++) say(`192.0.2.${i}`);
  for (let i = 0; i < 100; i++)
    expect(refusalOf(() => say(`198.51.100.${i}`)).message).toMatch(/^at most 60 words in a minute from all addresses/);
  clock.advance(1_000);
  say("198.51.100.1");
});

test("what is kept of addresses does not grow with their number", () => {
  const { clock, limit, say } = limitOf();
  for (let i = 0; i < 5_000; i++) {
    say(`2001:db8:0:${i.toString(16)}::/64`);
    clock.advance(1_000);
  }
  expect(limit.senders).toBeLessThanOrEqual(4 * LIMITS.perMinuteInAll);
});

test("a clock that is set back neither gives nor takes", () => {
  const { clock, say } = limitOf();
  say("192.0.2.1", 6);
  clock.advance(-3_600_000);
  expect(refusalOf(() => say("192.0.2.1")).code).toBe("rate_limited");
  clock.advance(60_000);
  say("192.0.2.1", 6);
});
