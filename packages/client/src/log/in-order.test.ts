import { expect, test } from "vitest";
import { inOrder } from "./in-order.ts";

test("results come in order, whichever is done first, and no more are under way than may be", async () => {
  let underWay = 0;
  let most = 0;
  const done: number[] = [];
  const work = async (index: number) => {
    most = Math.max(most, ++underWay);
    for (let turn = 0; turn <= (index * 7) % 5; turn++) await Promise.resolve();
    underWay--;
    return index;
  };
  for await (const index of inOrder(3, 40, 4, work)) done.push(index);
  expect(done).toEqual(Array.from({ length: 37 }, (_, i) => i + 3));
  expect(most).toBe(4);
});

test("what fails ahead of its turn is thrown in its turn, and nowhere else", async () => {
  const done: number[] = [];
  const work = async (index: number) => {
    if (index >= 2) throw new Error(`failed at ${index}`);
    return index;
  };
  const all = async () => {
    for await (const index of inOrder(0, 9, 8, work)) done.push(index);
  };
  await expect(all()).rejects.toThrow("failed at 2");
  expect(done).toEqual([0, 1]);
});
