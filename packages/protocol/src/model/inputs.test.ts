import { expect, test } from "vitest";
import { MANIFEST } from "../../../../test/one-receipt.ts";
import { floatTensor, textTensor } from "../call/tensor.ts";
import { inputsFault } from "./inputs.ts";
import type { Manifest } from "./manifest.ts";

const twoForms: Manifest = {
  ...MANIFEST,
  forms: [
    [{ name: "page", datatype: "BYTES", shape: [1], content: "image" }],
    [
      { name: "b", datatype: "FP32", shape: [2] },
      { name: "a", datatype: "FP32", shape: [-1, 2] },
    ],
  ],
};
const page = textTensor("page", ["an image"]);
const a = floatTensor("a", [3, 2], [1, 2, 3, 4, 5, 6]);
const b = floatTensor("b", [2], [1, 2]);

test("inputs are those of any one form of a model, in whatever order", () => {
  expect(inputsFault(twoForms, [page])).toBeUndefined();
  expect(inputsFault(twoForms, [a, b])).toBeUndefined();
  expect(inputsFault(twoForms, [b, a])).toBeUndefined();
});

test("inputs that are no whole form are told what would be", () => {
  const takes = 'example/double takes "page" of BYTES [1]; or "b" of FP32 [2] and "a" of FP32 [-1,2]';
  expect(inputsFault(twoForms, [])).toBe(`${takes}; the call has no inputs`);
  expect(inputsFault(twoForms, [a])).toBe(`${takes}; the call has "a"`);
  expect(inputsFault(twoForms, [a, b, page])).toBe(`${takes}; the call has "a", "b", "page"`);
});

test("an input of another datatype or shape is told which it should have", () => {
  const fault = (input: typeof a) => inputsFault(twoForms, [input, b]);
  expect(fault({ ...a, datatype: "FP64" })).toBe('example/double takes "a" of FP32 [-1,2], not FP64 [3,2]');
  expect(fault({ ...a, shape: [2, 3] })).toContain("not FP32 [2,3]");
  expect(fault({ ...a, shape: [6] })).toContain("not FP32 [6]");
  expect(fault({ ...a, shape: [0, 2] })).toContain("not FP32 [0,2]");
});
