import fc from "fast-check";
import { expect, test } from "vitest";
import { RUNS } from "../../../../test/runs.ts";
import { createForcing, marginOf, mayBeChosen, USUAL } from "./forcing.ts";
import { chooseToken, drawAt, type Sampling } from "./sampling.ts";

const finite = (min: number, max: number) => fc.double({ min, max, noNaN: true, noDefaultInfinity: true });

const place = fc.record({
  logits: fc.array(finite(-6, 6), { minLength: 2, maxLength: 40 }),
  noise: fc.array(finite(-1, 1), { minLength: 40, maxLength: 40 }),
  margin: finite(0, 0.2),
  seed: fc.nat(),
  sampling: fc.record({
    temperature: fc.oneof(fc.constant(0), finite(0.1, 2)),
    topP: fc.oneof(fc.constant(1), finite(0.05, 1)),
    frequencyPenalty: finite(-1, 1),
    presencePenalty: finite(-1, 1),
  }),
});

test("what another engine chose is accepted, whatever it has otherwise within the margin", () => {
  fc.assert(
    fc.property(place, ({ logits, noise, margin, seed, sampling }) => {
      const ours = Float32Array.from(logits);
      // Rounded to 32 bits, a number may be a little further off.
      const theirs = Float32Array.from(ours, (logit, i) => logit + 0.999 * margin * (noise[i] ?? 0));
      const counts = new Map([[0, 2]]);
      const draw = drawAt(seed, 0, 0);
      const token = chooseToken(theirs, sampling, counts, draw);
      expect(mayBeChosen(token, ours, sampling, counts, draw, margin + 1e-6)).toBe(true);
    }),
    RUNS,
  );
});

const PLAIN: Sampling = { temperature: 1, topP: 1, frequencyPenalty: 0, presencePenalty: 0 };
const NONE = new Map<number, number>();

test("without a margin, one token alone is accepted for a draw", () => {
  const logits = Float32Array.from({ length: 50 }, (_, i) => 3 * Math.sin(i * i));
  for (const temperature of [0, 0.5, 1])
    for (const topP of [1, 0.7])
      for (let seed = 0; seed < 100; seed++) {
        const sampling = { ...PLAIN, temperature, topP };
        const draw = drawAt(seed, 0, 0);
        const accepted = [...logits.keys()].filter((token) => mayBeChosen(token, logits, sampling, NONE, draw, 0));
        expect(accepted).toEqual([chooseToken(logits, sampling, NONE, draw)]);
      }
});

test("a token that is none, or was left out of the nucleus, is not accepted", () => {
  const logits = Float32Array.of(5, 0, 0, -5);
  for (const token of [-1, 4, 1.5]) expect(mayBeChosen(token, logits, PLAIN, NONE, 0.5, 1)).toBe(false);
  for (const draw of [0, 0.5, 1 - 2 ** -53])
    expect(mayBeChosen(3, logits, { ...PLAIN, topP: 0.9 }, NONE, draw, 0.01)).toBe(false);
});

test("the margin grows with the largest logit", () => {
  const logits = Float32Array.of(1, -8, 2);
  expect(marginOf(logits, { absolute: 0.5, relative: 0.25 })).toBe(2.5);
});

const MARGIN = 0.08;
const PLACES = 100;

/** A token that needs more than is usual of the margin, where there is one for this draw. */
function strayOf(logits: Float32Array, sampling: Sampling, draw: number): number | undefined {
  const needs = (margin: number) => (token: number) => !mayBeChosen(token, logits, sampling, NONE, draw, margin);
  return [...logits.keys()].filter(needs(USUAL * MARGIN)).find((token) => !needs(MARGIN)(token));
}

/** What is said of each token of a text that strays at the last of every `period` places, where it can. */
function faultsOf(logits: Float32Array, sampling: Sampling, period: number): (string | undefined)[] {
  const faultOf = createForcing(sampling, { absolute: MARGIN, relative: 0 });
  return Array.from({ length: PLACES }, (_, place) => {
    const draw = drawAt(1, 0, place);
    const stray = place % period === period - 1 ? strayOf(logits, sampling, draw) : undefined;
    return faultOf(stray ?? chooseToken(logits, sampling, NONE, draw), logits, NONE, draw);
  });
}

test("few tokens of a text may need the whole margin: else whoever has the weights could choose at most places", () => {
  // Close together, so that most draws are near to a border.
  const even = Float32Array.from({ length: 40 }, (_, i) => 0.1 * Math.sin(i * i));
  const drawn = faultsOf(even, PLAIN, 2);
  expect(drawn.findIndex((fault) => fault !== undefined)).toBeLessThan(20);
  const likeliest = faultsOf(Float32Array.of(1, 1.1, 0), { ...PLAIN, temperature: 0 }, 10);
  const at = likeliest.findIndex((fault) => fault !== undefined);
  expect([at, likeliest[at]]).toEqual([29, "is one of 3 that the model would hardly have chosen"]);
});

test("of the likeliest tokens two may need it, and one more in fifty", () => {
  const faults = faultsOf(Float32Array.of(1, 1.1, 0), { ...PLAIN, temperature: 0 }, 30);
  expect(faults).toEqual(faults.map(() => undefined));
});
