import { bytesTensor, type Quality, textElements } from "@tallystick/protocol";
import { type Model, openModel, readModelFile } from "../load.ts";
import { editDistance, INVOICE, RECEIPT, SIGN } from "./lines.ts";

const PAGES = [
  { file: "example.png", lines: INVOICE.map(({ text }) => text), on: "a rendered invoice" },
  { file: "sign.png", lines: SIGN, on: "a rendered sign, light on dark" },
  { file: "receipt.jpg", lines: RECEIPT, on: "a rendered receipt, tilted and noisy" },
];

/** How many characters of a page are read wrongly, all its text taken as one. */
export async function measure(): Promise<Quality[]> {
  const model = await openModel("paddle-ocr");
  const qualities: Quality[] = [];
  for (const { file, lines, on } of PAGES) {
    const truth = lines.join(" ");
    const wrong = editDistance((await readPage(model, file)).join(" "), truth);
    qualities.push({ metric: "characters read wrongly", value: `${wrong} of ${truth.length}`, on });
  }
  return qualities;
}

async function readPage(model: Model, file: string): Promise<string[]> {
  const outputs = await model.answer([bytesTensor("image", [readModelFile("paddle-ocr", file)])]);
  const text = outputs.get("text");
  return (text && textElements(text)) ?? [];
}
