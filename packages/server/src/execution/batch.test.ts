import { expect, test } from "vitest";
import { batchLength, takeBatch } from "./batch.ts";
import { EXECUTION_LIMITS } from "./limits.ts";

const limits = { ...EXECUTION_LIMITS, batchCalls: 64, batchMs: 20 };

test.each([
  { callMs: undefined, length: 1, why: "nothing is known of the model" },
  { callMs: 0.01, length: 64, why: "there is a most" },
  { callMs: 1, length: 20, why: "a batch is to take 20 ms" },
  { callMs: 400, length: 1, why: "a batch has at least one call" },
])("a batch of calls that take $callMs ms has $length, as $why", ({ callMs, length }) => {
  expect(batchLength(callMs, limits)).toBe(length);
});

const call = (sizeBytes: number, alone = false) => ({ sizeBytes, alone });

test.each([
  { waiting: [call(1), call(1), call(1)], length: 2, batches: [2, 1], why: "is as long as it may be" },
  { waiting: [call(6), call(4), call(1)], length: 9, batches: [2, 1], why: "ends before it is too large" },
  { waiting: [call(99), call(1)], length: 9, batches: [1, 1], why: "holds one call however large that is" },
  { waiting: [call(1, true), call(1, true), call(1)], length: 9, batches: [1, 1, 1], why: "leaves a suspect alone" },
  { waiting: [call(1), call(1, true), call(1)], length: 9, batches: [1, 1, 1], why: "ends before a suspect" },
])("a batch $why", ({ waiting, length, batches }) => {
  const line = new Set(waiting);
  const taken = [];
  while (line.size > 0) taken.push(takeBatch(line, length, 10));
  expect(taken.map((batch) => batch.length)).toEqual(batches);
  expect(taken.flat()).toEqual(waiting);
});
