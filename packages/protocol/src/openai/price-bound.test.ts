import { expect, test } from "vitest";
import { priceBound } from "./price-bound.ts";

/** One for each token in, a thousand for each token out. */
const MODEL = {
  ...{ priceAtomic: 0n, unitPriceAtomic: 1_000_000n, outputUnitPriceAtomic: 1_000_000_000n },
  contextLength: 4_096,
};

test.each<[string, Parameters<typeof priceBound>[1], number, bigint]>([
  ["a limit of the answer", { messages: [], max_tokens: 10 }, 100, 1_124n + 10_000n],
  ["the largest of several limits", { messages: [], max_tokens: 10, max_completion_tokens: 3 }, 100, 1_124n + 10_000n],
  ["no limit: the context", { messages: [] }, 100, 1_124n + 4_096_000n],
  ["more input than the context takes", { messages: [], max_tokens: 1 }, 100_000, 4_096n + 1_000n],
  ["every choice", { messages: [], max_tokens: 10, n: 3 }, 100, 1_124n + 30_000n],
  ["every prompt", { prompt: ["a", "b"], max_tokens: 10, n: 3 }, 100, 2_148n + 60_000n],
  ["every prompt in tokens", { prompt: [[1, 2], [3]], max_tokens: 10 }, 100, 2_148n + 20_000n],
  ["one prompt in tokens", { prompt: [1, 2, 3], max_tokens: 10 }, 100, 1_124n + 10_000n],
  ["what is tried for the best", { prompt: "a", max_tokens: 10, best_of: 4 }, 100, 1_124n + 40_000n],
  ["an image", { messages: [{ type: "image_url" }], max_tokens: 1 }, 100, 4_096n + 1_000n],
])("the bound of a price is over %s", (_, body, callSizeBytes, most) => {
  expect(priceBound(MODEL, body, callSizeBytes)).toBe(most);
});
