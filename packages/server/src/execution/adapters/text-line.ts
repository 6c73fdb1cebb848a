/** From the recogniser's scores to the line of text: greedy CTC (Graves et al., 2006) over a list of characters. */
import assert from "node:assert/strict";
import { parseUtf8 } from "@tallystick/protocol";

export type TextLine = { text: string; confidence: number };

/** The characters a score stands for: none, those of the file line by line, and a space. */
export function parseCharacters(file: Uint8Array): string[] {
  const lines = parseUtf8(file)?.replace(/\n$/, "").split("\n");
  assert(lines !== undefined, "the list of characters is UTF-8");
  return ["", ...lines, " "];
}

/** One line from `steps` rows of scores in `scores` from `offset` on. Its confidence is the mean over its characters. */
export function decodeLine(scores: Float32Array, offset: number, steps: number, characters: string[]): TextLine {
  const size = characters.length;
  let text = "";
  let sum = 0;
  let count = 0;
  let previous = 0;
  for (let step = 0; step < steps; step++) {
    const row = offset + step * size;
    let best = 0;
    for (let k = 1; k < size; k++) if (scores[row + k]! > scores[row + best]!) best = k;
    if (best !== 0 && best !== previous) {
      text += characters[best];
      sum += scores[row + best]!;
      count++;
    }
    previous = best;
  }
  return { text, confidence: count === 0 ? 0 : sum / count };
}
