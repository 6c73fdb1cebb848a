/**
 * `paddle-recognizer@1`: what a line of text says, by the recogniser of PP-OCR. The line is scaled to 48 pixels of
 * height, normalised as the recogniser was trained, and widened with grey where it is short; a form with `x` takes
 * what the graph takes, several lines at a time.
 */
import assert from "node:assert/strict";
import { type Tensor, textTensor } from "@tallystick/protocol";
import type { Adapter, Kit, Outcome } from "../adapter.ts";
import type { Image } from "./image.ts";
import { eachAlone, findInput, refuse, remembered } from "./inputs.ts";
import { findNotFinite, floatTensorOf, floatValues } from "./numbers.ts";
import { decodeImageInput, normalise } from "./paddle-detector.ts";
import { type Box, resample } from "./resize.ts";
import { decodeLine, parseCharacters, type TextLine } from "./text-line.ts";

const HEIGHT = 48;
const MIN_WIDTH = 320;
const MAX_WIDTH = 3200;
const MAX_LINES = 64;
const HALF = [0.5, 0.5, 0.5];

export const paddleRecognizer: Adapter = {
  name: "paddle-recognizer",
  version: 1,
  run: (calls, kit) => eachAlone(calls, (call) => answer(call, kit)),
};

async function answer(call: Tensor[], kit: Kit): Promise<Outcome> {
  const x = findInput(call, "x");
  if (x) {
    const [count = 0, , , width = 0] = x.shape;
    if (count < 1 || count > MAX_LINES) return refuse(`"x" has ${count} lines: send 1 to ${MAX_LINES}`);
    if (width < 8 || width > MAX_WIDTH) return refuse(`"x" is ${width} wide: send 8 to ${MAX_WIDTH}`);
    if (findNotFinite(floatValues(x)) >= 0) return refuse(`"x" has a NaN or an infinity: send finite numbers`);
    return outcome(await readLines(x, kit));
  }
  const decoded = decodeImageInput(call);
  if (!decoded.ok) return decoded;
  const { width, height } = decoded.image;
  return outcome([await readBox(decoded.image, { left: 0, top: 0, right: width, bottom: height }, kit)]);
}

function outcome(lines: TextLine[]): Outcome {
  const confidence = Float32Array.from(lines, (line) => line.confidence);
  const texts = textTensor(
    "text",
    lines.map((line) => line.text),
  );
  return {
    ok: true,
    outputs: [texts, floatTensorOf("confidence", [lines.length], confidence)],
    unitCount: lines.length,
  };
}

/** What the part of `image` in `box` says. */
export async function readBox(image: Image, box: Box, kit: Kit): Promise<TextLine> {
  const ratio = (box.right - box.left) / (box.bottom - box.top);
  const width = Math.min(MAX_WIDTH, Math.max(1, Math.ceil(HEIGHT * ratio)));
  const line = normalise(resample(image, box, width, HEIGHT), HALF, HALF);
  const padded = Math.max(MIN_WIDTH, width);
  const x = new Float32Array(3 * HEIGHT * padded);
  for (let row = 0; row < 3 * HEIGHT; row++) x.set(line.subarray(row * width, (row + 1) * width), row * padded);
  const [read] = await readLines(floatTensorOf("x", [1, 3, HEIGHT, padded], x), kit);
  assert(read, "the recogniser answers each line");
  return read;
}

const charactersOf = remembered((kit: Kit) => parseCharacters(kit.file("characters.txt")));

async function readLines(x: Tensor, kit: Kit): Promise<TextLine[]> {
  const characters = charactersOf(kit);
  const [output] = await kit.run("recognizer.onnx", [x]);
  const [count = 0, steps = 0, size] = output?.shape ?? [];
  assert(output && size === characters.length, "the recogniser scores each character of the list");
  const scores = floatValues(output);
  return Array.from({ length: count }, (_, i) => decodeLine(scores, i * steps * size, steps, characters));
}
