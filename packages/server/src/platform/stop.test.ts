import { expect, test } from "vitest";
import { NEVER, Stop, type StopSignal } from "./stop.ts";

test.each<[string, () => { signal: StopSignal; abort(): void }]>([
  ["a Stop", () => new Stop()],
  ["an AbortController", () => new AbortController()],
])("%s tells each listener once, but for those that went, and nobody who comes after", (_, make) => {
  const stop = make();
  const told: string[] = [];
  const [stays, goes] = [() => void told.push("stays"), () => void told.push("goes")];
  stop.signal.addEventListener("abort", stays, { once: true });
  stop.signal.addEventListener("abort", stays, { once: true });
  stop.signal.addEventListener("abort", goes, { once: true });
  stop.signal.removeEventListener("abort", goes);
  expect(stop.signal.aborted).toBe(false);
  stop.abort();
  stop.abort();
  stop.signal.addEventListener("abort", () => told.push("late"), { once: true });
  expect(stop.signal.aborted).toBe(true);
  expect(told).toEqual(["stays"]);
});

test("what never stops takes listeners and tells them nothing", () => {
  NEVER.addEventListener("abort", () => expect.unreachable());
  expect(NEVER.aborted).toBe(false);
});
