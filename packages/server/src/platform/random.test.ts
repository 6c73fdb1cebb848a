import { expect, test } from "vitest";
import { createSystemRandom } from "./random.ts";

test("bytes are never handed out twice, whatever sizes are asked for, and stay what they were", () => {
  const random = createSystemRandom();
  const sizes = [32, 12, 24, 16, 8_192, 1, 20_000, 8_191, 32];
  const drawn = Array.from({ length: 900 }, (_, i) => random(sizes[i % sizes.length] ?? 32));
  expect(drawn.map(({ length }) => length)).toEqual(drawn.map((_, i) => sizes[i % sizes.length]));
  const runs = drawn.flatMap((bytes) =>
    Array.from({ length: Math.floor(bytes.length / 12) }, (_, i) =>
      Buffer.from(bytes.subarray(12 * i, 12 * i + 12)).toString("hex"),
    ),
  );
  expect(new Set(runs).size).toBe(runs.length);
  expect(runs).not.toContain("0".repeat(24));
});
