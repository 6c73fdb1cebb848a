import { floats, type Quality } from "@tallystick/protocol";
import { openModel, readExample } from "../load.ts";
import { INVOICE } from "../paddle-ocr/lines.ts";

/** How many pieces of text have one box around their middle, and how many boxes are around none. */
export async function measure(): Promise<Quality[]> {
  const model = await openModel("paddle-text-detector");
  const outputs = await model.answer(readExample("paddle-text-detector"));
  const box = outputs.get("box");
  const corners = box ? floats(box) : [];
  const boxes = Array.from({ length: corners.length / 4 }, (_, i) => [...corners.slice(4 * i, 4 * i + 4)]);
  const around = ([left = 0, top = 0, right = 0, bottom = 0]: number[], { x, y }: { x: number; y: number }) =>
    left <= x && x < right && top <= y && y < bottom;
  const found = INVOICE.filter((piece) => boxes.filter((corner) => around(corner, piece)).length === 1);
  const empty = boxes.filter((corner) => !INVOICE.some((piece) => around(corner, piece)));
  const on = "a rendered invoice";
  return [
    { metric: "pieces of text found", value: `${found.length} of ${INVOICE.length}`, on },
    { metric: "boxes without text", value: `${empty.length} of ${boxes.length}`, on },
  ];
}
