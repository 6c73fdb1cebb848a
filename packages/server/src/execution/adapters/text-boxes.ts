/** From a map of how likely each pixel is text to the boxes of lines of text, in the order they are read. */
import type { Box } from "./resize.ts";

export type TextBox = Box & { score: number };

/** A pixel above it is text. */
const PIXEL_THRESHOLD = 0.3;
/** A box whose pixels are less likely than this on average is dropped, and so is one this small. */
const BOX_THRESHOLD = 0.6;
const MIN_SIDE = 3;
/** The map shows the inner part of each line; a box grows back by this share of its area over its outline. */
const GROWTH = 1.5;

/** The boxes of connected text in `map`, left and top rounded down, right and bottom up. */
export function findTextBoxes(map: Float32Array, width: number, height: number): TextBox[] {
  const seen = new Uint8Array(map.length);
  const boxes: TextBox[] = [];
  for (let start = 0; start < map.length; start++) {
    if (seen[start] || map[start]! <= PIXEL_THRESHOLD) continue;
    const { left, top, right, bottom, score } = flood(map, seen, width, height, start);
    const [w, h] = [right - left, bottom - top];
    if (Math.min(w, h) < MIN_SIDE || score < BOX_THRESHOLD) continue;
    const growth = (w * h * GROWTH) / (2 * (w + h));
    boxes.push({
      left: Math.max(0, Math.floor(left - growth)),
      top: Math.max(0, Math.floor(top - growth)),
      right: Math.min(width, Math.ceil(right + growth)),
      bottom: Math.min(height, Math.ceil(bottom + growth)),
      score,
    });
  }
  return boxes;
}

/** All that hangs together with `start`, corners included. */
function flood(map: Float32Array, seen: Uint8Array, width: number, height: number, start: number): TextBox {
  const queue = [start];
  seen[start] = 1;
  let [left, top, right, bottom, sum, count] = [width, height, 0, 0, 0, 0];
  for (let at = queue.pop(); at !== undefined; at = queue.pop()) {
    const x = at % width;
    const y = (at - x) / width;
    left = Math.min(left, x);
    top = Math.min(top, y);
    right = Math.max(right, x + 1);
    bottom = Math.max(bottom, y + 1);
    sum += map[at]!;
    count++;
    for (let ny = Math.max(0, y - 1); ny <= Math.min(height - 1, y + 1); ny++)
      for (let nx = Math.max(0, x - 1); nx <= Math.min(width - 1, x + 1); nx++) {
        const next = ny * width + nx;
        if (seen[next] || map[next]! <= PIXEL_THRESHOLD) continue;
        seen[next] = 1;
        queue.push(next);
      }
  }
  return { left, top, right, bottom, score: sum / count };
}

/** `boxes` row by row from the top, each row from the left. A box is in a row when half its height is. */
export function inReadingOrder<B extends Box>(boxes: B[]): B[] {
  const rows: { top: number; bottom: number; boxes: B[] }[] = [];
  for (const box of boxes.toSorted((a, b) => a.top - b.top || a.left - b.left)) {
    const row = rows.find(({ top, bottom }) => {
      const shared = Math.min(bottom, box.bottom) - Math.max(top, box.top);
      return shared > Math.min(bottom - top, box.bottom - box.top) / 2;
    });
    if (row) row.boxes.push(box);
    else rows.push({ top: box.top, bottom: box.bottom, boxes: [box] });
  }
  return rows.flatMap((row) => row.boxes.toSorted((a, b) => a.left - b.left));
}
