import { expect, test } from "vitest";
import { chooseToken, drawAt, likeliest, logProbabilities } from "./sampling.ts";

const PLAIN = { temperature: 1, topP: 1, frequencyPenalty: 0, presencePenalty: 0 };
const none = new Map<number, number>();
const logits = Float32Array.of(0, 2, 1, 2, -1);

test("the random number of a place is the one that the document says, whatever was drawn before", () => {
  expect([drawAt(0, 0, 0), drawAt(42, 1, 7), drawAt(2 ** 53 - 1, 7, 511)]).toEqual([
    0.7189636557091225, 0.3600900879268114, 0.8277037264507741,
  ]);
  const draws = Array.from({ length: 4000 }, (_, i) => drawAt(i, 0, 0));
  for (const draw of draws) expect(draw >= 0 && draw < 1).toBe(true);
  const mean = draws.reduce((sum, draw) => sum + draw, 0) / draws.length;
  expect(Math.abs(mean - 0.5)).toBeLessThan(0.02);
});

test("at temperature 0 the likeliest token comes, of equal ones the lower id, whatever is drawn", () => {
  for (const draw of [0, 0.5, 0.999999]) expect(chooseToken(logits, { ...PLAIN, temperature: 0 }, none, draw)).toBe(1);
});

test("tokens come as often as their probabilities say, at any temperature", () => {
  for (const temperature of [0.5, 1, 2]) {
    const counts = new Array<number>(5).fill(0);
    for (let i = 0; i < 10_000; i++) {
      const token = chooseToken(logits, { ...PLAIN, temperature }, none, i / 10_000);
      counts[token] = (counts[token] ?? 0) + 1;
    }
    const weights = [...logits].map((logit) => Math.exp(logit / temperature));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    for (const [i, weight] of weights.entries())
      expect(Math.abs((counts[i] ?? 0) / 10_000 - weight / total)).toBeLessThan(0.001);
  }
});

test("a nucleus leaves out what is unlikely, and never all", () => {
  const among = (topP: number) =>
    new Set(Array.from({ length: 1000 }, (_, i) => chooseToken(logits, { ...PLAIN, topP }, none, i / 1000)));
  expect(among(1)).toEqual(new Set([0, 1, 2, 3, 4]));
  expect(among(0.75)).toEqual(new Set([1, 3]));
  expect(among(0.8)).toEqual(new Set([1, 2, 3]));
  expect(among(1e-9)).toEqual(new Set([1]));
});

test("penalties count what was written: once for presence, each time for frequency", () => {
  const greedy = { ...PLAIN, temperature: 0 };
  const written = new Map([[1, 1]]);
  expect(chooseToken(logits, greedy, written, 0)).toBe(1);
  expect(chooseToken(logits, { ...greedy, presencePenalty: 0.1 }, written, 0)).toBe(3);
  const both = new Map([
    [1, 1],
    [3, 30],
  ]);
  expect(chooseToken(logits, { ...greedy, presencePenalty: 1.5 }, both, 0)).toBe(2);
  expect(chooseToken(logits, { ...greedy, frequencyPenalty: 0.1 }, both, 0)).toBe(1);
});

test("probabilities add up to one, and the likeliest come first, of equal ones the lower id", () => {
  const values = logProbabilities(logits);
  expect([...values].reduce((sum, value) => sum + Math.exp(value), 0)).toBeCloseTo(1, 14);
  expect(likeliest(values, 3)).toEqual([1, 3, 2]);
  expect(likeliest(values, 0)).toEqual([]);
  expect(likeliest(values, 9)).toEqual([1, 3, 2, 0, 4]);
});
