import {
  bytesElements,
  floats,
  Malformed,
  type Tensor,
  type TensorSpec,
  textElements,
  utf8,
} from "@tallystick/protocol";
import { describe, expect, test } from "vitest";
import { createInputs } from "./inputs.ts";

const TEXT: TensorSpec = { name: "text", datatype: "BYTES", shape: [-1], content: "text" };
const IMAGE: TensorSpec = { name: "image", datatype: "BYTES", shape: [1], content: "image" };
const WAV: TensorSpec = { name: "audio", datatype: "BYTES", shape: [1], content: "wav" };
const ROWS: TensorSpec = { name: "features", datatype: "FP32", shape: [-1, 3], columns: ["age", "height", "weight"] };
const LINE: TensorSpec = { name: "samples", datatype: "FP32", shape: [-1] };
const FOUR: TensorSpec = { name: "four", datatype: "FP32", shape: [4] };
const MATRIX: TensorSpec = { name: "any", datatype: "FP32", shape: [-1, -1] };
const CUBE: TensorSpec = { name: "cube", datatype: "FP32", shape: [1, 2, 3] };
const IDS: TensorSpec = { name: "ids", datatype: "INT64", shape: [-1] };
const SCALAR: TensorSpec = { name: "threshold", datatype: "FP32", shape: [] };

const given = (form: TensorSpec[], input: string | Uint8Array) =>
  createInputs([form], typeof input === "string" ? utf8(input) : input);
const only = (tensors: Tensor[]): Tensor => {
  expect(tensors).toHaveLength(1);
  return tensors[0]!;
};

describe("texts", () => {
  test.each([
    ["a line from a file loses its newline and nothing else", " two  words \r\n", [" two  words "]],
    ["an empty text is a text", "", [""]],
    ["a list of texts in JSON is that many texts", '["one", "two\\n"]', ["one", "two\n"]],
    ["an empty list is the text that it is spelled with", "[]", ["[]"]],
    ["other JSON is a text", '{"a": 1}', ['{"a": 1}']],
    ["a list with a number in it is a text", '["one", 2]', ['["one", 2]']],
  ])("%s", (_, input, texts) => {
    const tensor = only(given([TEXT], input));
    expect(tensor).toMatchObject({ name: "text", datatype: "BYTES", shape: [texts.length] });
    expect(textElements(tensor)).toEqual(texts);
  });
});

test.each([IMAGE, WAV])("a file of $content goes as its bytes, whatever they are", (spec) => {
  const bytes = Uint8Array.from([0x89, 0x50, 0x00, 0xff, 0x0a]);
  const tensor = only(given([spec], bytes));
  expect(tensor).toMatchObject({ name: spec.name, datatype: "BYTES", shape: [1] });
  expect(bytesElements(tensor)).toEqual([bytes]);
});

describe("numbers", () => {
  test.each([
    ["a row in order", ROWS, "[1, 2, 3]", [1, 3], [1, 2, 3]],
    ["rows in order", ROWS, "[[1, 2, 3], [4, 5, 6]]", [2, 3], [1, 2, 3, 4, 5, 6]],
    ["a row by column, in whatever order", ROWS, '{"weight": 3, "age": 1, "height": 2}', [1, 3], [1, 2, 3]],
    [
      "rows by column and in order",
      ROWS,
      '[{"weight": 3, "age": 1, "height": 2}, [4, 5, 6]]',
      [2, 3],
      [1, 2, 3, 4, 5, 6],
    ],
    ["a list of any length", LINE, "[0.5, -0.5]", [2], [0.5, -0.5]],
    ["a list of the one length", FOUR, "[1, 2, 3, 4]", [4], [1, 2, 3, 4]],
    ["a matrix of any size", MATRIX, "[[1, 2], [3, 4], [5, 6]]", [3, 2], [1, 2, 3, 4, 5, 6]],
    [
      "an Open Inference Protocol request",
      ROWS,
      '{"inputs": [{"name": "features", "datatype": "FP32", "shape": [1, 3], "data": [[1, 2, 3]]}]}',
      [1, 3],
      [1, 2, 3],
    ],
  ])("%s", (_, spec, input, shape, values) => {
    const tensor = only(given([spec], input));
    expect(tensor).toMatchObject({ name: spec.name, datatype: "FP32", shape });
    expect([...floats(tensor)]).toEqual(values);
  });
});

test("a request in the Open Inference Protocol may name any of a model's inputs, and the model need not take text", () => {
  const tensor = { name: "ids", datatype: "INT64", shape: [2], data: [7, "9007199254740993"] };
  expect(only(given([IMAGE], JSON.stringify({ inputs: [tensor] })))).toMatchObject({ name: "ids", datatype: "INT64" });
});

describe("what a model cannot take is refused in words that say what it takes", () => {
  test.each([
    ["bytes for a text", [TEXT], Uint8Array.from([0xff, 0xfe]), /is not text in UTF-8, which this model takes/],
    [
      "words for numbers",
      [ROWS],
      "tall",
      /not a JSON array, or a JSON object by column, of 3 numbers.*age, height, weight/,
    ],
    ["words for a list", [LINE], "loud", /is not a JSON array of numbers for "samples"/],
    ["bytes for numbers", [ROWS], Uint8Array.from([0xff]), /is not a JSON array/],
    ["too few values", [ROWS], "[1, 2]", /has 2 values where this model takes 3 numbers for "features".*age, height/],
    ["too few values in one row", [ROWS], "[[1, 2, 3], [1]]", /has 1 values where this model takes 3 numbers/],
    ["a word among numbers", [ROWS], '[1, "tall", 3]', /has "tall" at place 1/],
    ["a number that FP32 cannot hold", [ROWS], "[1, 2, 1e300]", /has 1e\+300 at place 2/],
    ["a number that JSON cannot hold", [LINE], "[1e999]", /has null at place 0/],
    ["an unknown column", [ROWS], '{"age": 1, "size": 2}', /has the column "size".*takes age, height, weight/],
    ["a missing column", [ROWS], '{"age": 1}', /lacks the columns height, weight/],
    ["a column that every object has", [ROWS], '{"constructor": 1}', /has the column "constructor"/],
    ["a text in a column", [ROWS], '{"age": "old", "height": 2, "weight": 3}', /has "old" in the column age/],
    ["a column of null", [ROWS], '{"age": null, "height": 2, "weight": 3}', /has null in the column age/],
    ["null for a row", [ROWS], "[null]", /is not a JSON array/],
    ["columns for a model that has none", [LINE], '{"age": 1}', /is not a JSON array of numbers/],
    ["another length than the one", [FOUR], "[1, 2, 3]", /has 3 values, where this model takes "four" of FP32 \[4\]/],
    ["rows of two lengths", [MATRIX], "[[1, 2], [3]]", /has rows of different lengths/],
    [
      "nested numbers for three axes",
      [CUBE],
      "[[[1, 2, 3], [4, 5, 6]]]",
      /is not \{"inputs": \[…\]\}.*"cube" of FP32 \[1,2,3\]/,
    ],
    ["numbers for integers", [IDS], "[1]", /is not \{"inputs": \[…\]\}.*"ids" of INT64 \[-1\]/],
    ["one input for two", [ROWS, SCALAR], "[1, 2, 3]", /is not \{"inputs": \[…\]\}.*"features".*"threshold"/],
    ["a number for a tensor", [ROWS], '{"inputs": [1]}', /has no tensor at inputs\[0\]/],
    ["a tensor without data", [ROWS], '{"inputs": [{"name": "x", "datatype": "FP32", "shape": [1]}]}', /inputs\[0\]/],
    [
      "a tensor of no datatype",
      [ROWS],
      '{"inputs": [{"name": "x", "datatype": "toString", "shape": [1], "data": [1]}]}',
      /inputs\[0\]/,
    ],
    [
      "a tensor of a negative shape",
      [ROWS],
      '{"inputs": [{"name": "x", "datatype": "FP32", "shape": [-1], "data": []}]}',
      /inputs\[0\]/,
    ],
    [
      "a tensor with another count",
      [ROWS],
      '{"inputs": [{"name": "x", "datatype": "FP32", "shape": [2], "data": [1]}]}',
      /holds 2 elements, with 1 in its data/,
    ],
    [
      "two texts for one",
      [{ ...TEXT, shape: [1] }],
      '["one", "two"]',
      /has 2 texts, where this model takes "text" of BYTES \[1\]/,
    ],
  ])("%s", (_, form, input, message) => {
    expect(() => given(form, input)).toThrow(Malformed);
    expect(() => given(form, input)).toThrow(message);
  });
});
