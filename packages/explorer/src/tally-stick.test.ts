import fc from "fast-check";
import { expect, test } from "vitest";
import { tallyStick } from "./tally-stick.ts";

/** What the notches of a drawing add up to, by their widths. */
function readStick(markup: string): { cut: number; scored: number } {
  const worth = new Map([
    [44, 1_000_000],
    [36, 100_000],
    [29, 10_000],
    [23, 1_000],
    [17, 100],
    [11, 20],
    [6, 1],
  ]);
  const sum = (notches: Iterable<RegExpMatchArray>) =>
    [...notches].reduce((all, [, start, end]) => all + (worth.get(Number(end) - Number(start)) ?? Number.NaN), 0);
  const [stock = "", foil = ""] = [...markup.matchAll(/<path class="wood" d="([^"]*)"/g)].map(([, d]) => d);
  const cutIn = (half: string) => sum(half.matchAll(/H([\d.]+)L[\d.]+ \d+L([\d.]+) \d+/g));
  expect(cutIn(foil)).toBe(cutIn(stock));
  return {
    cut: cutIn(stock),
    scored: sum(markup.matchAll(/class="score" d="M([\d.]+) \d+L[\d.]+ \d+L([\d.]+) \d+"/g)) / 2,
  };
}

test("both halves of the stick are cut to the same count, whatever it is", () => {
  fc.assert(
    fc.property(fc.nat(9_999_999), fc.nat(9_999), (settled, provisional) => {
      expect(readStick(tallyStick(settled, provisional).markup)).toEqual({ cut: settled, scored: provisional });
    }),
  );
});

test("nothing relied on leaves the stick uncut", () => {
  expect(readStick(tallyStick(0, 0).markup)).toEqual({ cut: 0, scored: 0 });
});
