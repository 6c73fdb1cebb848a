import fc from "fast-check";
import { expect, test } from "vitest";
import { circle, exp, sigmoid } from "./functions.ts";

test("the exponential is that of JavaScript to the last places", () => {
  fc.assert(
    fc.property(fc.double({ min: -700, max: 700, noNaN: true }), (x) => {
      expect(Math.abs(exp(x) / Math.exp(x) - 1)).toBeLessThan(4e-15);
    }),
  );
  expect([exp(0), exp(-1e9) > 0, Number.isFinite(exp(1e9))]).toEqual([1, true, true]);
  expect([sigmoid(0), sigmoid(-1e9) < 1e-300, sigmoid(1e9)]).toEqual([0.5, true, 1]);
});

test("sine and cosine are those of JavaScript to the last places, for any number of turns", () => {
  fc.assert(
    fc.property(fc.double({ min: -10, max: 10, noNaN: true }), (turns) => {
      const { sin, cos } = circle(turns);
      expect(Math.abs(sin - Math.sin(2 * Math.PI * turns))).toBeLessThan(1e-13);
      expect(Math.abs(cos - Math.cos(2 * Math.PI * turns))).toBeLessThan(1e-13);
    }),
  );
});
