import { type Quality, textElements } from "@tallystick/protocol";
import { openModel, readExample } from "../load.ts";
import { editDistance } from "../paddle-ocr/lines.ts";

const TRUTH = "Nylon rope, 50 m: 196.50";

/** How many characters of the example's line are read wrongly. */
export async function measure(): Promise<Quality[]> {
  const model = await openModel("paddle-text-recognizer");
  const text = (await model.answer(readExample("paddle-text-recognizer"))).get("text");
  const [read = ""] = (text && textElements(text)) ?? [];
  const value = `${editDistance(read, TRUTH)} of ${TRUTH.length}`;
  return [{ metric: "characters read wrongly", value, on: "one rendered line" }];
}
