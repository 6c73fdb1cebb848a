import { createFold, figuresOf, keyOf, laneOf } from "@tallystick/protocol";
import { expect, test } from "vitest";
import { LogInMemory } from "../../../../test/log-in-memory.ts";
import { createPublished, type Head } from "./published.ts";

/** What is shown of a log that grows, where each computation of figures takes `costMs`. */
function shown(laneCount: number, costMs: number) {
  const fold = createFold();
  for (let i = 0; i < laneCount; i++)
    laneOf(fold.demand, undefined, { funding: "free", model: keyOf(new Uint8Array(32)), node: `node ${i}` });
  const note = new LogInMemory().checkpoint(1_790_000_000);
  const at = { ms: 0, computed: 0 };
  const published = createPublished({
    fold,
    figures() {
      at.ms += costMs;
      at.computed++;
      return figuresOf(fold);
    },
    head: (): Head => ({ size: fold.size, root: new Uint8Array(32), note }),
    nowMs: () => at.ms,
  });
  const sizes = () => {
    const { figures, head } = published();
    return [figures.size, head.size];
  };
  return { at, fold, sizes };
}

test("figures of a small log are those of its newest state, and are computed once for it", () => {
  const { at, fold, sizes } = shown(10, 1_000);
  expect([sizes(), sizes()]).toEqual([
    [0, 0],
    [0, 0],
  ]);
  expect(at.computed).toBe(1);
  fold.size++;
  expect(sizes()).toEqual([1, 1]);
});

test("figures of a large one are computed in a tenth of the time at most, and say of which state they are", () => {
  const { at, fold, sizes } = shown(500, 300);
  sizes();
  fold.size = 7;
  at.ms += 2_999;
  expect(sizes()).toEqual([0, 0]);
  at.ms += 1;
  expect(sizes()).toEqual([7, 7]);
  expect(at.computed).toBe(2);
});
