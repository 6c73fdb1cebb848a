import { bytesTensor, equal, floats, floatTensor, type Tensor, textElements, utf8 } from "@tallystick/protocol";
import { encode } from "fast-png";
import { describe, expect, test } from "vitest";
import { openModel, readExample, readModelFile } from "../load.ts";

const image = (...elements: Uint8Array[]) => [bytesTensor("image", elements)];
const grey = (width: number, height: number, value = 255) =>
  encode({ width, height, data: new Uint8Array(width * height).fill(value), channels: 1, depth: 8 });

function texts(tensor: Tensor | undefined): string[] | undefined {
  return tensor && textElements(tensor);
}

describe("reading an image", () => {
  test("gives the text of an invoice, its lines in the order they are read", async () => {
    const { answer } = await openModel("paddle-ocr");
    expect(texts((await answer(readExample("paddle-ocr"))).get("text"))).toEqual([
      "Harbour Tools Ltd",
      "Invoice 2024-0317",
      "Bill to: North Quay Boats",
      "Date:17 March 2024",
      "Item",
      "Quantity",
      "Price",
      "Brass cleat",
      "12",
      "84.00",
      "Nylon rope, 50 m",
      "4",
      "196.50",
      "Deck varnish",
      "7",
      "104.00",
      "Total",
      "384.50EUR",
      "Payment is due within 30 days.",
    ]);
  });

  test("gives a box around each line, inside the image", async () => {
    const { answer } = await openModel("paddle-ocr");
    const outputs = await answer(image(readModelFile("paddle-ocr", "sign.png")));
    expect(texts(outputs.get("text"))?.[0]).toBe("NORTH QUAY");
    const [left = 0, top = 0, right = 0, bottom = 0] = floats(outputs.get("box")!);
    for (const [found, drawn] of [
      [left, 148],
      [top, 55],
      [right, 452],
      [bottom, 86],
    ] as const)
      expect(Math.abs(found - drawn)).toBeLessThan(12);
  });

  test("finds nothing on blank paper, however small", async () => {
    const { run } = await openModel("paddle-ocr");
    for (const blank of [grey(300, 200), grey(1, 1), grey(1, 700, 0), grey(2000, 3)]) {
      const [outcome] = await run([image(blank)]);
      expect(outcome?.ok && outcome.outputs.map(({ shape }) => shape)).toEqual([[0], [0], [0, 4]]);
    }
  });

  test("refuses what is no image, alone", async () => {
    const { run } = await openModel("paddle-ocr");
    const png = grey(40, 40);
    const outcomes = await run([
      image(utf8("%PDF-1.7")),
      image(png),
      image(png.subarray(0, 60)),
      image(png, png),
      image(),
    ]);
    expect(outcomes.map((outcome) => (outcome.ok ? "answered" : outcome.message))).toEqual([
      "the image is neither a PNG nor a JPEG: send one of those",
      "answered",
      "the PNG is cut off",
      '"image" takes exactly one element',
      '"image" takes exactly one element',
    ]);
  });
});

describe("the halves as models of their own", () => {
  test("give the boxes and the text that the whole gives", async () => {
    const page = image(readModelFile("paddle-ocr", "sign.png"));
    const whole = await (await openModel("paddle-ocr")).answer(page);
    const boxes = await (await openModel("paddle-text-detector")).answer(page);
    expect(equal(whole.get("box")!.data, boxes.get("box")!.data)).toBe(true);
  });

  test("take what their graphs take", async () => {
    const detector = await openModel("paddle-text-detector");
    const blank = floatTensor("x", [1, 3, 64, 96], new Float32Array(3 * 64 * 96).fill(2));
    expect((await detector.answer([blank])).get("box")?.shape).toEqual([0, 4]);
    const recognizer = await openModel("paddle-text-recognizer");
    const lines = floatTensor("x", [2, 3, 48, 100], new Float32Array(2 * 3 * 48 * 100));
    const read = await recognizer.answer([lines]);
    expect(texts(read.get("text"))).toEqual(["", ""]);
    expect([...floats(read.get("confidence")!)]).toEqual([0, 0]);
  });

  test("refuse sizes and numbers that their graphs do not take", async () => {
    const zeros = (shape: number[], fill = 0) =>
      floatTensor("x", shape, new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(fill));
    const detector = await openModel("paddle-text-detector");
    const recognizer = await openModel("paddle-text-recognizer");
    const outcomes = [
      ...(await detector.run([[zeros([1, 3, 33, 64])], [zeros([1, 3, 992, 32])], [zeros([1, 3, 32, 32], Number.NaN)]])),
      ...(await recognizer.run([
        [zeros([65, 3, 48, 8])],
        [zeros([1, 3, 48, 7])],
        [zeros([1, 3, 48, 3201])],
        [zeros([1, 3, 48, 8], Infinity)],
      ])),
    ];
    expect(outcomes.map((outcome) => !outcome.ok && outcome.message)).toEqual([
      '"x" is 64 wide and 33 high: both must be multiples of 32 up to 960',
      '"x" is 32 wide and 992 high: both must be multiples of 32 up to 960',
      '"x" has a NaN or an infinity: send finite numbers',
      '"x" has 65 lines: send 1 to 64',
      '"x" is 7 wide: send 8 to 3200',
      '"x" is 3201 wide: send 8 to 3200',
      '"x" has a NaN or an infinity: send finite numbers',
    ]);
  });
});
