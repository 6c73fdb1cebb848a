import { bytesTensor, floatTensor, textTensor } from "@tallystick/protocol";
import { expect, test } from "vitest";
import { outputText } from "./output-text.ts";

test("texts are a line each, whatever a model puts into them", () => {
  expect(outputText(textTensor("text", ["Total", "384.50\x1b[2J\n"]), [])).toBe("Total\n384.50 [2J ");
});

test("what is no text is said to be so many bytes", () => {
  expect(outputText(bytesTensor("image", [Uint8Array.from([0xff, 0xd8])]), [])).toBe("(2 bytes)");
});

test("numbers of named columns have their names in every row", () => {
  const boxes = floatTensor("box", [2, 2], [1, 2, 3, 4.5]);
  const spec = { name: "box", datatype: "FP32", shape: [-1, 2], columns: ["left", "top"] } as const;
  expect(outputText(boxes, [{ ...spec, shape: [-1, 2], columns: ["left", "top"] }])).toBe(
    "box: left 1, top 2; left 3, top 4.5",
  );
});

test("of many values the first are shown, with how many there are", () => {
  const values = Array.from({ length: 512 }, (_, i) => i / 3);
  const text = outputText(floatTensor("embedding", [1, 512], values), []);
  expect(text).toMatch(/^embedding: 0, 0\.3333333, .* … 512 values of shape \[1,512\]$/);
  expect(text.length).toBeLessThan(200);
});

test("a tensor's name cannot steer the terminal", () => {
  expect(outputText(floatTensor("y\x1b[31m", [1], [1]), [])).toBe("y [31m: 1");
});
