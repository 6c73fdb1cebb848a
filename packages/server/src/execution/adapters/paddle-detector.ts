/**
 * `paddle-detector@1`: where lines of text are, by the detector of PP-OCR. An image is shrunk to at most 960 pixels a
 * side and to a multiple of 32, and normalised as the detector was trained: blue, green, red. Boxes stand upright,
 * in pixels of what was sent, and in reading order; a form with `x` takes what the graph takes.
 */
import type { Tensor } from "@tallystick/protocol";
import type { Adapter, Kit, Outcome } from "../adapter.ts";
import { decodeImage, type Image } from "./image.ts";
import { eachAlone, findInput, onlyElement, type Refusal, refuse } from "./inputs.ts";
import { findNotFinite, floatTensorOf, floatValues } from "./numbers.ts";
import { resample } from "./resize.ts";
import { findTextBoxes, inReadingOrder, type TextBox } from "./text-boxes.ts";

const MAX_SIDE = 960;
const STRIDE = 32;
const MEAN = [0.485, 0.456, 0.406];
const DEVIATION = [0.229, 0.224, 0.225];
const MAX_BOXES = 1000;

export const paddleDetector: Adapter = {
  name: "paddle-detector",
  version: 1,
  run: (calls, kit) => eachAlone(calls, (call) => answer(call, kit)),
};

async function answer(call: Tensor[], kit: Kit): Promise<Outcome> {
  const x = findInput(call, "x");
  const found = x ? await detectIn(x, kit) : await detectImage(call, kit);
  if (!found.ok) return found;
  const corners = found.boxes.flatMap(({ left, top, right, bottom }) => [left, top, right, bottom]);
  const scores = found.boxes.map(({ score }) => score);
  const outputs = [
    floatTensorOf("box", [scores.length, 4], Float32Array.from(corners)),
    floatTensorOf("score", [scores.length], Float32Array.from(scores)),
  ];
  return { ok: true, outputs, unitCount: 1 };
}

type Found = { ok: true; boxes: TextBox[] } | Refusal;

async function detectImage(call: Tensor[], kit: Kit): Promise<Found> {
  const decoded = decodeImageInput(call);
  return decoded.ok ? detectText(decoded.image, kit) : decoded;
}

async function detectIn(x: Tensor, kit: Kit): Promise<Found> {
  const [, , height = 0, width = 0] = x.shape;
  if ([height, width].some((side) => side % STRIDE !== 0 || side < STRIDE || side > MAX_SIDE))
    return refuse(`"x" is ${width} wide and ${height} high: both must be multiples of ${STRIDE} up to ${MAX_SIDE}`);
  if (findNotFinite(floatValues(x)) >= 0) return refuse(`"x" has a NaN or an infinity: send finite numbers`);
  return detectBoxes(x, kit);
}

/** The image of a call, for every adapter that takes one. */
export function decodeImageInput(call: Tensor[]): { ok: true; image: Image } | Refusal {
  const input = findInput(call, "image");
  if (input === undefined) return refuse(`send "image"`);
  const element = onlyElement(input);
  return element.ok ? decodeImage(element.bytes) : element;
}

/** The boxes of text in `image`, in its own pixels. */
export async function detectText(image: Image, kit: Kit): Promise<Found> {
  const shrink = Math.min(1, MAX_SIDE / Math.max(image.width, image.height));
  const width = fit(image.width * shrink);
  const height = fit(image.height * shrink);
  const planes = resample(image, { left: 0, top: 0, right: image.width, bottom: image.height }, width, height);
  const x = normalise(planes, MEAN, DEVIATION);
  const found = await detectBoxes(floatTensorOf("x", [1, 3, height, width], x), kit);
  if (!found.ok) return found;
  const [across, down] = [image.width / width, image.height / height];
  const boxes = found.boxes.map(({ left, top, right, bottom, score }) => ({
    left: Math.floor(left * across),
    top: Math.floor(top * down),
    right: Math.ceil(right * across),
    bottom: Math.ceil(bottom * down),
    score,
  }));
  return { ok: true, boxes };
}

async function detectBoxes(x: Tensor, kit: Kit): Promise<Found> {
  const [map] = await kit.run("detector.onnx", [x]);
  const [, , height = 0, width = 0] = map?.shape ?? [];
  const boxes = map ? findTextBoxes(floatValues(map), width, height) : [];
  if (boxes.length > MAX_BOXES)
    return refuse(`there are more than ${MAX_BOXES} pieces of text: send a part of the image`);
  return { ok: true, boxes: inReadingOrder(boxes) };
}

function fit(side: number): number {
  return Math.max(STRIDE, Math.round(side / STRIDE) * STRIDE);
}

/** Planes of red, green and blue from 0 to 255 as planes of blue, green and red around 0. */
export function normalise(planes: Float32Array, mean: number[], deviation: number[]): Float32Array {
  const size = planes.length / 3;
  const normal = new Float32Array(planes.length);
  for (let c = 0; c < 3; c++)
    for (let i = 0; i < size; i++)
      normal[c * size + i] = (planes[(2 - c) * size + i]! / 255 - mean[c]!) / deviation[c]!;
  return normal;
}
