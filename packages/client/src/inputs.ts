/** From what a person has (a text, an image, a row of named values) to the tensors that a model takes. */
import {
  bytesTensor,
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
  const json = text === undefined ? undefined : parseJson(text);
  const inputs = fieldOf(json, "inputs");
  if (Array.isArray(inputs)) return inputs.map((input: TensorJson) => parseTensorJson(input));
  if (spec === undefined || form.length > 1)
    throw new Malformed(`is not {"inputs": […]}, which a model of several inputs needs: ${names(form)}`);
  if (spec.datatype !== "BYTES") return [rowsTensor(spec, json)];
  if (spec.content !== "text") return [bytesTensor(spec.name, [given], shapeOf(spec, 1))];
  if (text === undefined) throw new Malformed("is not text in UTF-8, which this model takes");
  const texts =
    Array.isArray(json) && json.every((item) => typeof item === "string") ? json : [text.replace(/\r?\n$/, "")];
  return [textTensor(spec.name, texts, shapeOf(spec, texts.length))];
}

/** The shape of a spec with its open dimensions set to `count`. */
function shapeOf({ shape }: TensorSpec, count: number): number[] {
  return shape.map((size) => (size === -1 ? count : size));
}

function rowsTensor(spec: TensorSpec, json: unknown): Tensor {
  if (spec.datatype !== "FP32") throw new Malformed(`is not {"inputs": […]}, which a model of ${spec.datatype} needs`);
  if (spec.shape.length === 1)
    return floatTensor(spec.name, shapeOf(spec, Array.isArray(json) ? json.length : 1), numbers(json));
  const isRows = Array.isArray(json) && json.length > 0 && json.every((row) => typeof row === "object");
  const rows = isRows ? json : [json];
  const values = rows.map((row) => rowOf(spec, row));
  return floatTensor(spec.name, [rows.length, ...spec.shape.slice(1)], values.flat());
}

function rowOf({ name, columns, shape }: TensorSpec, row: unknown): number[] {
  const width = shape.at(-1) ?? -1;
  if (Array.isArray(row)) {
    if (width !== -1 && row.length !== width)
      throw new Malformed(
        `has ${row.length} values where "${name}" takes ${width}${columns ? `: ${columns.join(", ")}` : ""}`,
      );
    return numbers(row);
  }
  if (columns === undefined || typeof row !== "object" || row === null)
    throw new Malformed(`is not a JSON array of ${width} numbers, which "${name}" takes`);
  const unknown = Object.keys(row).find((key) => !columns.includes(key));
  const missing = columns.filter((column) => !(column in row));
  if (unknown !== undefined)
    throw new Malformed(
      `has the column ${JSON.stringify(unknown)}, which this model does not know; it takes ${columns.join(", ")}`,
    );
  if (missing.length > 0) throw new Malformed(`lacks the columns ${missing.join(", ")}`);
  return numbers(columns.map((column) => fieldOf(row, column)));
}

function numbers(values: unknown): number[] {
  if (Array.isArray(values) && values.every((value) => typeof value === "number")) return values;
  throw new Malformed("is not numbers in JSON, which this model takes");
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // A text that is no JSON is a text.
  }
}

function names(specs: readonly TensorSpec[]): string {
  return specs.map(({ name, datatype, shape }) => `${name} (${datatype} [${shape}])`).join(", ");
}
