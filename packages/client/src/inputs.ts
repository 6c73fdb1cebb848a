/** From what a person has (a text, an image, a row of named values) to the tensors that a model takes. */
import {
  bytesTensor,
  DATATYPES,
  elementCount,
  findJson,
  floatTensor,
  Malformed,
  parseTensorJson,
  parseUtf8,
  type Tensor,
  type TensorJson,
  type TensorSpec,
  textTensor,
} from "@tallystick/protocol";
import { fieldOf } from "./http.ts";

/**
 * The tensors of `given`, by the model's first form: an image or a WAV as its bytes; a text as text; numbers as a JSON
 * array, an object by column, or a list of either; or `{"inputs": […]}` as the Open Inference Protocol has it.
 * Throws Malformed, saying what the model takes.
 */
export function createInputs(forms: readonly TensorSpec[][], given: Uint8Array): Tensor[] {
  const [form = []] = forms;
  const [spec] = form;
  const text = parseUtf8(given);
  const json = text === undefined ? undefined : findJson(text);
  const inputs = fieldOf(json, "inputs");
  if (Array.isArray(inputs)) return inputs.map(readTensor);
  if (spec === undefined || form.length > 1)
    throw new Malformed(`is not {"inputs": […]}, which a model of several inputs needs: ${form.map(named).join(", ")}`);
  if (spec.datatype === "FP32") return [numbersTensor(spec, json)];
  if (spec.datatype !== "BYTES") throw new Malformed(`is not {"inputs": […]}, which this model needs: ${named(spec)}`);
  if (spec.content !== "text") return [bytesTensor(spec.name, [given], shapeOf(spec, 1))];
  if (text === undefined) throw new Malformed("is not text in UTF-8, which this model takes");
  return [textsTensor(spec, isTexts(json) ? json : [text.replace(/\r?\n$/, "")])];
}

function isTexts(json: unknown): json is string[] {
  return Array.isArray(json) && json.length > 0 && json.every((item) => typeof item === "string");
}

function textsTensor(spec: TensorSpec, texts: string[]): Tensor {
  const shape = shapeOf(spec, texts.length);
  if (elementCount(shape) !== texts.length)
    throw new Malformed(`has ${texts.length} texts, where this model takes ${named(spec)}`);
  return textTensor(spec.name, texts, shape);
}

/** The shape of a spec with its open dimensions set to `count`. */
function shapeOf({ shape }: TensorSpec, count: number): number[] {
  return shape.map((size) => (size === -1 ? count : size));
}

/** Numbers: of one axis as they are, of two as a row or as rows. */
function numbersTensor(spec: TensorSpec, json: unknown): Tensor {
  const { name, shape } = spec;
  if (shape.length > 2) throw new Malformed(`is not {"inputs": […]}, which this model needs: ${named(spec)}`);
  if (shape.length < 2) {
    const values = numbers(json, `a JSON array of numbers for ${named(spec)}`);
    return floatTensor(name, withCount(spec, values.length), values);
  }
  const isRows = Array.isArray(json) && json.length > 0 && json.every((row) => typeof row === "object");
  const rows = (isRows ? json : [json]).map((row) => rowOf(spec, row));
  const width = rows[0]?.length ?? 0;
  if (rows.some((row) => row.length !== width)) throw new Malformed("has rows of different lengths");
  return floatTensor(name, [...withCount(spec, rows.length).slice(0, 1), width], rows.flat());
}

/** The shape with its first axis `count` long. Throws Malformed where the model takes another number. */
function withCount(spec: TensorSpec, count: number): number[] {
  const [size = 1, ...rest] = spec.shape;
  if (size !== -1 && size !== count) throw new Malformed(`has ${count} values, where this model takes ${named(spec)}`);
  return spec.shape.length === 0 ? [] : [count, ...rest];
}

function rowOf(spec: TensorSpec, row: unknown): number[] {
  const { name, columns, shape } = spec;
  const width = shape.at(-1) ?? -1;
  const takes = `${width === -1 ? "" : `${width} `}numbers for "${name}"${columns ? `, which are ${columns.join(", ")}` : ""}`;
  if (Array.isArray(row)) {
    if (width === -1 || row.length === width) return numbers(row, `a JSON array of ${takes}`);
    throw new Malformed(`has ${row.length} values where this model takes ${takes}`);
  }
  if (columns === undefined || typeof row !== "object" || row === null)
    throw new Malformed(
      `is not a JSON array${columns ? ", or a JSON object by column," : ""} of ${takes}, which this model takes`,
    );
  return columnsOf(row, columns);
}

/** The values of an object by column, in the columns' order. */
function columnsOf(row: object, columns: readonly string[]): number[] {
  const unknown = Object.keys(row).find((key) => !columns.includes(key));
  if (unknown !== undefined)
    throw new Malformed(
      `has the column ${JSON.stringify(unknown)}, which this model does not know; it takes ${columns.join(", ")}`,
    );
  const missing = columns.filter((column) => !Object.hasOwn(row, column));
  if (missing.length > 0) throw new Malformed(`lacks the columns ${missing.join(", ")}`);
  return columns.map((column) => {
    const value = fieldOf(row, column);
    if (isNumber(value)) return value;
    throw new Malformed(`has ${JSON.stringify(value).slice(0, 40)} in the column ${column}, which takes a number`);
  });
}

function numbers(values: unknown, takes: string): number[] {
  if (!Array.isArray(values)) throw new Malformed(`is not ${takes}, which this model takes`);
  const stray = values.findIndex((value) => !isNumber(value));
  if (stray < 0) return values;
  throw new Malformed(
    `has ${JSON.stringify(values[stray]).slice(0, 40)} at place ${stray}, where this model takes ${takes}`,
  );
}

/** Whether `value` is a number that FP32 can hold. */
function isNumber(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(Math.fround(value));
}

/** A tensor as the Open Inference Protocol spells it. */
function readTensor(input: unknown, place: number): Tensor {
  if (isTensorJson(input)) return parseTensorJson(input);
  throw new Malformed(`has no tensor at inputs[${place}]: one is {"name", "datatype", "shape": […], "data": […]}`);
}

function isTensorJson(input: unknown): input is TensorJson {
  const [shape, data, datatype] = ["shape", "data", "datatype"].map((key) => fieldOf(input, key));
  return (
    typeof fieldOf(input, "name") === "string" &&
    typeof datatype === "string" &&
    Object.hasOwn(DATATYPES, datatype) &&
    Array.isArray(data) &&
    Array.isArray(shape) &&
    shape.every((size) => Number.isSafeInteger(size) && size >= 0)
  );
}

function named({ name, datatype, shape }: TensorSpec): string {
  return `"${name}" of ${datatype} [${shape}]`;
}
