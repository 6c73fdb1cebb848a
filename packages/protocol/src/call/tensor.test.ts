import { expect, test } from "vitest";
import { concat, utf8 } from "../bytes.ts";
import {
  bytesElements,
  bytesTensor,
  DATATYPES,
  type Datatype,
  elementCount,
  floats,
  floatTensor,
  type Tensor,
  tensorFault,
  textElements,
  textTensor,
} from "./tensor.ts";

test.each(Object.entries(DATATYPES).filter(([, width]) => width > 0))(
  "an element of %s has %i bytes",
  (name, width) => {
    const of = (length: number): Tensor => ({
      name: "x",
      datatype: name as Datatype,
      shape: [2, 3],
      data: new Uint8Array(length),
    });
    expect(tensorFault(of(6 * width))).toBeUndefined();
    expect(tensorFault(of(6 * width - 1))).toBe(
      `"x" of ${name} with shape [2,3] takes ${6 * width} bytes, not ${6 * width - 1}`,
    );
    expect(tensorFault(of(6 * width + 1))).toContain(`not ${6 * width + 1}`);
  },
);

test("the empty shape has one element, and a shape with a zero none", () => {
  expect([elementCount([]), elementCount([4, 0, 9]), elementCount([2, 3])]).toEqual([1, 0, 6]);
  expect(tensorFault({ ...textTensor("t", []), shape: [0] })).toBeUndefined();
});

test("a shape of more elements than can be counted is told from one that its data does not fill", () => {
  const huge: Tensor = { name: "x", datatype: "UINT8", shape: [2 ** 27, 2 ** 27], data: new Uint8Array(0) };
  expect(tensorFault(huge)).toBe('"x" has a shape of more elements than can be counted');
});

test("texts come back from the tensor that they were put in, also 200,000 of them", () => {
  const texts = ["", "hello", "é€😀", "\0"];
  expect(textElements(textTensor("t", texts))).toEqual(texts);
  const many = Array.from({ length: 200_000 }, (_, i) => (i % 2 === 0 ? "a" : ""));
  const tensor = textTensor("t", many);
  expect(tensorFault(tensor)).toBeUndefined();
  expect(textElements(tensor)).toHaveLength(many.length);
});

test("elements that are not UTF-8 are bytes and no texts", () => {
  const tensor = bytesTensor("t", [utf8("ok"), Uint8Array.of(0xff)]);
  expect(bytesElements(tensor)).toEqual([utf8("ok"), Uint8Array.of(0xff)]);
  expect(textElements(tensor)).toBeUndefined();
});

test("a BYTES tensor holds as many elements as its shape says, and nothing beside", () => {
  const { data } = textTensor("t", ["ab", "c"]);
  const of = (shape: number[], bytes: Uint8Array): Tensor => ({ name: "t", datatype: "BYTES", shape, data: bytes });
  expect(tensorFault(of([2], data))).toBeUndefined();
  expect(tensorFault(of([1, 2], data))).toBeUndefined();
  for (let length = 0; length < data.length; length++)
    expect(tensorFault(of([2], data.subarray(0, length)))).toContain("length-prefixed elements");
  expect(tensorFault(of([1], data))).toContain("takes 1 length-prefixed");
  expect(tensorFault(of([3], data))).toContain("takes 3 length-prefixed");
  expect(tensorFault(of([2], concat(data, Uint8Array.of(0))))).toBeDefined();
  expect(tensorFault(of([1], Uint8Array.of(0xff, 0xff, 0xff, 0xff)))).toBeDefined();
});

test("floats are little-endian, wherever in a buffer they lie", () => {
  const tensor = floatTensor("x", [2], [1, -0.5]);
  expect([...tensor.data]).toEqual([0, 0, 0x80, 0x3f, 0, 0, 0, 0xbf]);
  const shifted = new Uint8Array([9, ...tensor.data]).subarray(1);
  expect([...floats({ ...tensor, data: shifted })]).toEqual([1, -0.5]);
});
