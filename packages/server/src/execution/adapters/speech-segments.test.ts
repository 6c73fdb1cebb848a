import { describe, expect, test } from "vitest";
import { findSegments } from "./speech-segments.ts";

/** Segments of tenths of a second, from a drawing: a digit is a tenth of a probability. */
function segments(drawing: string) {
  const probabilities = [...drawing].map((digit) => Number(digit) / 10);
  return findSegments(probabilities, 0.1, drawing.length / 10).map(({ startS, endS }) => [
    Number(startS.toFixed(2)),
    Number(endS.toFixed(2)),
  ]);
}

describe("stretches of speech", () => {
  test("begin where speech is likely and end where it is unlikely, with a margin", () => {
    expect(segments("0009999000")).toEqual([[0.27, 0.73]]);
  });

  test("go on through what is neither", () => {
    expect(segments("0009944499000")).toEqual([[0.27, 1.03]]);
  });

  test("are parted by silence", () => {
    expect(segments("0999000099990")).toEqual([
      [0.07, 0.43],
      [0.77, 1.23],
    ]);
  });

  test("may be the whole recording, and do not leave it", () => {
    expect(segments("99999")).toEqual([[0, 0.5]]);
  });

  test("are none in silence, and none of a click", () => {
    expect(segments("00000")).toEqual([]);
    expect(segments("0099000")).toEqual([]);
    expect(segments("4444444")).toEqual([]);
  });

  test("are parted by a silence of a tenth of a second and not by a shorter one", () => {
    const withSilence = (windows: number) => [
      ...new Array(9).fill(1),
      ...new Array(windows).fill(0),
      ...new Array(9).fill(1),
    ];
    expect(findSegments(withSilence(3), 0.032, 0.672)).toHaveLength(1);
    expect(findSegments(withSilence(4), 0.032, 0.704)).toHaveLength(2);
  });
});
