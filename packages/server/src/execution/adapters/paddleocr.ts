/** `paddleocr@1`: the lines of text in an image, by PP-OCR's detector and then its recogniser on each box. */
import { type Tensor, textTensor } from "@tallystick/protocol";
import type { Adapter, Kit, Outcome } from "../adapter.ts";
import { eachAlone } from "./inputs.ts";
import { floatTensorOf } from "./numbers.ts";
import { decodeImageInput, detectText } from "./paddle-detector.ts";
import { readBox } from "./paddle-recognizer.ts";

/** A reading less sure than this is more often a picture than a text. */
const MIN_CONFIDENCE = 0.5;

export const paddleocr: Adapter = {
  name: "paddleocr",
  version: 1,
  run: (calls, kit) => eachAlone(calls, (call) => answer(call, kit)),
};

async function answer(call: Tensor[], kit: Kit): Promise<Outcome> {
  const decoded = decodeImageInput(call);
  if (!decoded.ok) return decoded;
  const found = await detectText(decoded.image, kit);
  if (!found.ok) return found;
  const texts: string[] = [];
  const confidences: number[] = [];
  const corners: number[] = [];
  for (const box of found.boxes) {
    const { text, confidence } = await readBox(decoded.image, box, kit);
    if (text === "" || confidence < MIN_CONFIDENCE) continue;
    texts.push(text);
    confidences.push(confidence);
    corners.push(box.left, box.top, box.right, box.bottom);
  }
  const outputs = [
    textTensor("text", texts),
    floatTensorOf("confidence", [texts.length], Float32Array.from(confidences)),
    floatTensorOf("box", [texts.length, 4], Float32Array.from(corners)),
  ];
  return { ok: true, outputs, unitCount: 1 };
}
