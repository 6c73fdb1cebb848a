/** Resizing with additions and multiplications only, so that every machine gets the same pixels. */
import type { Image } from "./image.ts";

/** A rectangle in pixels: `right` and `bottom` are just outside it. */
export type Box = { left: number; top: number; right: number; bottom: number };

/**
 * The part of `image` in `box` at `width` x `height`: three planes, red, green and blue, of 0 to 255.
 * Bilinear when it grows; when it shrinks, each new pixel is a tent-shaped mean of those that it stands for.
 */
export function resample(image: Image, box: Box, width: number, height: number): Float32Array {
  const across = tents(box.left, box.right, width);
  const down = tents(box.top, box.bottom, height);
  const rows = box.bottom - box.top;
  const narrow = new Float32Array(3 * rows * width);
  for (let y = 0; y < rows; y++)
    for (let x = 0; x < width; x++) {
      const { first, weights } = across[x]!;
      let at = 3 * ((box.top + y) * image.width + first);
      let [red, green, blue] = [0, 0, 0];
      for (const weight of weights) {
        red += weight * image.rgb[at++]!;
        green += weight * image.rgb[at++]!;
        blue += weight * image.rgb[at++]!;
      }
      narrow[y * width + x] = red;
      narrow[(rows + y) * width + x] = green;
      narrow[(2 * rows + y) * width + x] = blue;
    }
  const planes = new Float32Array(3 * height * width);
  for (let c = 0; c < 3; c++)
    for (let y = 0; y < height; y++) {
      const { first, weights } = down[y]!;
      const top = c * rows + first - box.top;
      for (let x = 0; x < width; x++) {
        let sum = 0;
        for (let k = 0; k < weights.length; k++) sum += weights[k]! * narrow[(top + k) * width + x]!;
        planes[(c * height + y) * width + x] = sum;
      }
    }
  return planes;
}

/** For each of `count` new pixels: the old ones from `start` to `end` that it is made of, and their shares. */
function tents(start: number, end: number, count: number): { first: number; weights: number[] }[] {
  const step = (end - start) / count;
  const reach = Math.max(1, step);
  return Array.from({ length: count }, (_, i) => {
    const centre = start + (i + 0.5) * step - 0.5;
    const first = Math.max(start, Math.ceil(centre - reach));
    const last = Math.min(end - 1, Math.floor(centre + reach));
    const weights: number[] = [];
    for (let at = first; at <= last; at++) weights.push(1 - Math.abs(at - centre) / reach);
    const sum = weights.reduce((a, b) => a + b, 0);
    return { first, weights: weights.map((weight) => weight / sum) };
  });
}
