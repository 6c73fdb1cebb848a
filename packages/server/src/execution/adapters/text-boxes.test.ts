import { describe, expect, test } from "vitest";
import { findTextBoxes, inReadingOrder } from "./text-boxes.ts";

/** A map from a drawing: a digit is a tenth of a probability, anything else none. */
function map(...rows: string[]) {
  const values = rows.flatMap((row) => [...row].map((digit) => (/\d/.test(digit) ? Number(digit) / 10 : 0)));
  return { values: Float32Array.from(values), width: rows[0]?.length ?? 0, height: rows.length };
}

function boxesOf(...rows: string[]) {
  const { values, width, height } = map(...rows);
  return findTextBoxes(values, width, height).map(({ left, top, right, bottom }) => [left, top, right, bottom]);
}

describe("boxes of text", () => {
  test("grow from connected pixels by their area over their outline", () => {
    expect(
      boxesOf(
        "..................",
        "..................",
        "..................",
        "...999999999999...",
        "...999999999999...",
        "...999999999999...",
        "...999999999999...",
        "..................",
        "..................",
        "..................",
      ),
    ).toEqual([[0, 0, 18, 10]]);
  });

  test("are two for two words on a row, and one where only corners touch", () => {
    expect(boxesOf("999...999", "999...999", "999...999")).toHaveLength(2);
    expect(boxesOf("999......", "999......", "999......", "...999...", "...999...", "...999...")).toHaveLength(1);
  });

  test("leave out what is too small, too faint or below the threshold", () => {
    expect(boxesOf("99", "99")).toEqual([]);
    expect(boxesOf("5555", "5555", "5555")).toEqual([]);
    expect(boxesOf("3333", "3333", "3333")).toEqual([]);
    expect(boxesOf("....", "....")).toEqual([]);
  });

  test("stay inside the map, and a map that is all text is one box", () => {
    expect(boxesOf("9999", "9999", "9999")).toEqual([[0, 0, 4, 3]]);
    const size = 960;
    expect(findTextBoxes(new Float32Array(size * size).fill(1), size, size)).toEqual([
      { left: 0, top: 0, right: size, bottom: size, score: 1 },
    ]);
  });
});

describe("reading order", () => {
  const box = (name: string, left: number, top: number, height = 10) => ({
    name,
    left,
    top,
    right: left + 20,
    bottom: top + height,
  });
  const order = (...boxes: ReturnType<typeof box>[]) => inReadingOrder(boxes).map(({ name }) => name);

  test("goes down the rows and along each, where a row need not be quite level", () => {
    expect(order(box("d", 60, 31), box("b", 60, 3), box("c", 0, 30), box("a", 0, 6))).toEqual(["a", "b", "c", "d"]);
  });

  test("keeps apart rows that overlap by less than half", () => {
    expect(order(box("right", 60, 0), box("left", 0, 6))).toEqual(["right", "left"]);
  });

  test("puts small text beside large text into its row", () => {
    expect(order(box("small", 0, 12, 8), box("large", 60, 0, 40))).toEqual(["small", "large"]);
  });
});
