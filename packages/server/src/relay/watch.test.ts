import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { openWatch } from "./watch.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function open(deadlineMs = 10_000) {
  const caller = new AbortController();
  const watch = openWatch(caller.signal, deadlineMs);
  return { caller, watch };
}

test("each sign of life begins the same time again, and the deadline ends it all the same", () => {
  const { watch } = open();
  watch.expect("between_chunks_timeout", 1_000);
  for (let i = 0; i < 10; i++) {
    vi.advanceTimersByTime(999);
    watch.sign();
  }
  expect(watch.stopped).toBeUndefined();
  vi.advanceTimersByTime(10);
  expect(watch.stopped?.kind).toBe("deadline");
});

test("an upstream that gives no sign is stopped in its time, with a word for what it was at", () => {
  const { watch } = open();
  watch.expect("first_byte_timeout", 1_000);
  expect(watch.isUnderWay).toBe(false);
  vi.advanceTimersByTime(900);
  watch.expect("between_chunks_timeout", 500);
  expect(watch.isUnderWay).toBe(true);
  vi.advanceTimersByTime(499);
  const told = vi.fn();
  watch.onStop(told);
  vi.advanceTimersByTime(1);
  expect(told).toHaveBeenCalledExactlyOnceWith(watch.stopped);
  expect(watch.stopped).toMatchObject({
    kind: "between_chunks_timeout",
    message: "the upstream said nothing for 500 ms",
  });
});

test("while a reader is waited for, the upstream's time stands still, and the deadline does not", async () => {
  const { watch } = open();
  watch.expect("between_chunks_timeout", 500);
  const waiting = watch.waitFor(new Promise((resolve) => void setTimeout(resolve, 5_000)));
  vi.advanceTimersByTime(5_000);
  await waiting;
  expect(watch.stopped).toBeUndefined();
  const second = expect(watch.waitFor(new Promise(() => {}))).rejects.toMatchObject({ kind: "deadline" });
  vi.advanceTimersByTime(5_000);
  await second;
});

test("what stops it first is what stopped it, and a watch that is closed stops nothing", () => {
  const { caller, watch } = open(1_000);
  caller.abort();
  vi.advanceTimersByTime(2_000);
  expect(watch.stopped?.kind).toBe("cancelled");
  const closed = open(1_000);
  closed.watch.expect("first_byte_timeout", 10);
  closed.watch.close();
  closed.caller.abort();
  vi.advanceTimersByTime(2_000);
  expect(closed.watch.stopped).toBeUndefined();
});
