/** The Open Inference Protocol v2 in JSON: requests to calls, answers to responses, manifests to metadata. Pure. */
import {
  base64,
  bytesElements,
  DATATYPES,
  type Datatype,
  elementCount,
  type Manifest,
  parseBase64,
  parseHex,
  parseUtf8,
  type Tensor,
  TENSOR_RANK,
  TENSORS_PER_CALL,
  type TensorSpec,
  textTensor,
  bytesTensor,
} from "@tallystick/protocol";
import { z } from "zod";
import { ServiceError } from "../platform/errors.ts";

const name = z.string().min(1).max(128);

const InputTensor = z.strictObject({
  name,
  datatype: z.enum(Object.keys(DATATYPES) as [Datatype]),
  shape: z.array(z.number().int().nonnegative()).max(TENSOR_RANK),
  parameters: z.strictObject({ content_type: z.enum(["base64", "str"]).exactOptional() }).exactOptional(),
  data: z.custom<unknown[]>(Array.isArray, "must be an array"),
});

/** What may stand in `parameters` of a request; each is signed into the authorization. */
const RequestParameters = z.strictObject({
  max_price: z.union([z.number().int().nonnegative(), z.string().regex(/^[0-9]{1,20}$/)]).exactOptional(),
  decision: z.string().regex(/^[0-9a-f]{32}$/, "must be 32 digits of lower-case hex").exactOptional(),
  traffic: z.enum(["production", "test", "probe"]).exactOptional(),
});

const InferRequest = z.strictObject({
  id: z.string().max(128).exactOptional(),
  parameters: RequestParameters.exactOptional(),
  inputs: z.array(InputTensor).max(TENSORS_PER_CALL),
  outputs: z.array(z.strictObject({ name })).max(TENSORS_PER_CALL).exactOptional(),
});

/** A request for inference, whichever wire form it came in. */
export type InferenceRequest = {
  id?: string;
  inputs: Tensor[];
  /** The outputs wanted; empty wants all. */
  outputs: string[];
  maxPrice: bigint;
  decision?: Uint8Array;
  traffic: "production" | "test" | "probe";
};

/** Reads the body of `POST /v2/models/{model}/infer`. Throws invalid_request, naming what is wrong and where. */
export function parseInferRequest(body: unknown): InferenceRequest {
  const parsed = InferRequest.safeParse(body);
  if (!parsed.success) throw new ServiceError("invalid_request", `the request is not one for inference: ${describeIssue(parsed.error)}`);
  const { id, parameters = {}, inputs, outputs = [] } = parsed.data;
  const decision = parameters.decision === undefined ? undefined : parseHex(parameters.decision);
  const names = new Set(inputs.map((input) => input.name));
  if (names.size !== inputs.length) throw new ServiceError("invalid_request", "an input is named twice");
  return {
    inputs: inputs.map(parseTensor),
    outputs: outputs.map((output) => output.name),
    maxPrice: BigInt(parameters.max_price ?? 0),
    traffic: parameters.traffic ?? "production",
    ...(id === undefined ? {} : { id }),
    ...(decision === undefined ? {} : { decision }),
  };
}

function describeIssue({ issues }: z.ZodError): string {
  const [issue] = issues;
  if (issue === undefined) return "it is malformed";
  const path = issue.path.map(String).join(".");
  if (issue.code === "unrecognized_keys") return `${issue.keys.join(", ")}${path === "" ? "" : ` in ${path}`} cannot be honoured here: leave it out`;
  return `${path === "" ? "the body" : path}: ${issue.message}`;
}

function parseTensor({ name, datatype, shape, parameters, data }: z.infer<typeof InputTensor>): Tensor {
  const refuse = (what: string): never => {
    throw new ServiceError("invalid_request", `input "${name}": ${what}`);
  };
  const values = data.some(Array.isArray) ? (data.flat(TENSOR_RANK) as unknown[]) : data;
  const count = elementCount(shape);
  if (values.length !== count) refuse(`shape [${shape}] holds ${count} elements, the data has ${values.length}`);
  if (datatype === "BYTES") return parseBytes(name, shape, values, parameters?.content_type === "base64", refuse);
  const write = WRITERS[datatype];
  const width = DATATYPES[datatype];
  const bytes = new Uint8Array(count * width);
  const view = new DataView(bytes.buffer);
  for (const [i, value] of values.entries())
    if (!write(view, i * width, value)) refuse(`element ${i} is ${JSON.stringify(value)?.slice(0, 40)}, which is not of ${datatype}`);
  return { name, datatype, shape, data: bytes };
}

function parseBytes(name: string, shape: number[], values: unknown[], isBase64: boolean, refuse: (what: string) => never): Tensor {
  const texts = values.map((value, i) => (typeof value === "string" ? value : refuse(`element ${i} of BYTES is not a string`)));
  if (!isBase64) return textTensor(name, texts, shape);
  return bytesTensor(
    name,
    texts.map((text, i) => parseBase64(text) ?? refuse(`element ${i} is not base64`)),
    shape,
  );
}

/** Writes one element; false where the value is not of the datatype. */
type Writer = (view: DataView, at: number, value: unknown) => boolean;

function integer(least: number, most: number, write: (view: DataView, at: number, value: number) => void): Writer {
  return (view, at, value) => {
    if (typeof value !== "number" || !Number.isInteger(value) || value < least || value > most) return false;
    write(view, at, value);
    return true;
  };
}

/** 64-bit integers over 2^53 - 1 come as decimal strings: a JSON number would have lost digits. */
function bigInteger(least: bigint, most: bigint, write: (view: DataView, at: number, value: bigint) => void): Writer {
  return (view, at, value) => {
    const exact = typeof value === "number" ? Number.isSafeInteger(value) : typeof value === "string" && /^-?[0-9]{1,20}$/.test(value);
    if (!exact) return false;
    const big = BigInt(value as number | string);
    if (big < least || big > most) return false;
    write(view, at, big);
    return true;
  };
}

const WRITERS: Record<Exclude<Datatype, "BYTES">, Writer> = {
  BOOL: (view, at, value) => {
    if (value !== true && value !== false) return false;
    view.setUint8(at, value ? 1 : 0);
    return true;
  },
  UINT8: integer(0, 255, (view, at, value) => view.setUint8(at, value)),
  UINT16: integer(0, 65_535, (view, at, value) => view.setUint16(at, value, true)),
  UINT32: integer(0, 4_294_967_295, (view, at, value) => view.setUint32(at, value, true)),
  UINT64: bigInteger(0n, (1n << 64n) - 1n, (view, at, value) => view.setBigUint64(at, value, true)),
  INT8: integer(-128, 127, (view, at, value) => view.setInt8(at, value)),
  INT16: integer(-32_768, 32_767, (view, at, value) => view.setInt16(at, value, true)),
  INT32: integer(-2_147_483_648, 2_147_483_647, (view, at, value) => view.setInt32(at, value, true)),
  INT64: bigInteger(-(1n << 63n), (1n << 63n) - 1n, (view, at, value) => view.setBigInt64(at, value, true)),
  FP16: () => false, // The protocol gives it no JSON form.
  FP32: (view, at, value) => {
    if (typeof value !== "number" || !Number.isFinite(Math.fround(value))) return false;
    view.setFloat32(at, value, true);
    return true;
  },
  FP64: (view, at, value) => {
    if (typeof value !== "number") return false;
    view.setFloat64(at, value, true);
    return true;
  },
};

type Reader = (view: DataView, at: number) => unknown;
/** A number of JSON, or null where JSON has none for it: NaN and the infinities. */
const finite = (value: number) => (Number.isFinite(value) ? value : null);
const exact = (value: bigint) => (value >= -(2n ** 53n) && value <= 2n ** 53n ? Number(value) : String(value));

const READERS: Record<Exclude<Datatype, "BYTES">, Reader> = {
  BOOL: (view, at) => view.getUint8(at) !== 0,
  UINT8: (view, at) => view.getUint8(at),
  UINT16: (view, at) => view.getUint16(at, true),
  UINT32: (view, at) => view.getUint32(at, true),
  UINT64: (view, at) => exact(view.getBigUint64(at, true)),
  INT8: (view, at) => view.getInt8(at),
  INT16: (view, at) => view.getInt16(at, true),
  INT32: (view, at) => view.getInt32(at, true),
  INT64: (view, at) => exact(view.getBigInt64(at, true)),
  FP16: (view, at) => finite(half(view.getUint16(at, true))),
  FP32: (view, at) => finite(view.getFloat32(at, true)),
  FP64: (view, at) => finite(view.getFloat64(at, true)),
};

/** The value of an IEEE 754 binary16. */
function half(bits: number): number {
  const sign = bits >> 15 === 0 ? 1 : -1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25);
}

/** An output tensor in JSON. BYTES that are not all UTF-8 go as base64, and say so. */
export function encodeTensor(tensor: Tensor): Record<string, unknown> {
  const { name, datatype, shape, data } = tensor;
  if (datatype === "BYTES") {
    const elements = bytesElements(tensor);
    const texts = elements.map(parseUtf8);
    return texts.includes(undefined)
      ? { name, datatype, shape, parameters: { content_type: "base64" }, data: elements.map(base64) }
      : { name, datatype, shape, data: texts };
  }
  const read = READERS[datatype];
  const width = DATATYPES[datatype];
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  return { name, datatype, shape, data: Array.from({ length: data.length / width }, (_, i) => read(view, i * width)) };
}

/** `GET /v2/models/{model}`: the inputs are those of the first form; every form stands in `parameters`. */
export function modelMetadata({ name, version, forms, outputs, engine }: Manifest): Record<string, unknown> {
  const plain = (specs: readonly TensorSpec[]) => specs.map(({ name: tensor, datatype, shape }) => ({ name: tensor, datatype, shape }));
  const platform = engine === "judge" ? "onnxruntime_web" : "onnxruntime_node";
  return { name, versions: [version], platform, inputs: plain(forms[0] ?? []), outputs: plain(outputs), parameters: { forms } };
}
