import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { resample } from "./resize.ts";

/** An image of one row for each list of greys. */
function greys(...rows: number[][]) {
  const rgb = Uint8Array.from(rows.flat().flatMap((grey) => [grey, grey, grey]));
  return { width: rows[0]?.length ?? 0, height: rows.length, rgb };
}

const whole = (image: { width: number; height: number }) => ({
  left: 0,
  top: 0,
  right: image.width,
  bottom: image.height,
});

describe("resampling", () => {
  test("to the same size changes nothing, and gives red, green and blue apart", () => {
    const image = { width: 2, height: 1, rgb: Uint8Array.of(1, 2, 3, 4, 5, 6) };
    expect([...resample(image, whole(image), 2, 1)]).toEqual([1, 4, 2, 5, 3, 6]);
  });

  test("to twice the size goes in even steps between the middles of pixels", () => {
    const image = greys([0, 100]);
    expect([...resample(image, whole(image), 4, 1)].slice(0, 4)).toEqual([0, 25, 75, 100]);
  });

  test("to half the size sees every pixel", () => {
    const image = greys([0, 0, 0, 200, 0, 0, 0, 0]);
    expect([...resample(image, whole(image), 4, 1)].slice(0, 4)).toEqual([0, 75, 25, 0]);
  });

  test("of a part sees nothing outside it", () => {
    const image = greys([9, 9, 9, 9], [9, 50, 60, 9], [9, 9, 9, 9]);
    const part = { left: 1, top: 1, right: 3, bottom: 2 };
    const values = resample(image, part, 5, 7);
    expect(Math.min(...values)).toBe(50);
    expect(Math.max(...values)).toBe(60);
  });

  test("of one colour gives that colour at any size", () => {
    const size = fc.integer({ min: 1, max: 40 });
    fc.assert(
      fc.property(size, size, size, size, fc.nat(255), (width, height, newWidth, newHeight, grey) => {
        const image = greys(...Array.from({ length: height }, () => new Array<number>(width).fill(grey)));
        for (const value of resample(image, whole(image), newWidth, newHeight)) expect(value).toBeCloseTo(grey, 3);
      }),
    );
  });
});
